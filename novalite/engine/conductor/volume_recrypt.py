"""The flow that writes a volume's data anew, with another key or without one: from a copy that is set aside, so that it
can be begun again and taken back."""

from __future__ import annotations

from novalite import logs
from novalite.cloud.volume import encryption, keys, progress, recrypting, tasks, volumes
from novalite.cloud.volume.records import Volume, VolumeType
from novalite.db.records import new_id
from novalite.drivers.storage.base import OfSnapshot, OfVolume, VolumeKey
from novalite.engine.conductor import volume_sources
from novalite.engine.flow import Flow, Run, Step
from novalite.errors import Failed

_log = logs.get("conductor")


def _volume_id(run: Run) -> str:
    return str(run.args["volume_id"])


def _known(run: Run) -> tuple[Volume, VolumeType]:
    with run.parts.database.read(run.ctx) as w:
        volume = volumes.find(w, _volume_id(run))
        kind = w.session.get(VolumeType, str(run.args["type_id"]))
    if volume is None or kind is None:
        raise Failed("The volume, or the type it was to have, is no longer there.", code="volume.gone")
    return volume, kind


def _is_done(run: Run) -> bool:
    with run.parts.database.read(run.ctx) as w:
        return recrypting.is_done(w, _volume_id(run), str(run.args["type_id"]))


def _choose(run: Run) -> None:
    """The new key is written down before anything is written with it."""
    _, kind = _known(run)
    with run.parts.database.read(run.ctx) as w:
        encrypts = encryption.encrypts(w, kind)
    if encrypts and "key_id" not in run.memo:
        run.memo["key_id"] = new_id()
        run.memo["sealed_key"] = keys.fresh(run.parts.settings.state_path, run.memo["key_id"])


def _new_key(run: Run, kind: VolumeType) -> VolumeKey | None:
    if "key_id" not in run.memo:
        return None
    passphrase = keys.opened(run.parts.settings.state_path, run.memo["key_id"], run.memo["sealed_key"])
    with run.parts.database.read(run.ctx) as w:
        return VolumeKey(passphrase, *encryption.ways(w, kind.id))


def _set_aside(run: Run) -> None:
    if not _is_done(run):
        source = OfVolume(_volume_id(run), volume_sources.key(run, _volume_id(run)))
        volume_sources.keeper(run, _volume_id(run)).ensure_snapshot(run.task_id, source)


def _forget(run: Run) -> None:
    """Not when it is all that can be read of the volume."""
    if run.memo.get("written"):
        _log.error("only the copy of a volume that was set aside can be read", volume_id=_volume_id(run),
                   snapshot_id=run.task_id)  # fmt: skip
        return
    volume_sources.keeper(run, _volume_id(run)).delete_snapshot(run.task_id)


def _write(run: Run) -> None:
    if not _is_done(run):
        volume, kind = _known(run)
        run.memo["written"] = True  # as soon as it begins: not every backend replaces the data at once
        _fill(run, volume, _new_key(run, kind))


def _write_back(run: Run) -> None:
    aside = run.task_id in volume_sources.keeper(run, _volume_id(run)).snapshot_ids()
    if aside and not _is_done(run):
        volume, _ = _known(run)
        run.memo["written"] = True
        _fill(run, volume, volume_sources.key(run, volume.id))
    run.memo.pop("written", None)


def _fill(run: Run, volume: Volume, key: VolumeKey | None) -> None:
    source = OfSnapshot(run.task_id, volume_sources.key(run, volume.id))
    driver = run.parts.volumes.of(volume.backend)
    driver.ensure_volume(volume.id, volume.size_gib, source, anew=True, shared=volume.multiattach, key=key)


def _record(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        kind = w.session.get(VolumeType, str(run.args["type_id"]))
        if kind is None:
            raise Failed("The type that the volume was to have is no longer there.", code="volume.gone")
        recrypting.done(w, _volume_id(run), kind, key_id=run.memo.get("key_id"),
                        sealed_key=str(run.memo.get("sealed_key", "")), aside=run.task_id)  # fmt: skip


def _as_before(run: Run, error: Exception) -> None:
    with run.parts.database.write(run.ctx) as w:
        if run.memo.get("written"):
            told = f"{volume_sources.told(error)} What the volume held is in snapshot {run.task_id} on its backend."
            progress.failed(w, _volume_id(run), "error", told, while_=("retyping",))
        progress.not_moved(w, _volume_id(run), volume_sources.told(error))


FLOWS = (
    Flow(
        tasks.VolumeRecrypt.kind,
        (Step("key", _choose), Step("aside", _set_aside, _forget), Step("data", _write, _write_back),
         Step("record", _record)),
        failed=_as_before,
        cancelled=lambda run: _as_before(run, Failed("It was called off.")),
    ),
)  # fmt: skip
