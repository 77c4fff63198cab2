"""The flow that begins a server's disks anew from an image, on the host where it is."""

from __future__ import annotations

from novalite.cloud.compute import progress, states
from novalite.cloud.compute import rebuild as rebuilding
from novalite.cloud.compute.tasks import Rebuild
from novalite.cloud.volume import changes, volumes
from novalite.cloud.volume import tasks as volume_tasks
from novalite.db.work import Work
from novalite.drivers.compute.base import Power
from novalite.engine.conductor import guests, outcome, placement, power
from novalite.engine.flow import Flow, Run, Step, Wait
from novalite.errors import Failed

_EPHEMERAL = ("ephemeral", "swap")
_FILLING = "downloading"
_LOOK_AGAIN_SECONDS = 2.0
"""The volume may be filled between the look at it and the waiting for it."""


def _show(w: Work, run: Run, what: str) -> None:
    progress.doing(w, run.server_id, what)


def _fit(run: Run) -> None:
    run.parts.scheduling.do(lambda: placement.refuse_image(run))


def _image(run: Run) -> None:
    guests.bring_image(run, guests.planned(run))


def _down(run: Run) -> Wait | None:
    """What is kept, or is somebody else's, is put to rest first; nobody needs what is thrown away."""
    run.memo["touched"] = True
    made = guests.planned(run)
    if run.args["preserve_ephemeral"] or any(disk.path for disk in made.spec.disks):
        return power.shutdown(run)
    power.off(run)
    return None


def _disks(run: Run) -> None:
    driver, made = guests.driver(run), guests.planned(run)
    if driver.guest(run.server_id).power is Power.ABSENT:
        driver.delete_guest(run.server_id)  # its disks, if any, are made with the guest
        return
    for disk in made.spec.disks:
        kept = run.args["preserve_ephemeral"] and disk.name.startswith(_EPHEMERAL)
        if not disk.path and not kept:
            driver.replace_disk(run.server_id, disk)
    below = run.args["old_image"].get("root")
    if below:  # what a shelved server came back from; no other server begins from that
        driver.remove_image(below["id"])


def _volume(run: Run) -> Wait | None:
    """A root disk that is a volume has the new image. To ask twice is to fill it twice."""
    volume_id = str(run.args["volume_id"])
    if not volume_id:
        return None
    with run.parts.database.write(run.ctx) as w:
        volume = volumes.get(w, volume_id)
        if volume.status != _FILLING and not run.memo.get("filling"):
            changes.reimage(w, volume_id, str(run.args["image_id"]), attached_too=True)
        elif volume.status != _FILLING:
            if volume.status != "in-use":
                raise Failed(f"Volume {volume_id} could not be begun anew: it is {volume.status}. {volume.problem}",
                             code="volume.not_made")  # fmt: skip
            return None
    run.memo["filling"] = True
    return Wait(volume_tasks.changed(volume_id), _LOOK_AGAIN_SECONDS)


def _stays_off(run: Run) -> bool:
    return bool(run.args["was"] == states.STOPPED)


def _spawn(run: Run) -> None:
    """A server that was off gets its new definition when it is started."""
    if not _stays_off(run):
        power.launch(run)


def _finish(run: Run) -> None:
    if _stays_off(run):
        outcome.settled(run, states.STOPPED, states.SHUTDOWN)
    else:
        guests.launched(run)


def _failed(run: Run, error: Exception) -> None:
    if not run.memo.get("touched"):
        with run.parts.database.write(run.ctx) as w:
            rebuilding.put_back(w, run.server_id, run.args["old_image_id"], run.args["old_image"])
    outcome.failed_into_error(run, error)


FLOWS = (
    Flow(
        Rebuild.kind,
        (
            Step("fit", _fit),
            Step("image", _image),
            Step("down", _down),
            Step("disks", _disks, shows="rebuild_block_device_mapping"),
            Step("volume", _volume),
            Step("wire", guests.wire, shows="rebuild_spawning"),
            Step("spawn", _spawn),
            Step("finish", _finish),
        ),
        failed=_failed,
        show=_show,
    ),
)
