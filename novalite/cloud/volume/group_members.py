"""Groups by id, and which volumes may become part of them."""

from __future__ import annotations

from novalite.cloud.volume.records import VolumeGroup
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound


def get(w: Work, group_id: str) -> VolumeGroup:
    """One of the caller's project (of any for admins). Raises ``NotFound``."""
    found = w.session.get(VolumeGroup, group_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("group", group_id, message=f"Group {group_id} could not be found.")
    return found


def join(w: Work, group_id: str, kind_id: str) -> VolumeGroup:
    """The group that a new volume of that type becomes part of. Raises ``NotFound``, ``Invalid``."""
    found = get(w, group_id)
    if found.status != "available":
        raise Invalid(f"Group {group_id} is {found.status}; it must be available.", field="group_id",
                      code="group.state")  # fmt: skip
    if kind_id not in found.volume_types:
        raise Invalid(f"Group {group_id} has no volumes of type {kind_id}.", field="volume_type")
    return found
