"""The flow that lets a guest go on with another volume in place of one it has, while it runs."""

from __future__ import annotations

from novalite.cloud.compute import block_devices, progress, tasks, volume_swaps
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import volumes
from novalite.context import internal
from novalite.drivers.compute.base import DiskSpec, Power
from novalite.engine.conductor import beside, guest_disks, guests
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed


def _device_id(run: Run) -> str:
    return str(run.args["device_id"])


def _attachment_id(run: Run) -> str:
    return str(run.args["attachment_id"])


def _disks(run: Run) -> tuple[DiskSpec, DiskSpec] | None:
    """What the guest has, and what it is to have; None when the server has it no longer."""
    with run.parts.database.read(run.ctx) as w:
        server, row = progress.find(w, run.server_id), block_devices.by_id(w, _device_id(run))
        if server is None or row is None:
            return None
        keys = run.parts.settings.state_path
        return (guest_disks.volume_disk(w, server, row, keys),
                guest_disks.volume_disk(w, server, row, keys, str(run.args["volume_id"])))  # fmt: skip


def require_wanted(run: Run) -> None:
    """Raises ``Failed`` once the task has been called off."""
    with run.parts.database.read(internal()) as w:
        if durable.is_unwanted(w, run.task_id):
            raise Failed("The task was called off.", code="task.unwanted")


def require_reach(run: Run, host: str, backend: str) -> None:
    """Raises ``Failed`` for a backend that the host of a guest does not reach by itself: what is exported to it cannot
    be filled there."""
    if not run.parts.links.is_here(host) and not run.parts.volumes.of(backend).is_everywhere():
        raise Failed(f"Host {host} does not reach what backend {backend} keeps.", code="volume.out_of_reach")


def turn(run: Run, now: DiskSpec, then: DiskSpec) -> None:
    """Let the guest go on with other storage, unless the task is called off meanwhile."""
    driver = guests.driver(run)
    beside.run(
        lambda: driver.swap_disk(run.server_id, now.serial, then),
        lambda: require_wanted(run),
        lambda: driver.end_swap(run.server_id, now.serial, then),
    )


def turn_back(run: Run, now: DiskSpec, then: DiskSpec) -> None:
    """Let the guest stay with what it had, also when it has gone on already: it is copied back then."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
    if server is None or not server.host:
        return
    driver = run.parts.links.driver(server.host)
    driver.end_swap(run.server_id, now.serial, then)
    if driver.guest(run.server_id).power is not Power.ABSENT:
        driver.swap_disk(run.server_id, now.serial, now)


def _begin(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume_swaps.begun(w, run.server_id, _device_id(run), _attachment_id(run))


def _stay(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume_swaps.stayed(w, _device_id(run), _attachment_id(run))


def _turn(run: Run) -> None:
    found = _disks(run)
    if found is None:
        raise Failed("The volume is no longer the server's.", code="volume.gone")
    with run.parts.database.read(run.ctx) as w:
        volume = volumes.find(w, str(run.args["volume_id"]))
    require_reach(run, guests.host(run), volume.backend if volume is not None else "")
    turn(run, *found)


def _turn_back(run: Run) -> None:
    found = _disks(run)
    if found is not None:
        turn_back(run, *found)


def _finish(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume_swaps.swapped(w, run.server_id, _device_id(run), str(run.args["volume_id"]), _attachment_id(run))


def _nothing(run: Run, error: Exception) -> None:
    """The task keeps the error for the action log; the server is what it was."""


FLOWS = (
    Flow(tasks.SwapVolume.kind,
         (Step("begin", _begin, _stay), Step("turn", _turn, _turn_back), Step("finish", _finish)),
         failed=_nothing),
)  # fmt: skip
