"""The flows that change a guest's power: start, stop, reboot, pause, unpause, suspend, resume."""

from __future__ import annotations

from datetime import datetime, timedelta

from novalite import clock
from novalite.cloud.compute import states, tasks
from novalite.drivers.compute.base import Power, PowerAction
from novalite.engine.conductor import guests, outcome
from novalite.engine.events import guest_event
from novalite.engine.flow import Flow, Run, Step, Wait

_ASK_AGAIN_SECONDS = 3.0


def shutdown(run: Run) -> Wait | None:
    """Ask the guest until it is off; pull the plug when its time is up."""
    driver = guests.driver(run)
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


def off(run: Run) -> None:
    driver = guests.driver(run)
    if driver.guest(run.server_id).power not in (Power.OFF, Power.ABSENT):
        driver.set_power(run.server_id, PowerAction.OFF)


def launch(run: Run) -> None:
    """Start the guest with a definition made afresh; its disks stay."""
    made = guests.planned(run)
    guests.start(run, made)


def _stopped(run: Run) -> None:
    outcome.settled(run, states.STOPPED, states.SHUTDOWN)


def _set(action: PowerAction) -> Step:
    def act(run: Run) -> None:
        guests.driver(run).set_power(run.server_id, action)

    return Step(action.value, act)


def _resume(run: Run) -> None:
    """A guest with encrypted disks needs their keys for it, which its host forgets when it restarts."""
    driver, made = guests.driver(run), guests.planned(run)
    encrypted = any(disk.key for disk in made.spec.disks)
    if encrypted and driver.guest(run.server_id).power is Power.SUSPENDED:
        driver.ensure_guest(made.spec)
    else:
        driver.set_power(run.server_id, PowerAction.RESUME)


def _paused(run: Run) -> None:
    outcome.settled(run, states.PAUSED, states.POWER_PAUSED)


def _suspended(run: Run) -> None:
    outcome.settled(run, states.SUSPENDED, states.POWER_SUSPENDED)


def _wired(run: Run) -> None:
    guests.wire(run)


def _reboot_down(run: Run) -> Wait | None:
    if run.args.get("hard"):
        off(run)
        return None
    return shutdown(run)


FLOWS = (
    Flow(tasks.Start.kind, (Step("wire", _wired), Step("launch", launch), Step("finish", guests.launched)),
         failed=outcome.failed_into_error),
    Flow(tasks.Stop.kind, (Step("shutdown", shutdown), Step("finish", _stopped)), failed=outcome.failed_in_place),
    Flow(tasks.Reboot.kind,
         (Step("down", _reboot_down), Step("wire", _wired), Step("launch", launch), Step("finish", guests.launched)),
         failed=outcome.failed_into_error),
    Flow(tasks.Pause.kind, (_set(PowerAction.PAUSE), Step("finish", _paused)), failed=outcome.failed_in_place),
    Flow(tasks.Unpause.kind, (_set(PowerAction.UNPAUSE), Step("finish", guests.launched)),
         failed=outcome.failed_in_place),
    Flow(tasks.Suspend.kind, (_set(PowerAction.SUSPEND), Step("finish", _suspended)), failed=outcome.failed_in_place),
    Flow(tasks.Resume.kind, (Step("wire", _wired), Step("resume", _resume), Step("finish", guests.launched)),
         failed=outcome.failed_into_error),
)  # fmt: skip
