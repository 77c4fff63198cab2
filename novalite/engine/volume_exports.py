"""Volumes that are exported to other compute hosts: what is, against what the records say."""

from __future__ import annotations

from collections.abc import Iterator

from novalite import logs
from novalite.cloud.compute import progress
from novalite.cloud.tasks import tasks
from novalite.cloud.volume import attachments, volumes
from novalite.context import internal
from novalite.drivers.storage.base import ExportSpec
from novalite.engine.flow import Parts
from novalite.engine.volume_files import Disagreement
from novalite.errors import DriverError

_log = logs.get("volumes")


def restore(parts: Parts) -> None:
    """At start: export again what the last process exported and what has ended since, less what nobody is to have."""
    for host in parts.exports.restore():
        _log.warning("volumes not exported", host=host)
    drop_unowned(parts)


def drop_unowned(parts: Parts) -> list[str]:
    """End exports whose attachment is over, or on another host by now, and of data that are elsewhere by now. Those of
    servers and volumes with a task under way are the task's. Returns the ids."""
    # In this order: an export that is seen here had its attachment before.
    exports = parts.exports.exports()
    dropped = [spec.id for spec in _unowned(parts, exports)]
    for export_id in dropped:
        _log.warning("export without an attachment", id=export_id)
        parts.exports.remove_export(export_id)
    return dropped


def _unowned(parts: Parts, exports: tuple[ExportSpec, ...]) -> list[ExportSpec]:
    if not exports:
        return []
    with parts.database.read(internal()) as w:
        busy = tasks.live_resources(w)
        known = attachments.by_ids(w, (spec.id for spec in exports))
        hosts = progress.hosts_of(w, (row.server_id for row in known.values() if row.server_id))
        places = {id: volume.location.get("path") for id, volume in
                  volumes.get_many(w, (spec.volume_id for spec in exports)).items()}  # fmt: skip

    def is_unowned(spec: ExportSpec) -> bool:
        if spec.id not in known:
            return True
        server_id = known[spec.id].server_id or ""
        is_right = hosts.get(server_id) == spec.host and places.get(spec.volume_id) == spec.place.path
        return not is_right and not {server_id, spec.volume_id} & busy

    return [spec for spec in exports if is_unowned(spec)]


def disagreements(parts: Parts) -> Iterator[Disagreement]:
    """What doctor tells."""
    exports = parts.exports.exports()
    unowned = {spec.id for spec in _unowned(parts, exports)}
    yield from _lost(parts, {spec.id for spec in exports})
    try:
        served = parts.exports.served()
    except DriverError as error:
        yield Disagreement(
            "error", "export", "", f"What exports volumes does not answer: {error}",
            "Guests on other hosts wait for their disks.", "It is tried again within a minute.",
        )  # fmt: skip
        return
    for spec in exports:
        if spec.id in unowned:
            yield Disagreement("warning", "export", spec.id,
                               f"Volume {spec.volume_id} is exported to {spec.host}, where no server has it.",
                               "That host could still read and write it.", "It ends within a minute.")  # fmt: skip
        elif spec.id not in served:
            yield Disagreement("error", "export", spec.id, f"Volume {spec.volume_id} is not exported to {spec.host}.",
                               "The server there waits for its disk.",
                               "It is tried again within a minute; the log tells why it fails.")  # fmt: skip


def _lost(parts: Parts, known: set[str]) -> Iterator[Disagreement]:
    """What guests were given and nobody knows how to export any more."""
    with parts.database.read(internal()) as w:
        busy = tasks.live_resources(w)
        lost = [row for row in attachments.all_exported(w) if row.id not in known and row.server_id not in busy]
    for row in lost:
        yield Disagreement(
            "error", "export", row.id, f"Volume {row.volume_id} is not exported to {row.host}, where a server has it.",
            "The server there stands still.", "Hard reboot the server: it is given the volume anew.",
        )  # fmt: skip
