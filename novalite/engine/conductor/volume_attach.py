"""The flows that plug a volume into a server, and out of it."""

from __future__ import annotations

from novalite.cloud.compute import block_devices, progress, states, tasks, volume_attachments
from novalite.drivers.compute.base import DiskSpec, Power
from novalite.engine.conductor import guest_disks, guests, volume_reach
from novalite.engine.flow import Flow, Run, Step


def _device_id(run: Run) -> str:
    return str(run.args["device_id"])


def _disk(run: Run) -> DiskSpec | None:
    """The disk, for a guest that there is; a guest that its host does not know gets its disks from the records
    when it is started. None too when the volume is no longer the server's."""
    with run.parts.database.read(run.ctx) as w:
        server, row = progress.find(w, run.server_id), block_devices.by_id(w, _device_id(run))
        if server is None or row is None or not server.host:
            return None
        disk = guest_disks.volume_disk(w, server, row, run.parts.settings.state_path)
    power = run.parts.links.driver(server.host).guest(run.server_id).power
    return None if power is Power.ABSENT else disk


def _begin(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume_attachments.begun(w, run.server_id, _device_id(run))


def _plug(run: Run) -> None:
    disk = _disk(run)
    if disk is not None:
        host = guests.host(run)
        (reached,) = volume_reach.opened(run, host, (disk,))
        run.parts.links.driver(host).attach_disk(run.server_id, reached)


def _unplug(run: Run) -> None:
    disk = _disk(run)
    if disk is not None:
        guests.driver(run).detach_disk(run.server_id, disk.serial)
    volume_reach.close(run, _device_id(run))


def _unplug_again(run: Run) -> None:
    """The guest of a server that goes is not waited for: it goes as a whole."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        goes = server is None or server.task_state == states.DELETING
    if not goes:
        _unplug(run)


def _attached(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume_attachments.attached(w, run.server_id, _device_id(run))


def _detached(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume_attachments.detached(w, run.server_id, _device_id(run))


def _kept(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        volume_attachments.kept(w, _device_id(run))


def _nothing(run: Run, error: Exception) -> None:
    """The task keeps the error for the action log; the server is what it was."""


FLOWS = (
    Flow(tasks.AttachVolume.kind,
         (Step("begin", _begin, _detached), Step("plug", _plug, _unplug_again), Step("finish", _attached)),
         failed=_nothing),
    Flow(tasks.DetachVolume.kind, (Step("unplug", _unplug, _kept), Step("finish", _detached)), failed=_nothing),
)  # fmt: skip
