"""Backups of volumes: asked for, put back, given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import messages, new_volumes, services, snapshots, tasks, types, usage, volumes
from novalite.cloud.volume.new_volumes import NewVolume
from novalite.cloud.volume.records import Backup, Snapshot, Volume
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

TOPIC = "volume_backup"
DELETABLE = ("available", "error")
SORT_KEYS: Mapping[str, Any] = {
    "id": Backup.id, "name": Backup.name, "status": Backup.status, "size": Backup.size_gib,
    "created_at": Backup.created_at, "updated_at": Backup.updated_at, "volume_id": Backup.volume_id,
}  # fmt: skip
SEALED = "sealed"
FILTERS = ("name", "status", "volume_id", "id")


def find(w: Work, backup_id: str) -> Backup | None:
    """A backup by id, whoever owns it."""
    return w.session.get(Backup, backup_id)


def get(w: Work, backup_id: str) -> Backup:
    """One of the caller's project (of any for admins). Raises ``NotFound``."""
    found = find(w, backup_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("backup", backup_id, message=f"Backup {backup_id} could not be found.")
    return found


def list_all(
    w: Work, page: Page, *, equal: Mapping[str, str], all_projects: bool = False, offset: int = 0
) -> list[Backup]:
    """Newest first unless the page says otherwise. ``equal`` maps ``FILTERS`` to values."""
    visible = sa.true() if all_projects and w.ctx.is_admin else Backup.project_id == w.ctx.project_id
    where = [getattr(Backup, name) == value for name, value in equal.items()]
    query = sa.select(Backup).where(visible, *where)
    return page_of(w, query.offset(offset) if offset else query, Backup, page, SORT_KEYS, default=("created_at",),
                   descending=True, visible=visible)  # fmt: skip


def change(w: Work, backup_id: str, values: Mapping[str, Any], *where: Any) -> bool:
    """Compare-and-set on one backup; announces the change."""
    hit = w.changed(sa.update(Backup).where(Backup.id == backup_id, *where).values(**values, updated_at=w.now))
    if hit:
        row = w.session.get(Backup, backup_id, populate_existing=True)
        w.announce(TOPIC, backup_id, row.project_id if row else "")
    return bool(hit)


def create(
    w: Work, volume_id: str, *, name: str | None, description: str | None, container: str = "", snapshot_id: str = "",
    incremental: bool = False, force: bool = False, metadata: Mapping[str, str] | None = None, zone: str = "",
    by_protection: bool = False,
) -> Backup:  # fmt: skip
    """Record a backup of a volume, or of one of its snapshots, and its task; in error while the service of backups is
    disabled. Raises ``NotFound``, ``Invalid``, ``OverQuota``."""
    volume = volumes.get(w, volume_id)
    snapshot = _snapshot_of(w, volume, snapshot_id) if snapshot_id else None
    parent = _newest(w, volume_id)
    if incremental and parent is None:
        raise Invalid("Invalid backup: No backups available to do an incremental backup.", field="incremental",
                      code="backup.no_parent")  # fmt: skip
    size_gib = snapshot.size_gib if snapshot else volume.size_gib
    if by_protection:
        usage.require_copy(w, volume)
    else:
        usage.require(w, volume.project_id, backups=1, backup_gigabytes=size_gib)
    is_off = services.backups_are_off(w)
    if snapshot is None and not is_off:
        allowed = ("available", "in-use") if force else ("available",)
        volumes.move(w, volume, allowed, "backing-up", ~volumes.being_copied(volume_id), doing="backed up")
    made = Backup(
        id=new_id(), volume_id=volume_id, snapshot_id=snapshot.id if snapshot else None,
        parent_id=parent.id if incremental and parent else None, name=name, description=description,
        project_id=volume.project_id, user_id=w.ctx.user_id, size_gib=size_gib, container=container or "",
        availability_zone=zone or volume.availability_zone, metadata_items=dict(metadata or {}),
        volume_facts=_facts(w, volume), data_at=snapshot.created_at if snapshot else w.now, created_at=w.now,
        by_protection=by_protection,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    if is_off:
        failed(w, made.id, "error", "Service not found for creating backup.", while_="creating")
    else:
        volumes.start(w, volume, tasks.BackupCreate(volume_id, made.id))
    w.announce(TOPIC, made.id, made.project_id)
    return made


def _snapshot_of(w: Work, volume: Volume, snapshot_id: str) -> Snapshot:
    snapshot = snapshots.get(w, snapshot_id)
    if snapshot.volume_id != volume.id:
        raise Invalid(f"Snapshot {snapshot_id} is not one of volume {volume.id}.", field="snapshot_id")
    if snapshot.status != "available":
        raise Invalid(f"Snapshot {snapshot_id} is {snapshot.status}; it must be available.", field="snapshot_id",
                      code="snapshot.state")  # fmt: skip
    return snapshot


def _newest(w: Work, volume_id: str) -> Backup | None:
    query = sa.select(Backup).where(Backup.volume_id == volume_id, Backup.status == "available")
    return w.session.scalar(query.order_by(Backup.data_at.desc()).limit(1))


def _facts(w: Work, volume: Volume) -> dict[str, Any]:
    """What a volume that is made of the backup shall be like."""
    facts = {
        "name": volume.name or "", "description": volume.description or "", "bootable": volume.bootable,
        "metadata": dict(volume.metadata_items), "image_metadata": dict(volume.image_metadata),
        "type": types.names(w).get(volume.type_id or "", ""),
    }  # fmt: skip
    if volume.encryption_key_id is not None:
        facts[SEALED] = {"key_id": volume.encryption_key_id, "sealed_key": volume.sealed_key, "format": ""}
    return facts


@dataclass(frozen=True)
class SealedData:
    """What the data of a backup are encrypted with, and what they are: a qcow2 with LUKS in it, or (raw) LUKS as a
    whole. The volume's key is kept with the backup, which may outlive it."""

    key_id: str
    sealed_key: str
    format: str


def sealed(backup: Backup) -> SealedData | None:
    """None for the backup of a volume that was not encrypted."""
    told = backup.volume_facts.get(SEALED)
    return SealedData(told["key_id"], told["sealed_key"], told["format"]) if told else None


def update(w: Work, backup_id: str, values: Mapping[str, Any]) -> Backup:
    """Set ``name``, ``description`` or ``metadata_items``."""
    found = get(w, backup_id)
    change(w, backup_id, values)
    return found


def delete(w: Work, backup_id: str, *, force: bool = False) -> None:
    """Give a backup up; others lose nothing by it. ``force`` looks at no status but whether it is being put back.
    Raises ``NotFound``, ``Invalid``."""
    found = get(w, backup_id)
    services.require_backups(w)
    allowed = Backup.status != "restoring" if force else Backup.status.in_(DELETABLE)
    if not change(w, backup_id, {"status": "deleting"}, allowed):
        raise refusal(found, "deleted", DELETABLE)
    if force:
        durable.cancel_key(w, tasks.backup_key(backup_id))
    durable.start(w, tasks.BackupDelete(backup_id), key=tasks.backup_key(backup_id), resource_id=backup_id,
                  project_id=found.project_id)  # fmt: skip


def refusal(backup: Backup, doing: str, allowed: tuple[str, ...]) -> Invalid:
    return Invalid(
        f"Invalid backup: backup {backup.id} cannot be {doing} while its status is {backup.status}; it must be "
        f"{' or '.join(allowed)}.", field="status", code="backup.state",
    )  # fmt: skip


def restore(w: Work, backup_id: str, *, volume_id: str = "", name: str | None = None) -> tuple[Backup, Volume]:
    """Put a backup into a volume that is free, or into a new one. Raises ``NotFound``, ``Invalid``, ``OverQuota``."""
    backup = get(w, backup_id)
    services.require_backups(w)
    if not change(w, backup_id, {"status": "restoring"}, Backup.status == "available"):
        raise refusal(backup, "restored", ("available",))
    if not volume_id:
        volume = new_volumes.create(
            w, NewVolume(size_gib=backup.size_gib, backup_id=backup_id, name=name or f"restore_backup_{backup_id}",
                         description=str(backup.volume_facts.get("description") or ""),
                         metadata=_texts(backup.volume_facts.get("metadata"))),
        )  # fmt: skip
    else:
        volume = volumes.get(w, volume_id)
        volumes.refuse_found(volume, "restored")
        if sealed(backup) is not None and volume.encryption_key_id is None:
            raise Invalid(f"Invalid volume: backup {backup_id} is of an encrypted volume, and volume {volume_id} is "
                          "not encrypted.", field="volume_id", code="volume.encrypted")  # fmt: skip
        if volume.size_gib < backup.size_gib:
            raise Invalid(
                f"Invalid volume: volume size {volume.size_gib} is too small to restore backup of size "
                f"{backup.size_gib}.", field="volume_id",
            )  # fmt: skip
        volumes.move(w, volume, ("available",), "restoring-backup", ~volumes.being_copied(volume_id), doing="restored")
        volumes.start(w, volume, tasks.VolumeRefill(volume_id, backup_id=backup_id))
    change(w, backup_id, {"restore_to": volume.id})
    return backup, volume


def _texts(items: Any) -> dict[str, str]:
    """Metadata as a record from elsewhere may tell them."""
    pairs = items.items() if isinstance(items, dict) else ()
    return {str(name)[:255]: str(value)[:255] for name, value in list(pairs)[:128]}


def data_id(backup: Backup) -> str:
    """Whose data in the store are its: its own, unless a record from elsewhere told of others."""
    return str(backup.volume_facts.get("data_id") or backup.id)


def has_data_of_its_own(w: Work, backup: Backup) -> bool:
    """Whether no other backup has the same data."""
    others = w.session.scalars(sa.select(Backup).where(Backup.volume_id == backup.volume_id, Backup.id != backup.id))
    return all(data_id(other) != data_id(backup) for other in others)


# What the engine writes down. Everything may be repeated.


def kept_as(w: Work, backup_id: str, form: str) -> None:
    """The format in which the data of an encrypted volume will be kept."""
    found = find(w, backup_id)
    if found is not None:
        told = {**found.volume_facts, SEALED: {**found.volume_facts[SEALED], "format": form}}
        change(w, backup_id, {"volume_facts": told}, Backup.status == "creating")


def stored(w: Work, backup_id: str, *, size_bytes: int, object_count: int, place: str) -> None:
    """The data are kept."""
    found = find(w, backup_id)
    container = {"container": place[:255]} if found is not None and not found.container else {}
    change(w, backup_id, {"status": "available", "size_bytes": size_bytes, "object_count": object_count, "problem": "",
                          **container}, Backup.status == "creating")  # fmt: skip


def confirmed(w: Work, backup_id: str) -> None:
    """The data of one from elsewhere are there."""
    change(w, backup_id, {"status": "available", "problem": ""}, Backup.status == "creating")


def failed(w: Work, backup_id: str, status: str, message: str, *, while_: str) -> None:
    found = find(w, backup_id)
    if change(w, backup_id, {"status": status, "problem": message[:2000]}, Backup.status == while_) and found:
        doing = "deleting backup" if while_ == "deleting" else "backup"
        messages.tell(w, found.project_id, "volume_backup", backup_id, doing, message[:2000])


def restored(w: Work, backup_id: str) -> None:
    """It was put back, or could not be: it is as good as before."""
    change(w, backup_id, {"status": "available"}, Backup.status == "restoring")


def gone(w: Work, backup_id: str) -> None:
    found = find(w, backup_id)
    if found is not None:
        w.session.delete(found)
        w.announce(TOPIC, backup_id, found.project_id)


ON_THEIR_WAY = ("creating", "restoring", "deleting")


def late(w: Work, before: datetime) -> list[Backup]:
    """Backups that have been in a passing status since ``before``."""
    last = sa.func.coalesce(Backup.updated_at, Backup.created_at)
    return list(w.session.scalars(sa.select(Backup).where(Backup.status.in_(ON_THEIR_WAY), last < before)))


def everything(w: Work) -> list[Backup]:
    return list(w.session.scalars(sa.select(Backup)))
