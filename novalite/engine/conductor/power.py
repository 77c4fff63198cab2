"""The flows that change a guest's power: start, stop, reboot, pause, unpause, suspend, resume."""

from __future__ import annotations

from datetime import datetime, timedelta

from novalite import clock
from novalite.cloud.compute import progress, states, tasks
from novalite.drivers.compute.base import ComputeDriver, Power, PowerAction
from novalite.engine.conductor import guests
from novalite.engine.events import guest_event
from novalite.engine.flow import Flow, Run, Step, Wait
from novalite.errors import Failed, NovaLiteError, Unavailable

_ASK_AGAIN_SECONDS = 3.0


def _driver(run: Run) -> ComputeDriver:
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        host = server.host if server else None
    if not host:
        raise Failed("The server is on no host.", code="server.not_placed", hint="Delete it and make a new one.")
    return run.parts.links.driver(host)


def _settled(run: Run, vm_state: str, power_state: int) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.settle(w, run.server_id, vm_state=vm_state, power_state=power_state, launched=True)


def _failed_into_error(run: Run, error: Exception) -> None:
    _record(run, error, states.ERROR)


def _failed_in_place(run: Run, error: Exception) -> None:
    _record(run, error, None)


def _record(run: Run, error: Exception, vm_state: str | None) -> None:
    message = error.message if isinstance(error, NovaLiteError) else str(error)
    power: str | None = None
    if vm_state is None:
        try:
            power = _driver(run).guest(run.server_id).power.value
        except (NovaLiteError, Unavailable) as lost:
            message = f"{message} (and its state is unknown: {lost.message})"
    with run.parts.database.write(run.ctx) as w:
        progress.failed(w, run.server_id, progress.fault(500, message, w.now), vm_state=vm_state)
        if power is not None:
            progress.observed(w, run.server_id, power)


def _shutdown(run: Run) -> Wait | None:
    """Ask the guest until it is off; pull the plug when its time is up."""
    driver = _driver(run)
    power = driver.guest(run.server_id).power
    if power in (Power.OFF, Power.ABSENT, Power.CRASHED):
        return None
    until = run.memo.setdefault("shutdown_until", _until(run.parts.settings.compute.stop_timeout_seconds))
    left = (datetime.fromisoformat(until) - clock.now()).total_seconds()
    if power is Power.RUNNING and left > 0:
        if driver.set_power(run.server_id, PowerAction.SHUTDOWN).power is Power.OFF:
            return None
        return Wait(guest_event(run.server_id), min(_ASK_AGAIN_SECONDS, left))
    driver.set_power(run.server_id, PowerAction.OFF)
    return None


def _until(seconds: float) -> str:
    return (clock.now() + timedelta(seconds=seconds)).isoformat()


def _off(run: Run) -> None:
    driver = _driver(run)
    if driver.guest(run.server_id).power not in (Power.OFF, Power.ABSENT):
        driver.set_power(run.server_id, PowerAction.OFF)


def _launch(run: Run) -> None:
    """Start the guest with a definition made afresh; its disks stay."""
    made = guests.planned(run)
    run.parts.links.driver(made.host).ensure_guest(made.spec)


def _stopped(run: Run) -> None:
    _settled(run, states.STOPPED, states.SHUTDOWN)


def _set(action: PowerAction) -> Step:
    def act(run: Run) -> None:
        _driver(run).set_power(run.server_id, action)

    return Step(action.value, act)


def _paused(run: Run) -> None:
    _settled(run, states.PAUSED, states.POWER_PAUSED)


def _suspended(run: Run) -> None:
    _settled(run, states.SUSPENDED, states.POWER_SUSPENDED)


def _wired(run: Run) -> None:
    guests.wire(run)


def _reboot_down(run: Run) -> Wait | None:
    if run.args.get("hard"):
        _off(run)
        return None
    return _shutdown(run)


FLOWS = (
    Flow(tasks.Start.kind, (Step("wire", _wired), Step("launch", _launch), Step("finish", guests.launched)),
         failed=_failed_into_error),
    Flow(tasks.Stop.kind, (Step("shutdown", _shutdown), Step("finish", _stopped)), failed=_failed_in_place),
    Flow(tasks.Reboot.kind,
         (Step("down", _reboot_down), Step("wire", _wired), Step("launch", _launch), Step("finish", guests.launched)),
         failed=_failed_into_error),
    Flow(tasks.Pause.kind, (_set(PowerAction.PAUSE), Step("finish", _paused)), failed=_failed_in_place),
    Flow(tasks.Unpause.kind, (_set(PowerAction.UNPAUSE), Step("finish", guests.launched)), failed=_failed_in_place),
    Flow(tasks.Suspend.kind, (_set(PowerAction.SUSPEND), Step("finish", _suspended)), failed=_failed_in_place),
    Flow(tasks.Resume.kind, (Step("wire", _wired), _set(PowerAction.RESUME), Step("finish", guests.launched)),
         failed=_failed_into_error),
)  # fmt: skip
