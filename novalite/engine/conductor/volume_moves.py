"""The flow that brings a volume to another backend or makes it another type, and the one that tidies up behind it. What
a guest has is copied while it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from novalite import logs
from novalite.cloud.compute import block_devices
from novalite.cloud.compute import progress as of_servers
from novalite.cloud.volume import placing, progress, snapshots, tasks, types, volumes
from novalite.cloud.volume.placing import Wish
from novalite.cloud.volume.records import Volume, VolumeType
from novalite.db.work import Work
from novalite.drivers.compute.base import DiskSpec, Power
from novalite.drivers.storage.base import OfImage, VolumePool
from novalite.engine.conductor import guest_disks, volume_sources, volume_swap
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed

_log = logs.get("conductor")


def _volume(run: Run) -> Volume:
    with run.parts.database.read(run.ctx) as w:
        found = volumes.find(w, str(run.args["volume_id"]))
    if found is None:
        raise Failed("The volume is no longer there.", code="volume.gone")
    return found


def _target(run: Run) -> str:
    """The backend that is to keep the volume."""
    return str(run.memo.get("backend", ""))


def _place(run: Run) -> None:
    """Choose once; what is written down stays."""
    if _target(run):
        return
    volume, pools = _volume(run), run.parts.volumes.pools()
    with run.parts.database.read(run.ctx) as w:
        wish = _wish(w, run, volume)
        rooms, has_snapshots = placing.rooms(w, pools), bool(snapshots.of_volumes(w, [volume.id]))
    if run.args["type_id"] and _suits(wish, volume, pools):
        run.memo["backend"] = volume.backend
        return
    if not run.args["may_move"]:
        raise Failed("Retype requires migration but is not allowed.", code="volume.may_not_move")
    if has_snapshots:
        raise Failed("Volume must not have snapshots.", code="volume.has_snapshots")
    wanted = str(run.args["backend"])
    others = {name: room for name, room in rooms.items() if name == wanted or (not wanted and name != volume.backend)}
    options = run.parts.settings.volumes
    run.memo["backend"] = placing.choose(
        wish, others, reserve_gib=options.reserve_gib, oversubscription=options.oversubscription,
        away={wanted} - set(pools) if wanted else set(run.parts.volumes.drivers) - set(pools),
    )  # fmt: skip
    _require_reach(run)
    with run.parts.database.write(run.ctx) as w:
        progress.moving(w, volume.id)


def _require_reach(run: Run) -> None:
    with run.parts.database.read(run.ctx) as w:
        server = of_servers.find(w, str(run.args["server_id"]))
    if server is not None and server.host:
        volume_swap.require_reach(run, server.host, _target(run))


def _wish(w: Work, run: Run, volume: Volume) -> Wish:
    """What the type asks for that the volume is to have, without regard to what it was made of."""
    wish = replace(placing.wish_of(w, volume, volume.size_gib), near="")
    kind = w.session.get(VolumeType, str(run.args["type_id"])) if run.args["type_id"] else None
    return wish if kind is None else replace(wish, specs=placing.specs_of(kind), shared=types.is_multiattach(kind))


def _suits(wish: Wish, volume: Volume, pools: dict[str, VolumePool]) -> bool:
    return volume.backend in pools and not placing.mismatch(wish, volume.backend, pools[volume.backend])


def _guests_disk(run: Run) -> DiskSpec | None:
    """The disk of the guest that the volume is; None when no guest has it."""
    with run.parts.database.read(run.ctx) as w:
        server = of_servers.find(w, str(run.args["server_id"]))
        row = block_devices.by_id(w, str(run.args["device_id"]))
        if server is None or row is None or not server.host or row.volume_id != run.args["volume_id"]:
            return None
        disk = guest_disks.volume_disk(w, server, row, run.parts.settings.state_path)
    power = run.parts.links.driver(server.host).guest(server.id).power
    return None if power is Power.ABSENT else disk


def _make(run: Run) -> None:
    """The volume on the other backend: an empty one that the guest's host fills, or a whole copy. That is made anew
    when it is repeated: what is there may be an empty one, made while there was a guest."""
    volume = _volume(run)
    if _target(run) == volume.backend:
        return
    used = run.memo.setdefault("used", _guests_disk(run) is not None)
    key = volume_sources.key(run, volume.id)
    kept = Path(str(volume.location["path"]))
    source = None if used else OfImage(kept, str(volume.location["format"]), key)
    with run.parts.database.read(run.ctx) as w:
        shared = _wish(w, run, volume).shared
    place = run.parts.volumes.of(_target(run)).ensure_volume(
        volume.id, volume.size_gib, source, anew=source is not None, shared=shared, key=key
    )  # fmt: skip
    run.memo["location"] = {"path": place.path, "format": place.format}


def _unmake(run: Run) -> None:
    """Not when a guest could not be brought to give it up."""
    with run.parts.database.read(run.ctx) as w:
        volume = volumes.find(w, str(run.args["volume_id"]))
    if run.memo.get("held"):
        _log.error("a guest may use a volume where it is not kept", volume_id=run.args["volume_id"], on=_target(run))
    elif _target(run) and (volume is None or volume.backend != _target(run)):
        run.parts.volumes.of(_target(run)).delete_volume(str(run.args["volume_id"]))


def _turn(run: Run) -> None:
    found = _disks(run)
    if found is not None:
        volume_swap.turn(run, *found)
    elif run.memo.get("used"):
        raise Failed("The guest that had the volume is gone.", code="guest.not_found")


def _turn_back(run: Run) -> None:
    run.memo["held"] = True
    found = _disks(run)
    if found is not None:
        volume_swap.turn_back(run, *found)
    run.memo["held"] = False


def _disks(run: Run) -> tuple[DiskSpec, DiskSpec] | None:
    """What the guest has and what it is to have; None when there is none, or nothing to move."""
    disk = _guests_disk(run) if run.memo.get("used") and "location" in run.memo else None
    return None if disk is None else (disk, replace(disk, **run.memo["location"]))


def _record(run: Run) -> None:
    volume, target = _volume(run), _target(run)
    host = run.parts.volumes.of(target).pool().name if target != volume.backend else volume.host
    with run.parts.database.write(run.ctx) as w:
        if target != volume.backend:
            progress.moved(w, volume.id, backend=target, location=run.memo["location"], host=host)
        kind = w.session.get(VolumeType, str(run.args["type_id"])) if run.args["type_id"] else None
        if kind is not None:
            progress.retyped(w, volume.id, kind.id, multiattach=types.is_multiattach(kind))
        progress.settled(w, volume.id)


def _not_moved(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        progress.not_moved(w, str(run.args["volume_id"]), volume_sources.told(error))


def _called_off(run: Run) -> None:
    _not_moved(run, Failed("It was called off."))


def _leave(run: Run) -> None:
    """Unless the volume has come back there meanwhile."""
    volume_id, backend = str(run.args["volume_id"]), str(run.args["backend"])
    with run.parts.database.read(run.ctx) as w:
        volume = volumes.find(w, volume_id)
    if volume is None or volume.backend != backend:
        run.parts.volumes.of(backend).delete_volume(volume_id)


def _stays(run: Run, error: Exception) -> None:
    """The doctor names what is left."""
    _log.warning("data of a volume stay where it was", volume_id=run.args["volume_id"], why=str(error))


FLOWS = (
    Flow(
        tasks.VolumeMigrate.kind,
        (Step("place", _place), Step("make", _make, _unmake), Step("turn", _turn, _turn_back),
         Step("record", _record)),
        failed=_not_moved,
        cancelled=_called_off,
    ),
    Flow(tasks.VolumeLeave.kind, (Step("data", _leave),), failed=_stays),
)  # fmt: skip
