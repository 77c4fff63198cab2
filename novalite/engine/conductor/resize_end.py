"""The flows that end a resize or a cold migration: what was before is thrown away, or comes back."""

from __future__ import annotations

from novalite import logs
from novalite.cloud.compute import migrations, moving_tasks, progress, resize, servers, states
from novalite.cloud.hosts import aside, hosts
from novalite.drivers.compute.base import GuestState, Power
from novalite.engine.conductor import guests, moves, outcome, power
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import DriverError, Failed, Unavailable

_log = logs.get("conductor")


def _decide(run: Run) -> None:
    """Written down before anything goes: from here on a disk of before may be missing."""
    run.memo["decided"] = True


def _drop_old(run: Run) -> None:
    _, move = moves.known(run)
    if moves.stays(move):
        run.parts.links.driver(move.source_host).drop_kept_disks(run.server_id, move.holder)
    else:
        moves.remove_from(run, move.source_host)


def _confirmed(run: Run) -> None:
    server, move = moves.known(run)
    guest = _guest(run)
    with run.parts.database.write(run.ctx) as w:
        hosts.release(w, move.holder)
        migrations.move_on(w, move.id, migrations.CONFIRMED)
        if server.vm_state != states.RESIZED:  # somebody has given it another state by hand
            return
        progress.settle(w, run.server_id, vm_state=_vm_state(guest), power_state=progress.POWER_STATES[guest.power])
        servers.change(w, run.server_id, {"old_vm_state": None})
        progress.observed(w, run.server_id, guest.power.value, guest.detail)


def _guest(run: Run) -> GuestState:
    """What the guest does; that it runs, until its host tells better. What was before is gone: there is no way back."""
    try:
        return guests.driver(run).guest(run.server_id)
    except (DriverError, Unavailable) as error:
        _log.info("left to reconciliation", server_id=run.server_id, why=str(error))
        return GuestState(run.server_id, Power.RUNNING)


def _vm_state(guest: GuestState) -> str:
    """A guest that was turned off before the confirmation stays off."""
    return states.STOPPED if guest.power in (Power.OFF, Power.ABSENT) else states.ACTIVE


def _not_confirmed(run: Run, error: Exception) -> None:
    if not _is_past_return(run):
        _still_resized(run, error)


def _confirmation_cut_off(run: Run) -> None:
    if not _is_past_return(run):
        _cut_off(run)


def _is_past_return(run: Run) -> bool:
    """Once the old host may have lost the disks there is nothing to go back to: what was cut off is brought to its
    end."""
    if not run.memo.get("decided") or moves.stays(moves.known(run)[1]):
        return False
    _confirmed(run)
    return True


def _still_resized(run: Run, error: Exception) -> None:
    """What could not be ended may be ended again, this way or that."""
    with run.parts.database.write(run.ctx) as w:
        migrations.move_on(w, moves.number(run), migrations.FINISHED)
        what = progress.fault(500, outcome.message_of(error), w.now)
        progress.failed(w, run.server_id, what, vm_state=None)


def _restore(run: Run) -> None:
    _, move = moves.known(run)
    source = run.parts.links.driver(move.source_host)
    if moves.stays(move):
        source.restore_disks(run.server_id, move.holder)
    elif source.guest(run.server_id).power is Power.ABSENT:
        raise Failed(
            f"Host {move.source_host} has nothing of the server any more: there is no way back.",
            code="guest.not_found",
            hint="Confirm the resize.",
        )


def _switch_back(run: Run) -> None:
    server, move = moves.known(run)
    with run.parts.database.write(run.ctx) as w:
        resize.settle_on(w, server, move.old_flavor, move.source_host)
        aside.take_back(w, server.id, move.holder)


def _drop_new(run: Run) -> None:
    _, move = moves.known(run)
    if not moves.stays(move):
        moves.remove_from(run, move.dest_host)


def _reverted(run: Run) -> None:
    server, move = moves.known(run)
    ran = server.old_vm_state == states.ACTIVE
    with run.parts.database.write(run.ctx) as w:
        migrations.move_on(w, move.id, migrations.REVERTED)
        progress.settle(w, server.id, vm_state=server.old_vm_state or states.STOPPED,
                        power_state=states.RUNNING if ran else states.SHUTDOWN)  # fmt: skip
        servers.change(w, server.id, {"old_vm_state": None})


def _is_back(run: Run) -> bool:
    _, move = moves.known(run)
    with run.parts.database.read(run.ctx) as w:
        return not aside.is_held(w, move.holder)


def _not_reverted(run: Run, error: Exception) -> None:
    """Once the server is what it was only its start has failed: it may be started again."""
    if _is_back(run):
        moves.ended(run)
        outcome.failed_into_error(run, error)
    else:
        _still_resized(run, error)


def _cut_off(run: Run) -> None:
    """What the move holds waits for another end, unless the server is back already."""
    if _is_back(run):
        moves.ended(run)
    else:
        with run.parts.database.write(run.ctx) as w:
            migrations.move_on(w, moves.number(run), migrations.FINISHED)


FLOWS = (
    Flow(
        moving_tasks.ConfirmResize.kind,
        (Step("decide", _decide), Step("drop", _drop_old), Step("finish", _confirmed)),
        failed=_not_confirmed,
        cancelled=_confirmation_cut_off,
    ),
    Flow(
        moving_tasks.RevertResize.kind,
        (
            Step("off", power.off),
            Step("restore", _restore),
            Step("switch", _switch_back),
            Step("drop", _drop_new),
            Step("launch", moves.start_guest),
            Step("finish", _reverted),
        ),
        failed=_not_reverted,
        cancelled=_cut_off,
    ),
)
