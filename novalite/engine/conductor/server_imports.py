"""The flow that makes volumes and a server of disks that have come, and the part of booting that lays some of them."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from novalite.cloud.compute import actions, block_devices, new_servers, progress, server_imports, states, tasks
from novalite.cloud.compute.boot_devices import Asked
from novalite.cloud.compute.carrying_tasks import ImportServer
from novalite.cloud.compute.new_servers import NewServer
from novalite.cloud.compute.server_imports import DONE, FAILED, ServerImport
from novalite.cloud.compute.server_manifest import EPHEMERAL, VOLUME
from novalite.cloud.compute.servers import change
from novalite.cloud.network.networks import NetworkRequest
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import new_volumes, volumes
from novalite.cloud.volume import tasks as volume_tasks
from novalite.cloud.volume.new_volumes import NewVolume
from novalite.context import Context, internal
from novalite.db.work import Work
from novalite.drivers.compute.base import PIECE_BYTES, FullDriver
from novalite.engine.conductor import guests, outcome
from novalite.engine.flow import Flow, Run, Step, Wait
from novalite.errors import Failed, Invalid, NotFound

_LOOK_SECONDS = 1.0
_UNFINISHED = ("creating", "downloading")


def _import_id(run: Run) -> str:
    return str(run.args["import_id"])


def _record(run: Run) -> ServerImport:
    with run.parts.database.read(internal()) as w:
        if durable.is_unwanted(w, run.task_id):
            raise Failed("The import was called off.", code="import.unwanted")
        found = server_imports.find(w, _import_id(run))
    if found is None:
        raise Failed("The import is no longer known.", code="import.gone")
    return found


def _who(run: Run, found: ServerImport) -> Context:
    return replace(run.ctx, user_id=found.user_id, project_id=found.project_id)


def _volumes(run: Run) -> Wait | None:
    """A volume of each disk that is to be one; they are made beside one another."""
    found = _record(run)
    for number, (told, disk) in enumerate(zip(found.manifest["disks"], found.disks, strict=True)):
        if told["role"] == VOLUME and not disk["volume_id"]:
            with run.parts.database.write(_who(run, found)) as w:
                volume = new_volumes.create(w, _new_volume(w, told["volume"], disk["image_id"]))
                server_imports.has_volume(w, found.id, number, volume.id)
    return _await_volumes(run, _record(run))


def _await_volumes(run: Run, found: ServerImport) -> Wait | None:
    pairs = zip(found.manifest["disks"], found.disks, strict=True)
    wanted = {disk["volume_id"]: told for told, disk in pairs if disk["volume_id"]}
    with run.parts.database.read(internal()) as w:
        there = volumes.get_many(w, wanted)
    for volume_id, told in wanted.items():
        volume = there.get(volume_id)
        if volume is not None and volume.status in _UNFINISHED:
            return Wait(volume_tasks.changed(volume_id), _LOOK_SECONDS)
        if volume is None or volume.status != "available":
            why = volume.problem if volume else "it was deleted"
            raise Failed(f"The volume of {told['file']} could not be made: {why}", code="volume.not_made")
    for volume_id, told in wanted.items():
        _describe(run, volume_id, told["volume"])
    return None


def _new_volume(w: Work, told: dict[str, Any], image_id: str) -> NewVolume:
    return NewVolume(size_gib=told["size"], name=told["name"], description=told["description"],
                     metadata=told["metadata"], type=server_imports.usable_type(w, told["type"]),
                     image_id=image_id)  # fmt: skip


def _describe(run: Run, volume_id: str, told: dict[str, Any]) -> None:
    """It is what it was, rather than the image it came as."""
    with run.parts.database.write(internal()) as w:
        volumes.change(w, volume_id, {"bootable": told["bootable"], "image_metadata": told["image_metadata"],
                                      "image_id": None})  # fmt: skip


def _unmake_volumes(run: Run) -> None:
    """Those that no server has; the others go with the server."""
    with run.parts.database.read(internal()) as w:
        found = server_imports.find(w, _import_id(run))
    for disk in found.disks if found else ():
        if disk["volume_id"]:
            with run.parts.database.write(internal()) as w:
                try:
                    volumes.delete(w, disk["volume_id"], force=True)
                except (NotFound, Invalid):
                    continue


def _server(run: Run) -> None:
    found = _record(run)
    if found.server_id:
        return
    with run.parts.database.write(_who(run, found)) as w:
        row = server_imports.find(w, found.id)
        seconds = run.parts.settings.compute.boot_timeout_seconds
        [server] = new_servers.create(w, _request(found), boot_seconds=seconds)
        key = found.manifest["server"]["key"]
        if key:  # a server has a copy of its key
            change(w, server.id, {"key_name": key["name"], "key": key})
        if row is not None:
            row.server_id = server.id


def _request(found: ServerImport) -> NewServer:
    told, wishes = found.manifest["server"], found.wishes
    wanted = [NetworkRequest(network_id=network_id, tag=tag) for network_id, tag in wishes["networks"]]
    return NewServer(
        name=wishes["name"], flavor_id=wishes["flavor_id"], image_id=found.root_image_id,
        devices=Asked(newer=tuple(_devices(found))), networks=wanted or "none",
        security_groups=tuple(wishes["security_groups"]), user_data=told["user_data"], metadata=told["metadata"],
        tags=tuple(told["tags"]), description=told["description"], config_drive=told["config_drive"],
        hostname="" if wishes["is_renamed"] else told["hostname"], admin_pass=secrets.token_urlsafe(9),
        import_id=found.id if any(disk["role"] == EPHEMERAL for disk in found.manifest["disks"]) else "",
    )  # fmt: skip


def _devices(found: ServerImport) -> list[dict[str, Any]]:
    """None when the image's own disk is all there is. Volumes go with the server until the import is done."""
    pairs = list(zip(found.manifest["disks"], found.disks, strict=True))
    made = [_device(told, disk) for told, disk in pairs if told["role"] == VOLUME]
    if not made or not found.root_image_id:
        return made
    root = {"boot_index": 0, "source_type": "image", "destination_type": "local", "uuid": found.root_image_id,
            "delete_on_termination": True}  # fmt: skip
    return [root, *made]


def _device(told: dict[str, Any], disk: dict[str, Any]) -> dict[str, Any]:
    return {
        "boot_index": told["boot_index"], "source_type": "volume", "destination_type": "volume",
        "uuid": disk["volume_id"], "delete_on_termination": True, "disk_bus": told["bus"], "tag": told["tag"],
    }  # fmt: skip


def _remove_server(run: Run) -> None:
    with run.parts.database.write(internal()) as w:
        found = server_imports.find(w, _import_id(run))
        server = progress.find(w, found.server_id) if found and found.server_id else None
        if server is not None:
            actions.delete_now(w, server)


def _await(run: Run) -> Wait | None:
    found = _record(run)
    with run.parts.database.read(internal()) as w:
        server = progress.find(w, found.server_id or "")
        if server is not None and actions.is_pending(w, tasks.key(server.id), tasks.Boot.kind):
            return Wait(f"import:{found.id}", _LOOK_SECONDS)
    if server is None:
        raise Failed("The server was deleted.", code="import.unwanted")
    if server.vm_state == states.ERROR:
        why = (server.fault or {}).get("message", "")
        raise Failed(f"The server could not be started: {why}", code="import.not_booted")
    return None


def _finish(run: Run) -> None:
    """The volumes are the user's own from here on; images that they were made of are not needed."""
    found = _record(run)
    with run.parts.database.write(internal()) as w:
        for told, disk in zip(found.manifest["disks"], found.disks, strict=True):
            row = block_devices.find(w, found.server_id or "", disk["volume_id"]) if disk["volume_id"] else None
            if row is not None:
                row.delete_on_termination = told["delete_on_termination"]
        server_imports.ended(w, found.id, DONE)
    _forget_images(run, found, but=found.root_image_id)


def _forget_images(run: Run, found: ServerImport, *, but: str = "") -> None:
    with run.parts.database.write(internal()) as w:
        gone = server_imports.forget_images(w, found, but=but)
    for image_id in gone:
        run.parts.images.delete(image_id)


def _failed(run: Run, error: Exception) -> None:
    _give_up(run, outcome.message_of(error))


def _cancelled(run: Run) -> None:
    _give_up(run, "It was called off.")


def _give_up(run: Run, why: str) -> None:
    with run.parts.database.write(internal()) as w:
        server_imports.ended(w, _import_id(run), FAILED, why)
        found = server_imports.find(w, _import_id(run))
    if found is not None:
        _forget_images(run, found)


def lay(run: Run) -> None:
    """While a server boots: its ephemeral disks are those that came, rather than blank ones."""
    import_id = str(run.args.get("import_id") or "")
    if not import_id:
        return
    with run.parts.database.read(internal()) as w:
        found = server_imports.find(w, import_id)
    if found is None:
        raise Failed("What was to be on the server's disks is gone.", code="import.gone")
    plan, driver = guests.planned(run), guests.driver(run)
    specs = {disk.name: disk for disk in plan.spec.disks}
    for told, disk in zip(found.manifest["disks"], found.disks, strict=True):
        if told["role"] == EPHEMERAL:
            path = run.parts.images.path(disk["image_id"])
            if path is None or told["name"] not in specs:
                raise Failed(f"{told['file']} has no place in the server.", code="import.no_place")
            _lay(driver, run.server_id, told["name"], path)
            driver.adopt_disk(run.server_id, specs[told["name"]])


def _lay(driver: FullDriver, server_id: str, name: str, path: Path) -> None:
    with path.open("rb") as file:
        offset = 0
        while piece := file.read(PIECE_BYTES):
            driver.write_disk(server_id, name, offset, piece)
            offset += len(piece)


FLOWS = (
    Flow(ImportServer.kind,
         (Step("volumes", _volumes, _unmake_volumes), Step("server", _server, _remove_server),
          Step("await", _await), Step("finish", _finish)),
         failed=_failed, cancelled=_cancelled),
)  # fmt: skip
