"""Volumes: how they are found, asked for, changed and given up.

For Compute: ``get``, ``disk`` (what a guest is given), ``delete``. New ones (of an image, a snapshot, a volume, or
blank) are asked for with ``new_volumes.create(w, NewVolume(…))``: ``creating`` or ``downloading``, then ``available``
or ``error``; a flow waits with ``Wait(tasks.changed(volume_id), seconds)`` and looks at ``find(w, id).status``
again. Attaching is in ``attachments``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import services, tasks
from novalite.cloud.volume.records import Backup, Snapshot, Volume, VolumeAttachment
from novalite.db.work import Work
from novalite.drivers.storage.base import FOUND
from novalite.errors import Failed, Invalid, NotFound

TOPIC = "volume"
DELETABLE = ("available", "error", "error_restoring", "error_extending", "error_managing")
SERIAL_CHARACTERS = 20
COPY_SECONDS = 5 * 3600
"""How long a task may take: a copy of a large volume takes hours on a slow disk."""


@dataclass(frozen=True)
class VolumeDisk:
    """What a guest is given: for ``DiskSpec(path=…, format=…, serial=…, size_gib=…)``. ``encrypted`` tells that it
    needs the volume's key for it."""

    volume_id: str
    path: str
    format: str
    serial: str
    size_gib: int
    read_only: bool
    encrypted: bool = False


def serial(volume_id: str) -> str:
    """The serial that a guest sees of a volume: the beginning of its id."""
    return volume_id[:SERIAL_CHARACTERS]


def is_file(volume: Volume) -> bool:
    """Whether its data are in a file, and not in a device or in Ceph."""
    path = str(volume.location.get("path", ""))
    return path.startswith("/") and not path.startswith("/dev/")


def missing(volume_id: str) -> NotFound:
    return NotFound("volume", volume_id, message=f"Volume {volume_id} could not be found.")


def require_id(text: str) -> None:
    """Raises ``ValueError`` for what is no id as they are made here."""
    if str(UUID(text)) != text:
        raise ValueError(text)


def find(w: Work, volume_id: str) -> Volume | None:
    """A volume by id, whoever owns it."""
    return w.session.get(Volume, volume_id)


def get(w: Work, volume_id: str) -> Volume:
    """A volume of the caller's project (of any for admins). Raises ``NotFound`` for others' too."""
    volume = find(w, volume_id)
    if volume is None or (volume.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise missing(volume_id)
    return volume


def get_many(w: Work, volume_ids: Iterable[str]) -> dict[str, Volume]:
    """Those that exist, by id, whoever owns them; one query."""
    rows = w.session.scalars(sa.select(Volume).where(Volume.id.in_(set(volume_ids))))
    return {volume.id: volume for volume in rows}


def disk(w: Work, volume_id: str) -> VolumeDisk:
    """Where a volume's data are. Raises ``NotFound``, ``Failed`` (``volume.no_data``) when it has none yet."""
    volume = find(w, volume_id)
    if volume is None:
        raise missing(volume_id)
    if not volume.location:
        raise Failed(f"Volume {volume_id} has no data: it is {volume.status}.", code="volume.no_data")
    path, form = str(volume.location["path"]), str(volume.location["format"])
    return VolumeDisk(volume_id, path, form, serial(volume_id), volume.size_gib, bool(volume.read_only),
                      volume.encryption_key_id is not None)  # fmt: skip


def change(w: Work, volume_id: str, values: Mapping[str, Any], *where: Any) -> bool:
    """Compare-and-set on one volume: write ``values`` if all of ``where`` holds; announces the change."""
    hit = w.changed(sa.update(Volume).where(Volume.id == volume_id, *where).values(**values, updated_at=w.now))
    if hit:
        row = w.session.get(Volume, volume_id, populate_existing=True)
        w.announce(TOPIC, volume_id, row.project_id if row else "")
        if "status" in values:
            durable.wake(w, tasks.changed(volume_id))
    return bool(hit)


def move(w: Work, volume: Volume, before: Iterable[str], after: str, *where: Any, doing: str, **values: Any) -> None:
    """Bring a volume from one of the statuses ``before`` to ``after``, or raise ``Invalid``."""
    allowed = tuple(before)
    moved = {"status": after, "previous_status": Volume.status, **values}
    if not change(w, volume.id, moved, Volume.status.in_(allowed), *where):
        raise refusal(volume, doing, allowed)


def refuse_encrypted(w: Work, volume_ids: Iterable[str], doing: str) -> None:
    """Raises ``Invalid`` for what would lay data down in plain that are encrypted now."""
    for volume in get_many(w, volume_ids).values():
        if volume.encryption_key_id is not None:
            raise Invalid(
                f"Volume {volume.id} is encrypted, and would lie there in plain when {doing}. Make a copy of a type "
                "without encryption (source_volid), if this is what you want.", field="volume", code="volume.encrypted",
            )  # fmt: skip


def refuse_found(volume: Volume, doing: str) -> None:
    """Raises ``Invalid`` for what would write anew what lies where its owner has put it."""
    if volume.backend == FOUND:
        raise Invalid(
            f"Invalid volume: volume {volume.id} was adopted where it lies, and what is there is never replaced: it "
            f"cannot be {doing}.", field="volume", code="volume.found",
            hint="Make a new volume of the snapshot, backup, image or volume, or move this one to another backend.",
        )  # fmt: skip


def refusal(volume: Volume, doing: str, allowed: Iterable[str]) -> Invalid:
    """Why a volume's status does not allow something."""
    return Invalid(
        f"Invalid volume: volume {volume.id} cannot be {doing} while its status is {volume.status}; it must be "
        f"{' or '.join(allowed)}.",
        field="status", code="volume.state", status=volume.status,
    )  # fmt: skip


def update(w: Work, volume_id: str, values: Mapping[str, Any]) -> Volume:
    """Set ``name``, ``description``, ``metadata_items``, ``bootable``, ``read_only`` or ``image_metadata``."""
    volume = get(w, volume_id)
    change(w, volume_id, values)
    return volume


def number_of(facts: Mapping[str, str], name: str) -> int:
    """A number among what a volume remembers of its image; 0 for what its owner has made of it that is none."""
    text = str(facts.get(name) or "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def has_snapshots(volume_id: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(Snapshot.volume_id == volume_id)


def has_attachments(volume_id: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(VolumeAttachment.volume_id == volume_id)


def being_copied(volume_id: str) -> sa.ColumnElement[bool]:
    """Whether a volume, a snapshot or a backup is just being made of this one."""
    copy = aliased(Volume)
    cloning = sa.exists().where(copy.source_volume_id == volume_id, copy.status == "creating")
    backing_up = sa.exists().where(Backup.volume_id == volume_id, Backup.status == "creating")
    return sa.or_(
        cloning, backing_up, sa.exists().where(Snapshot.volume_id == volume_id, Snapshot.status == "creating")
    )


def _snapshot_being_copied(volume_id: str) -> sa.ColumnElement[bool]:
    """Whether a volume is just being made of a snapshot of this one."""
    copy, own = aliased(Volume), sa.select(Snapshot.id).where(Snapshot.volume_id == volume_id)
    return sa.exists().where(copy.snapshot_id.in_(own), copy.status == "creating")


def delete(w: Work, volume_id: str, *, cascade: bool = False, force: bool = False) -> None:
    """Give a volume up; asking again while it goes is fine. ``cascade`` takes its snapshots along, ``force``
    looks at no status. Raises ``NotFound``, ``Invalid``."""
    volume = get(w, volume_id)
    if volume.status == "deleting" and _deletion_is_pending(w, volume_id):
        return
    services.require_thawed(w, volume)
    _refuse_when_used(w, volume, cascade=cascade)
    free = ~has_attachments(volume_id), ~being_copied(volume_id), ~_snapshot_being_copied(volume_id)
    if force:
        moved = change(w, volume_id, {"status": "deleting", "previous_status": Volume.status}, *free)
        if not moved:
            raise refusal(volume, "deleted", DELETABLE)
        durable.cancel_key(w, tasks.key(volume_id))
    else:
        move(w, volume, DELETABLE, "deleting", *free, doing="deleted")
    if cascade:
        w.changed(sa.update(Snapshot).where(Snapshot.volume_id == volume_id).values(status="deleting"))
    start(w, volume, tasks.VolumeDelete(volume_id))


def _refuse_when_used(w: Work, volume: Volume, *, cascade: bool) -> None:
    if volume.group_id is not None:
        raise Invalid(f"Invalid volume: volume {volume.id} cannot be deleted: it is in group {volume.group_id}.",
                      field="volume", code="volume.in_group")  # fmt: skip
    for used, why, stops in (
        (has_attachments(volume.id), "it is attached to a server", True),
        (being_copied(volume.id), "a copy of it is being made", True),
        (_snapshot_being_copied(volume.id), "a volume of its snapshot is being made", True),
        (has_snapshots(volume.id), "it has snapshots", not cascade),
    ):
        if stops and w.session.scalar(sa.select(used)):
            raise Invalid(f"Invalid volume: volume {volume.id} cannot be deleted: {why}.", field="volume",
                          code="volume.in_use")  # fmt: skip


def start(w: Work, volume: Volume, kind: durable.Kind) -> None:
    """Leave a task behind that acts on the volume."""
    durable.start(
        w, kind, key=tasks.key(volume.id), resource_id=volume.id, project_id=volume.project_id,
        deadline_seconds=COPY_SECONDS,
    )  # fmt: skip


def _deletion_is_pending(w: Work, volume_id: str) -> bool:
    task = durable.Task
    live = sa.select(task.id).where(
        task.key == tasks.key(volume_id), task.kind == tasks.VolumeDelete.kind, task.state.not_in(durable.ENDED)
    )
    return w.session.scalar(live.limit(1)) is not None
