"""The flows that shelve servers, take them off their hosts, and start them again from their images."""

from __future__ import annotations

from novalite import logs
from novalite.cloud.compute import consoles, progress, shelve, states
from novalite.cloud.compute.image_tasks import Offload, OffloadInTime, Shelve, Unshelve
from novalite.context import internal
from novalite.db.work import Work
from novalite.engine.conductor import boot, guests, outcome, placement, power, snapshot
from novalite.engine.flow import Flow, Parts, Run, Step
from novalite.errors import Failed, NovaLiteError, Refused

_log = logs.get("conductor")
_LOST = "server.image_lost"


def _show(w: Work, run: Run, what: str) -> None:
    progress.doing(w, run.server_id, what)


def _discard(run: Run) -> None:
    """A server that was not shelved after all needs no image."""
    with run.parts.database.read(internal()) as w:
        is_needed = shelve.holds_image(w, run.server_id, snapshot.image_id(run))
    if _has_image(run) and not is_needed:
        snapshot.forget(run, snapshot.image_id(run))


def _has_image(run: Run) -> bool:
    return bool(run.args["image_id"])


def _look(run: Run) -> None:
    """What is offloaded consists of its image alone."""
    with run.parts.database.read(internal()) as w:
        server = progress.find(w, run.server_id)
        lost = server is not None and shelve.is_lost(w, server.shelved_image_id or "")
    if lost:
        raise Failed(
            "The image that the server was shelved to is gone: the disk on its host is all that is left of it.",
            code="image.missing",
            hint="Unshelve the server, and shelve it again.",
        )


def _close(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        consoles.revoke_server(w, run.server_id)


def _copy(run: Run) -> None:
    if _has_image(run):
        snapshot.copy(run)


def _drop(run: Run) -> None:
    if _has_image(run):
        snapshot.drop(run)


def _upload(run: Run) -> None:
    if _has_image(run):
        snapshot.upload(run)


def _shelved(run: Run) -> None:
    _drop(run)
    at_once = run.parts.settings.compute.shelved_offload_seconds == 0
    with run.parts.database.write(run.ctx) as w:
        shelve.shelved(w, run.server_id, str(run.args["image_id"]), offload=at_once or not _has_image(run))


def _remove(run: Run) -> None:
    guests.remove(run, patient=True)


def _offloaded(run: Run) -> None:
    guests.unwire(run)
    with run.parts.database.write(run.ctx) as w:
        shelve.offloaded(w, run.server_id)


def offload_in_time(parts: Parts) -> list[str]:
    """Begin to offload the servers that have been shelved for long enough; their ids."""
    seconds = parts.settings.compute.shelved_offload_seconds
    if seconds < 0:
        return []
    with parts.database.read(internal()) as w:
        due = shelve.long_shelved(w, seconds)
    return [server_id for server_id in due if _begin_to_offload(parts, server_id)]


def _begin_to_offload(parts: Parts, server_id: str) -> bool:
    try:
        with parts.database.write(internal()) as w:
            shelve.offload_in_time(w, server_id)
    except Refused as error:
        _log.info("not offloaded now", server_id=server_id, why=str(error))
        return False
    return True


def _is_offloaded(run: Run) -> bool:
    """Whether the server was offloaded when it was asked for, and is still no more than its image."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
    return bool(run.args["offloaded"]) and server is not None and server.vm_state == states.SHELVED_OFFLOADED


def _place(run: Run) -> None:
    with run.parts.database.read(internal()) as w:
        is_lost = bool(run.args["offloaded"]) and shelve.is_lost(w, str(run.args["image_id"]))
    if is_lost:
        raise Failed(
            f"Unshelve attempted but the image {run.args['image_id']} cannot be found.", code=_LOST,
            hint="Delete the server.",
        )  # fmt: skip
    boot.place(run)


def _unplace(run: Run) -> None:
    if _is_offloaded(run):
        placement.unplace(run)


def _unwire(run: Run) -> None:
    if _is_offloaded(run):
        guests.unwire(run)


def _image(run: Run) -> None:
    if run.args["offloaded"]:
        boot.image(run)


def _unspawn(run: Run) -> None:
    if _is_offloaded(run):
        guests.remove(run, patient=True)


def _forget(run: Run) -> None:
    if _has_image(run):
        snapshot.forget(run, snapshot.image_id(run))
    with run.parts.database.write(run.ctx) as w:
        shelve.unshelved(w, run.server_id)


def forget_image(run: Run) -> None:
    """What a shelved server consists of goes with it."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
    if server is not None and server.shelved_image_id:
        snapshot.forget(run, server.shelved_image_id)


def _failed_to_unshelve(run: Run, error: Exception) -> None:
    """The server is shelved as before, unless there is nothing left of it."""
    if isinstance(error, NovaLiteError) and error.code == _LOST:
        outcome.failed_into_error(run, error)
        return
    with run.parts.database.write(run.ctx) as w:
        what = progress.fault(500, outcome.message_of(error), w.now)
        progress.failed(w, run.server_id, what, vm_state=None)


_OFFLOADING = (Step("look", _look), Step("close", _close), Step("remove", _remove), Step("finish", _offloaded))
_UNSHELVING = (
    Step("place", _place, _unplace),
    Step("wire", guests.wire, _unwire),
    Step("image", _image),
    Step("spawn", boot.spawn, _unspawn, shows=states.SPAWNING),
    Step("launched", guests.launched),
    Step("finish", _forget),
)
FLOWS = (
    Flow(Shelve.kind,
         (Step("shutdown", power.shutdown, _discard), Step("copy", _copy, _drop, shows=shelve.COPYING),
          Step("upload", _upload, shows=shelve.UPLOADING), Step("finish", _shelved)),
         failed=snapshot.failed, show=_show),
    Flow(Offload.kind, _OFFLOADING, failed=outcome.failed_in_place, show=_show),
    Flow(OffloadInTime.kind, _OFFLOADING, failed=outcome.failed_in_place, show=_show),
    Flow(Unshelve.kind, _UNSHELVING, failed=_failed_to_unshelve, reroute=boot.another_host, show=_show),
)  # fmt: skip
