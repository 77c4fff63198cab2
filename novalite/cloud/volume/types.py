"""Types of volumes: the default one, those that admins make, and who sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import quotas
from novalite.cloud.volume import usage
from novalite.cloud.volume.records import Volume, VolumeType, VolumeTypeAccess
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

DEFAULT_NAME = "__DEFAULT__"
MULTIATTACH = "multiattach"
SORT_KEYS: Mapping[str, Any] = {
    "id": VolumeType.id,
    "name": VolumeType.name,
    "created_at": VolumeType.created_at,
    "updated_at": VolumeType.updated_at,
    "is_public": VolumeType.is_public,
    "description": VolumeType.description,
}


def _visible(w: Work) -> sa.ColumnElement[bool]:
    if w.ctx.is_admin:
        return sa.true()
    mine = sa.exists().where(VolumeTypeAccess.type_id == VolumeType.id, VolumeTypeAccess.project_id == w.ctx.project_id)
    return sa.or_(VolumeType.is_public, mine)


def _missing(type_id: str) -> NotFound:
    return NotFound("volume type", type_id, message=f"Volume type {type_id} could not be found.")


def get(w: Work, type_id: str) -> VolumeType:
    """By id. Raises ``NotFound`` for those the caller does not see."""
    found = w.session.scalar(sa.select(VolumeType).where(VolumeType.id == type_id, _visible(w)))
    if found is None:
        raise _missing(type_id)
    return found


def get_usable(w: Work, wanted: str) -> VolumeType:
    """By id or name."""
    query = sa.select(VolumeType).where(sa.or_(VolumeType.id == wanted, VolumeType.name == wanted), _visible(w))
    found = w.session.scalar(query.limit(1))
    if found is None:
        raise _missing(wanted[:255])
    return found


def ensure_default(w: Work) -> VolumeType:
    """The type of volumes that name none, made when it is not there."""
    found = w.session.scalar(sa.select(VolumeType).where(VolumeType.name == DEFAULT_NAME))
    if found is None:
        found = VolumeType(id=new_id(), name=DEFAULT_NAME, description="Default Volume Type", created_at=w.now)
        w.session.add(found)
        w.session.flush()
    return found


def get_or_default(w: Work, type_id: str | None) -> VolumeType:
    """The type of what a volume is made of, or the default one."""
    found = w.session.get(VolumeType, type_id) if type_id else None
    return found or ensure_default(w)


def names(w: Work) -> dict[str, str]:
    """Names by id of all types."""
    return {row.id: row.name for row in w.session.scalars(sa.select(VolumeType))}


def is_multiattach(kind: VolumeType) -> bool:
    return kind.extra_specs.get(MULTIATTACH, "").removeprefix("<is>").strip().lower() == "true"


def list_visible(w: Work, page: Page, *, is_public: bool | None = True) -> list[VolumeType]:
    """A page of types, newest first; ``is_public`` None gives both kinds."""
    visible = _visible(w)
    query = sa.select(VolumeType).where(visible)
    if is_public is not None and w.ctx.is_admin:
        query = query.where(VolumeType.is_public.is_(is_public))
    return page_of(
        w, query, VolumeType, page, SORT_KEYS, default=("created_at",), descending=True, visible=visible
    )  # fmt: skip


def create(
    w: Work, name: str, *, description: str | None = None, is_public: bool = True, extra_specs: Mapping[str, str]
) -> VolumeType:
    """Raises ``Conflict`` for a taken name."""
    _refuse_taken(w, name, "")
    made = VolumeType(
        id=new_id(), name=name, description=description, is_public=is_public, extra_specs=dict(extra_specs),
        created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def _refuse_taken(w: Work, name: str, own_id: str) -> None:
    taken = sa.select(VolumeType.id).where(VolumeType.name == name, VolumeType.id != own_id)
    if w.session.scalar(taken) is not None:
        raise Conflict(f"Volume Type {name} already exists.", code="volume_type.exists")


def update(w: Work, type_id: str, values: Mapping[str, Any]) -> VolumeType:
    """Set ``name``, ``description``, ``is_public`` or ``extra_specs``."""
    found = get(w, type_id)
    if "name" in values:
        _refuse_taken(w, values["name"], type_id)
        _rename_quotas(w, found.name, values["name"])
    for name, value in values.items():
        setattr(found, name, value)
    found.updated_at = w.now
    w.session.flush()
    return found


def _rename_quotas(w: Work, old: str, new: str) -> None:
    """A type's own quotas are called after it; they end with it."""
    if old != new:
        quotas.rename(w, {f"{each}_{old}": f"{each}_{new}" if new else "" for each in usage.TYPED})


def delete(w: Work, type_id: str) -> None:
    """Raises ``Invalid`` while volumes have it, and for the default one."""
    found = get(w, type_id)
    if found.name == DEFAULT_NAME:
        raise Invalid("The default volume type cannot be deleted.", field="id", code="volume_type.default")
    if w.session.scalar(sa.select(Volume.id).where(Volume.type_id == type_id).limit(1)) is not None:
        raise Invalid(f"Volume type {type_id} is in use.", field="id", code="volume_type.in_use")
    w.changed(sa.delete(VolumeTypeAccess).where(VolumeTypeAccess.type_id == type_id))
    _rename_quotas(w, found.name, "")
    w.session.delete(found)


def access(w: Work, type_id: str) -> list[str]:
    """Projects that see a type which is not public. Raises ``NotFound`` for public ones."""
    found = get(w, type_id)
    if found.is_public:
        raise NotFound("volume type", type_id, message="Access list not available for public volume types.")
    rows = sa.select(VolumeTypeAccess.project_id).where(VolumeTypeAccess.type_id == type_id)
    return sorted(w.session.scalars(rows))


def allow(w: Work, type_id: str, project_id: str) -> None:
    """Raises ``Conflict`` when the project has access, and for public types."""
    if get(w, type_id).is_public:
        raise Conflict(f"Volume type {type_id} is public already.", code="volume_type.public")
    if w.session.get(VolumeTypeAccess, (type_id, project_id)) is not None:
        raise Conflict(f"Project {project_id} has access to volume type {type_id} already.")
    w.session.add(VolumeTypeAccess(type_id=type_id, project_id=project_id))


def forbid(w: Work, type_id: str, project_id: str) -> None:
    """Raises ``NotFound`` when the project has no access."""
    get(w, type_id)
    row = VolumeTypeAccess
    if not w.changed(sa.delete(row).where(row.type_id == type_id, row.project_id == project_id)):
        raise NotFound("access", project_id, message=f"Project {project_id} has no access to volume type {type_id}.")
