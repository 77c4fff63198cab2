"""The flow of a run of a protection: ask for the copies, await them, write it down, delete what nothing keeps."""

from __future__ import annotations

from dataclasses import replace

from novalite.clock import now
from novalite.cloud.compute import progress, protection_runs
from novalite.cloud.compute.protection_records import RUNNING, ProtectionRun
from novalite.cloud.compute.protection_tasks import Protect
from novalite.cloud.image import made
from novalite.context import Context, internal
from novalite.drivers.compute.base import DiskCopy
from novalite.engine.conductor import outcome, snapshot, volume_backups, volume_sources
from novalite.engine.flow import Flow, Run, Step, Wait
from novalite.errors import Conflict, DriverError, Invalid

_BUSY_SECONDS = 1800.0
"""How long a run waits until what else goes on with a server or volume has ended."""
_BUSY_LOOK_SECONDS, _LOOK_SECONDS = 5.0, 1.0


def _run_id(run: Run) -> str:
    return str(run.args["run_id"])


def _record(run: Run) -> tuple[ProtectionRun, Context]:
    """The run, and whoever asked for the protection."""
    with run.parts.database.read(internal()) as w:
        record = protection_runs.get(w, _run_id(run))
        user_id, project_id = protection_runs.owner(w, record)
    return record, replace(run.ctx, user_id=user_id, project_id=project_id)


def _copy(run: Run) -> Wait | None:
    record, who = _record(run)
    try:
        with run.parts.database.write(who) as w:
            protection_runs.begin_copy(w, record.id)
    except (Conflict, Invalid) as error:
        waited = (now() - record.started_at).total_seconds()
        if not _may_pass(error) or waited > _BUSY_SECONDS:
            raise
        return Wait(f"protection:{record.id}", _BUSY_LOOK_SECONDS)
    return None


def _may_pass(error: Conflict | Invalid) -> bool:
    """Whether something else goes on, after which a copy can be made."""
    if error.code == "server.state":
        return bool(error.facts.get("task_state")) or "vm_state" not in error.facts
    return error.code == "volume.state" and not str(error.facts["status"]).startswith("error")


def _moment(run: Run) -> None:
    """Copies of all disks of a guest that runs, as they are at one moment, on its host: the tasks that make the parts
    find them there. A host that cannot do it lets each be copied by itself, which the run tells."""
    record, _ = _record(run)
    with run.parts.database.read(internal()) as w:
        waiting, server = protection_runs.held(w, record), progress.find(w, record.resource_id)
    if not waiting:
        return
    problem = ""
    try:
        if server is not None and server.host:
            copies = _disk_copies(run, record, waiting)
            run.parts.links.driver(server.host).take_snapshots(server.id, copies)
    except DriverError as error:
        if error.retryable:
            raise
        problem = str(error)
    with run.parts.database.write(internal()) as w:
        protection_runs.let_go(w, record, problem)


def _disk_copies(run: Run, record: ProtectionRun, waiting: dict[str, str]) -> tuple[DiskCopy, ...]:
    """Under the names by which the tasks look for them. A volume that another guest has as well is left to its task."""
    found = [DiskCopy(snapshot.ROOT, record.image_id)] if record.image_id in waiting and record.image_id else []
    for each in record.volumes:
        using = volume_sources.users(run, str(each["volume_id"]))
        if [user.server_id for user in using] == [record.resource_id]:
            name = volume_backups.copy_name(waiting[str(each["backup_id"])])
            found.append(DiskCopy(using[0].serial, name, volume_sources.disk_key(run, str(each["volume_id"]))))
    return tuple(found)


def _await(run: Run) -> Wait | None:
    with run.parts.database.read(internal()) as w:
        record = protection_runs.get(w, _run_id(run))
        size_bytes = protection_runs.size(w, record) if record.result == RUNNING else 0
    if size_bytes is None:
        return Wait(f"protection:{record.id}", _LOOK_SECONDS)
    if record.result == RUNNING:
        with run.parts.database.write(internal()) as w:
            protection_runs.done(w, record.id, size_bytes)
    return None


def _give_up(run: Run) -> None:
    """A copy that is not whole, or that came too late. A backup that is still being made goes with a later run."""
    record, who = _record(run)
    with run.parts.database.write(internal()) as w:
        protection_runs.let_go(w, record)
    if record.copy_id and record.result == RUNNING:
        _forget(run, record, who)


def _rotate(run: Run) -> None:
    record, who = _record(run)
    with run.parts.database.read(internal()) as w:
        over = protection_runs.over(w, record.resource_id)
    for old in over:
        _forget(run, old, who)


def _forget(run: Run, record: ProtectionRun, who: Context) -> None:
    """What its owner protects from deletion stays."""
    if record.image_id:
        snapshot.forget(run, record.image_id)
    with run.parts.database.write(who) as w:
        gone = [protection_runs.forget_backup(w, backup_id) for backup_id in record.backup_ids]
        if all(gone) and (record.image_id is None or made.find(w, record.image_id) is None):
            protection_runs.copy_gone(w, record.id)


def _finish(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        protection_runs.end(w, _run_id(run))


def _failed(run: Run, error: Exception) -> None:
    with run.parts.database.write(internal()) as w:
        protection_runs.failed(w, _run_id(run), outcome.message_of(error))


def _cancelled(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        protection_runs.failed(w, _run_id(run), "It was called off.")


FLOWS = (
    Flow(Protect.kind, (Step("copy", _copy, _give_up), Step("moment", _moment), Step("await", _await),
                        Step("rotate", _rotate), Step("finish", _finish)), failed=_failed, cancelled=_cancelled),
)  # fmt: skip
