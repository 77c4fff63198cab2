"""What the engine writes down of a run. Everything may be repeated."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import block_devices, protection, protection_restore, servers, snapshots, states
from novalite.cloud.compute.block_devices import BlockDevice
from novalite.cloud.compute.image_tasks import CreateImage
from novalite.cloud.compute.protection_language import superseded
from novalite.cloud.compute.protection_records import DONE, FAILED, RUNNING, SERVER, Protection, ProtectionRun
from novalite.cloud.image import made
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import backups, volumes
from novalite.cloud.volume.tasks import BackupCreate
from novalite.db.work import Work
from novalite.errors import Failed


def get(w: Work, run_id: str) -> ProtectionRun:
    """Raises ``Failed`` when it has been forgotten."""
    found = w.session.get(ProtectionRun, run_id, populate_existing=True)
    if found is None:
        raise Failed("The run of the protection is no longer known.", code="protection.gone")
    return found


def find(w: Work, run_id: str) -> ProtectionRun | None:
    return w.session.get(ProtectionRun, run_id)


def owner(w: Work, run: ProtectionRun) -> tuple[str, str]:
    """The user who asked for the protection, and the project."""
    found = protection.find(w, run.resource_id)
    return (found.user_id, found.project_id) if found else ("", "")


def begin_copy(w: Work, run_id: str) -> None:
    """Ask for the copy, as the caller, and remember which it is in the same unit. Raises as ``create_image`` or
    ``backups.create`` do."""
    run = get(w, run_id)
    if run.copy_id or run.result != RUNNING:
        return
    values = _copy_server(w, run) if run.resource_type == SERVER else _copy_volume(w, run)
    _change(w, run_id, values)
    w.changed(sa.update(Protection).where(Protection.resource_id == run.resource_id)
              .values(resource_name=values["facts"]["name"]))  # fmt: skip


def _copy_server(w: Work, run: ProtectionRun) -> dict[str, Any]:
    """Its root disk and each of its volumes, all asked for in one unit. While the guest runs, none is begun before
    ``let_go``, so that all can be copied at one moment."""
    server = servers.get(w, run.resource_id)
    rows = block_devices.of_server(w, server.id)
    name, told = _name(server.name, w.now), {"protection": ",".join(run.frequencies)}
    attached = [row for row in rows if row.volume_id]
    copied = [_copy_attached(w, row, name, told) for row in sorted(attached, key=lambda row: not row.is_root)]
    root = block_devices.root_volume(rows)
    copy_id = copied[0]["backup_id"] if root else _image(w, server.id, name, told)
    facts = {**protection_restore.facts(w, server), "volumes": copied}
    makers = _makers(w, [server.id, *(each["volume_id"] for each in copied)], {copy_id, *_backups(copied)})
    if len(makers) > 1 and server.vm_state in _WITH_GUEST:
        facts["held"] = makers
        durable.hold(w, makers.values(), until=w.now + timedelta(seconds=snapshots.MOST_SECONDS))
    return {"copy_id": copy_id, "facts": facts}


def _image(w: Work, server_id: str, name: str, told: dict[str, str]) -> str:
    return snapshots.create_image(w, server_id, name, told, by_protection=True).id


_WITH_GUEST = (states.ACTIVE, states.PAUSED)


def _backups(copied: list[dict[str, Any]]) -> list[str]:
    return [str(each["backup_id"]) for each in copied]


def _makers(w: Work, resource_ids: list[str], parts: set[str]) -> dict[str, str]:
    """Part of the copy -> the task that makes it."""
    query = sa.select(durable.Task).where(
        durable.Task.resource_id.in_(resource_ids), durable.Task.state == durable.State.QUEUED,
        durable.Task.kind.in_((CreateImage.kind, BackupCreate.kind)),
    )  # fmt: skip
    named = {str(task.args.get("image_id") or task.args.get("backup_id")): task.id for task in w.session.scalars(query)}
    return {part: named[part] for part in sorted(parts & named.keys())}


def held(w: Work, run: ProtectionRun) -> dict[str, str]:
    """The tasks that wait for ``let_go``, by the part of the copy that each makes; none once they have been let go."""
    waiting = dict(run.facts.get("held") or {})
    return waiting if waiting and durable.are_held(w, waiting.values()) else {}


def let_go(w: Work, run: ProtectionRun, problem: str = "") -> None:
    """Let the parts of the copy be made; with the reason if they are not of one moment. Repeatable."""
    durable.let_go(w, dict(run.facts.get("held") or {}).values())
    if problem:
        _change(w, run.id, {"problem": f"The disks are not of one moment: {problem}"[:2000]})


def _copy_attached(w: Work, row: BlockDevice, name: str, told: dict[str, str]) -> dict[str, Any]:
    volume_id = str(row.volume_id)
    backup = backups.create(w, volume_id, name=name, description=None, force=True, metadata=told, by_protection=True)
    return {
        "backup_id": backup.id, "volume_id": volume_id, "size_gib": backup.size_gib,
        "device_name": row.device_name, "boot_index": row.boot_index, "disk_bus": row.disk_bus, "tag": row.tag,
        "delete_on_termination": row.delete_on_termination,
    }  # fmt: skip


def _copy_volume(w: Work, run: ProtectionRun) -> dict[str, Any]:
    volume = volumes.get(w, run.resource_id)
    name = volume.name or ""
    backup = backups.create(
        w, volume.id, name=_name(name or volume.id, w.now), description=None, force=True,
        metadata={"protection": ",".join(run.frequencies)}, by_protection=True,
    )  # fmt: skip
    return {"copy_id": backup.id, "facts": {"name": name}}


def _name(name: str, at: datetime) -> str:
    return f"{name[:230]} {at.strftime('%Y-%m-%d %H:%M')}"


def _change(w: Work, run_id: str, values: dict[str, Any]) -> None:
    w.changed(sa.update(ProtectionRun).where(ProtectionRun.id == run_id).values(**values))


def size(w: Work, run: ProtectionRun) -> int | None:
    """Bytes of the copy when all of it is whole; None while it is being made. Raises ``Failed`` when it will not be."""
    found = [_image_size(w, run)] if run.image_id else []
    found += [_backup_size(w, backup_id) for backup_id in run.backup_ids]
    return None if None in found else sum(each or 0 for each in found)


def _image_size(w: Work, run: ProtectionRun) -> int | None:
    image = made.find(w, run.copy_id or "")
    if image is None:
        raise Failed(_why(w, run), code="protection.not_copied")
    return image.size or 0 if image.status in ("active", "deactivated") else None


def _why(w: Work, run: ProtectionRun) -> str:
    """What the task that was to fill the image met."""
    query = sa.select(durable.Task).where(
        durable.Task.resource_id == run.resource_id, durable.Task.kind == CreateImage.kind,
        durable.Task.created_at >= run.started_at,
    )  # fmt: skip
    for task in w.session.scalars(query):
        if task.args.get("image_id") == run.copy_id and task.error:
            return str(task.error.get("message") or "The server's disk could not be copied.")
    return "The image was deleted before it was whole."


def _backup_size(w: Work, backup_id: str) -> int | None:
    backup = backups.find(w, backup_id)
    if backup is None or backup.status == "deleting":
        raise Failed("The backup was deleted before it was whole.", code="protection.not_copied")
    if backup.status == "error":
        raise Failed(backup.problem or "The volume could not be copied.", code="protection.not_copied")
    return None if backup.status == "creating" else backup.size_bytes


def done(w: Work, run_id: str, size_bytes: int) -> None:
    """The copy is whole."""
    _change(w, run_id, {"result": DONE, "size_bytes": size_bytes, "ended_at": w.now})


def failed(w: Work, run_id: str, why: str) -> None:
    """No copy; or one, and older ones that could not be deleted. The next run may begin."""
    unfinished = sa.update(ProtectionRun).where(ProtectionRun.id == run_id, ProtectionRun.result == RUNNING)
    w.changed(unfinished.values(result=FAILED, ended_at=w.now))
    _change(w, run_id, {"problem": why[:2000]})
    end(w, run_id)


def end(w: Work, run_id: str) -> None:
    """The next run may begin."""
    w.changed(sa.update(Protection).where(Protection.run_id == run_id).values(run_id=None))
    run = w.session.get(ProtectionRun, run_id)
    if run is not None and run.resource_type == SERVER:
        w.announce(servers.TOPIC, run.resource_id, owner(w, run)[1])


def over(w: Work, resource_id: str) -> list[ProtectionRun]:
    """Runs whose copies nothing keeps any more, oldest first, and those that left a part of one. Nothing of a
    protection that has been ended."""
    found = protection.find(w, resource_id)
    if found is None or not found.rules:
        return []
    query = sa.select(ProtectionRun).where(ProtectionRun.resource_id == resource_id, ProtectionRun.result != RUNNING,
                                           ProtectionRun.copy_id.is_not(None))  # fmt: skip
    ended = list(w.session.scalars(query.order_by(ProtectionRun.started_at.desc(), ProtectionRun.id)))
    alive = protection.there(w, ended)
    whole = [(run.id, run.frequencies) for run in ended if run.result == DONE and run.copy_id in alive]
    unkept = set(superseded(found.parsed, whole))
    useless = protection.left(w, ended) - {run_id for run_id, _ in whole}
    return [run for run in reversed(ended) if run.id in unkept | useless]


def forget_backup(w: Work, backup_id: str) -> bool:
    """Give a backup up, as the caller; False while its status does not allow it."""
    backup = backups.find(w, backup_id)
    if backup is None or backup.status == "deleting":
        return True
    if backup.status not in backups.DELETABLE:
        return False
    backups.delete(w, backup.id)
    return True


def copy_gone(w: Work, run_id: str) -> None:
    """The copy of a run is no more: neither is a run that went well."""
    w.changed(sa.delete(ProtectionRun).where(ProtectionRun.id == run_id, ProtectionRun.result == DONE))
    _change(w, run_id, {"copy_id": None})


def end_orphans(w: Work) -> int:
    """Runs whose task has ended without a word are failed; how many."""
    ended = sa.or_(durable.Task.id.is_(None), durable.Task.state.in_(durable.ENDED))
    query = (
        sa.select(ProtectionRun.id)
        .join(Protection, Protection.run_id == ProtectionRun.id)
        .outerjoin(durable.Task, durable.Task.id == ProtectionRun.task_id)
        .where(ended)
    )
    found = list(w.session.scalars(query))
    for run_id in found:
        failed(w, run_id, "It ended without a result.")
    return len(found)


def prune(w: Work, *, older_than: datetime) -> int:
    """Forget old runs of which there is no copy, then ended protections without runs; how many runs."""
    query = sa.select(ProtectionRun).where(ProtectionRun.result != RUNNING, ProtectionRun.started_at < older_than)
    old = list(w.session.scalars(query))
    lost = list({run.id for run in old} - protection.left(w, old))
    for ids in protection.portions(lost):
        w.changed(sa.delete(ProtectionRun).where(ProtectionRun.id.in_(ids)))
    without = ~sa.exists().where(ProtectionRun.resource_id == Protection.resource_id)
    w.changed(sa.delete(Protection).where(Protection.next_at.is_(None), Protection.run_id.is_(None), without))
    return len(lost)
