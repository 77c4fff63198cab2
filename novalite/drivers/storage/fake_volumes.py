"""Volumes without data, for tests and simulation: empty files that know their size, and of what key those are that are
encrypted. What is read is blank."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from novalite.drivers.compute.qcow2 import ENCRYPTION_AT, empty_qcow2
from novalite.drivers.storage.backends import BackendOptions
from novalite.drivers.storage.base import (
    FoundData,
    OfImage,
    OfSnapshot,
    OfStream,
    OfVolume,
    VolumeKey,
    VolumePlace,
    VolumePool,
    VolumeSource,
)
from novalite.drivers.storage.volumes import require_plain
from novalite.errors import DriverError

GIB = 1 << 30
_BLANK_BYTES = 1 << 20
_UNFINISHED = ".part"


def backend(options: BackendOptions) -> FakeVolumes:
    """Option ``total_gib``: how much room it says it has."""
    options.refuse_others("total_gib")
    total_gib = int(options.values.get("total_gib") or 10000)
    return FakeVolumes(options.directory, name=options.pool_name(options.name), total_gib=total_gib)


class FakeVolumes:
    """``faults`` maps the name of a method to what it raises."""

    def __init__(self, directory: Path, *, name: str = "fake", total_gib: int = 10000) -> None:
        self._volumes, self._snapshots = directory / "volumes", directory / "snapshots"
        self._manage = directory / "manage"
        self._name, self._total = name, total_gib * GIB
        self.faults: dict[str, Exception] = {}
        for each in (self._volumes, self._snapshots, self._manage):
            each.mkdir(parents=True, exist_ok=True)

    def _enter(self, method: str) -> None:
        if method in self.faults:
            raise self.faults[method]

    def ensure_volume(
        self, volume_id: str, size_gib: int, source: VolumeSource | None = None, *, anew: bool = False,
        shared: bool = False, key: VolumeKey | None = None,
    ) -> VolumePlace:  # fmt: skip
        self._enter("ensure_volume")
        path = self._volumes / volume_id
        if anew or not path.exists():
            self._make(path, source, size_gib, key)
        return VolumePlace(str(path), "raw" if shared else "qcow2")

    def _make(self, path: Path, source: VolumeSource | None, size_gib: int, key: VolumeKey | None) -> None:
        if isinstance(source, OfStream):
            for _ in source.chunks:
                continue
        elif source is not None:
            self._open(source)
        part = path.with_suffix(_UNFINISHED)
        part.write_text(f"{size_gib}{_mark(key)}")
        part.replace(path)

    def _open(self, source: OfImage | OfVolume | OfSnapshot) -> Path:
        if isinstance(source, OfImage):
            _require_image(source)
            return source.path
        if isinstance(source, OfVolume):
            path = _existing(self._volumes / source.volume_id, "volume")
        else:
            path = _existing(self._snapshots / source.snapshot_id, "snapshot")
        _require(path, source.key)
        return path

    def delete_volume(self, volume_id: str) -> None:
        self._enter("delete_volume")
        (self._volumes / volume_id).unlink(missing_ok=True)

    def extend_volume(self, volume_id: str, size_gib: int, *, key: VolumeKey | None = None) -> None:
        self._enter("extend_volume")
        self._make(self._open(OfVolume(volume_id, key)), None, size_gib, key)

    def ensure_snapshot(self, snapshot_id: str, source: VolumeSource) -> None:
        self._enter("ensure_snapshot")
        path = self._snapshots / snapshot_id
        if not path.exists():
            self._make(path, source, 0, source.key)

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._enter("delete_snapshot")
        (self._snapshots / snapshot_id).unlink(missing_ok=True)

    def read(self, source: OfVolume | OfSnapshot, disk_format: str) -> Iterator[bytes]:
        self._enter("read")
        require_plain("read", source)
        self._open(source)
        yield empty_qcow2(_BLANK_BYTES) if disk_format == "qcow2" else bytes(_BLANK_BYTES)

    def stream(self, source: OfVolume | OfSnapshot, disk_format: str = "") -> OfStream:
        self._enter("read")
        self._open(source)
        if source.key is None:
            return OfStream([empty_qcow2(_BLANK_BYTES)], "qcow2")
        content = _luks(source.key) if disk_format == "raw" else _qcow2_with_luks(source.key)
        return OfStream([content], disk_format or "qcow2", source.key)

    def place(self, volume_id: str) -> VolumePlace | None:
        path = self._volumes / volume_id
        return VolumePlace(str(path), "qcow2") if path.exists() else None

    def places(self, volume_ids: Iterable[str]) -> dict[str, VolumePlace]:
        return {volume_id: place for volume_id in volume_ids if (place := self.place(volume_id)) is not None}

    def is_everywhere(self) -> bool:
        return False

    def volume_ids(self) -> tuple[str, ...]:
        return _names(self._volumes)

    def snapshot_ids(self) -> tuple[str, ...]:
        return _names(self._snapshots)

    def pool(self) -> VolumePool:
        return VolumePool(self._name, "fake", self._total, self._total, encrypts=True)

    def found_volumes(self) -> tuple[FoundData, ...]:
        return self._found("volume-")

    def found_snapshots(self) -> tuple[FoundData, ...]:
        return self._found("snapshot-")

    def _found(self, prefix: str) -> tuple[FoundData, ...]:
        found = (path for path in sorted(self._manage.iterdir()) if path.name.startswith(prefix))
        return tuple(FoundData(path.name, int(path.read_text()) * GIB) for path in found)

    def take_volume(self, volume_id: str, reference: str) -> int:
        self._enter("take_volume")
        return self._take(self._volumes / volume_id, reference)

    def take_snapshot_over(self, snapshot_id: str, reference: str) -> int:
        return self._take(self._snapshots / snapshot_id, reference)

    def _take(self, path: Path, reference: str) -> int:
        if not path.exists():
            found = self._manage / reference
            if "/" in reference or not found.is_file():
                raise DriverError("manage", f"there is no {reference!r} to be managed", code="volume.not_found")
            found.replace(path)
        return max(1, int(path.read_text()))

    def give_volume(self, volume_id: str) -> None:
        self._give(self._volumes / volume_id, "volume")

    def give_snapshot(self, snapshot_id: str) -> None:
        self._give(self._snapshots / snapshot_id, "snapshot")

    def _give(self, path: Path, what: str) -> None:
        if path.exists():
            path.replace(self._manage / f"{what}-{path.name}")

    def clean(self) -> None:
        for directory in (self._volumes, self._snapshots):
            for part in directory.glob(f"*{_UNFINISHED}"):
                part.unlink(missing_ok=True)


def _existing(path: Path, what: str) -> Path:
    if not path.exists():
        raise DriverError(what, f"the data of {what} {path.name} are missing", code=f"{what}.not_found")
    return path


def _mark(key: VolumeKey | None) -> str:
    return f" {hashlib.sha256(key.passphrase.encode()).hexdigest()}" if key else ""


_LUKS_HEADER = b"LUKS\xba\xbe\0\1" + bytes(96) + (8).to_bytes(4, "big")
_MARK_AT, _MARK_BYTES = 2048, 65
"""Where an encrypted image is marked here with whose key."""


def _luks(key: VolumeKey) -> bytes:
    return (_LUKS_HEADER.ljust(_MARK_AT, b"\0") + _mark(key).encode()).ljust(4096 + _BLANK_BYTES, b"\0")


def _qcow2_with_luks(key: VolumeKey) -> bytes:
    content = bytearray(empty_qcow2(_BLANK_BYTES, is_encrypted=True))
    content[_MARK_AT : _MARK_AT + _MARK_BYTES] = _mark(key).encode()
    return bytes(content)


def _require_image(image: OfImage) -> None:
    """The same of the image of an encrypted volume; hosts mark none."""
    with image.path.open("rb") as file:
        head = file.read(4096)
    method = head[ENCRYPTION_AT : ENCRYPTION_AT + 4] if head[:4] == b"QFI\xfb" else b""
    is_sealed, mark = head[:4] == b"LUKS" or any(method), head[_MARK_AT : _MARK_AT + _MARK_BYTES]
    if is_sealed and (image.key is None or (any(mark) and mark != _mark(image.key).encode())):
        raise DriverError("read", f"the key of image {image.path.name} is another", code="driver.failed")


def _require(path: Path, key: VolumeKey | None) -> None:
    """Nothing is read with another key than it was written with."""
    _, blank, mark = path.read_text().partition(" ")
    if blank + mark != _mark(key):
        raise DriverError("read", f"the key of {path.name} is another", code="driver.failed")


def _names(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in directory.iterdir() if path.suffix != _UNFINISHED))
