"""Volumes as qcow2 files in a directory of this machine: made beside, then renamed into place."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeGuard
from uuid import UUID, uuid4

from novalite.drivers.storage import found_files, qcow2, qemu_img, reading
from novalite.drivers.storage.backends import BackendOptions
from novalite.drivers.storage.base import (
    FoundData,
    LentFile,
    OfImage,
    OfSnapshot,
    OfStream,
    OfVolume,
    VolumeKey,
    VolumePlace,
    VolumePool,
    VolumeSource,
)
from novalite.drivers.storage.stretches import is_blank
from novalite.errors import DriverError

GIB = 1 << 30
_CHUNK = 1 << 20
_UNFINISHED = ".part"
SHARED = _SHARED = ".raw"


def backend(options: BackendOptions) -> FileVolumes:
    """Files of this machine. Option ``path``: a directory, by default one of the state directory."""
    options.refuse_others("path")
    path = Path(options.values.get("path") or options.directory)
    return FileVolumes(path, name=options.pool_name(options.name))


class FileVolumes:
    """``directory/ID`` is a volume (``ID.raw`` one that several guests may have at once, which QEMU allows for raw
    files only), ``directory/snapshots/ID`` a full copy of one: nothing stands on anything else, so each can be
    deleted alone. Files belong to this process; libvirt lends them to QEMU."""

    def __init__(self, directory: Path, *, name: str = "local") -> None:
        self._directory, self._name = directory.absolute(), name
        self._prepare()

    def _prepare(self) -> None:
        for each in (self._directory, self._directory / "snapshots"):
            each.mkdir(parents=True, exist_ok=True)
            # QEMU may run as another user: it may pass through, but not list.
            each.chmod(0o711)

    def _require(self) -> None:
        """Before anything is looked at. For those whose directory may be away."""

    @property
    def _volumes(self) -> Path:
        self._require()
        return self._directory

    @property
    def _snapshots(self) -> Path:
        self._require()
        return self._directory / "snapshots"

    def ensure_volume(
        self, volume_id: str, size_gib: int, source: VolumeSource | None = None, *, anew: bool = False,
        shared: bool = False, key: VolumeKey | None = None,
    ) -> VolumePlace:  # fmt: skip
        """See ``VolumeDriver``. A source smaller than the volume grows, a larger one is refused."""
        target = self._volume(volume_id)
        if not target.exists() and shared:
            target = target.with_name(target.name + _SHARED)
        if anew or not target.exists():
            self._make(target, lambda part: self._fill(part, size_gib * GIB, source, _format(target), key))
        return VolumePlace(str(target), _format(target))

    def _fill(self, part: Path, size: int, source: VolumeSource | None, form: str, key: VolumeKey | None) -> None:
        if source is None:
            qemu_img.create("create_volume", part, size, form, key)
            return
        if form == "qcow2" and key is None and is_plain(source):
            _write_content("create_volume", part, source, size)
            return
        self._copy("create_volume", source, part, form, key)
        self._grow("create_volume", part, size, form, key)

    def _copy(self, op: str, source: VolumeSource, part: Path, form: str, key: VolumeKey | None) -> None:
        if not isinstance(source, OfStream):
            path, image_format = self._open(op, source)
            qemu_img.convert(op, path, image_format, part, form, source_key=source.key, key=key)
            return
        if form == "qcow2" and key is None and is_plain(source):
            _write_content(op, part, source)
            return
        stays = (form, key) == (source.format, source.key)
        arrived = part if stays else part.with_name(f"{part.name}.{uuid4().hex}{_UNFINISHED}")
        try:
            write_stream(arrived, source)
            if source.format == "qcow2":
                qemu_img.require_alone(op, arrived)
            if arrived != part:
                qemu_img.convert(op, arrived, source.format, part, form, source_key=source.key, key=key)
        finally:
            if arrived != part:
                arrived.unlink(missing_ok=True)

    def _open(self, op: str, source: OfImage | OfVolume | OfSnapshot) -> tuple[Path, str]:
        if isinstance(source, OfImage):
            return source.path, source.format
        is_volume = isinstance(source, OfVolume)
        path = self._volume(source.volume_id) if isinstance(source, OfVolume) else self._snapshot(source.snapshot_id)
        if not path.exists():
            what = "volume" if is_volume else "snapshot"
            raise DriverError(op, f"the data of {what} {path.name} are missing", code=f"{what}.not_found")
        return path, _format(path)

    @staticmethod
    def _grow(op: str, path: Path, size: int, form: str, key: VolumeKey | None) -> None:
        now = qemu_img.virtual_size(op, path, form, key)
        if now > size:
            raise too_large(op, now, size)
        if now < size:
            qemu_img.resize(op, path, size, form, key)

    def _make(self, target: Path, fill: Callable[[Path], None]) -> None:
        part = target.with_name(f"{target.name}.{uuid4().hex}{_UNFINISHED}")
        try:
            fill(part)
            part.chmod(0o600)
            os.replace(part, target)
            _sync(target.parent)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            code = "disk.full" if full else "driver.failed"
            raise DriverError("write_volume", str(error), code=code, retryable=full) from error
        finally:
            part.unlink(missing_ok=True)

    def is_everywhere(self) -> bool:
        return False

    def delete_volume(self, volume_id: str) -> None:
        plain = self._volumes / _checked(volume_id)
        for path in (plain, plain.with_name(plain.name + _SHARED)):
            _remove(path)

    def extend_volume(self, volume_id: str, size_gib: int, *, key: VolumeKey | None = None) -> None:
        path, form = self._open("extend_volume", OfVolume(volume_id))
        self._grow("extend_volume", path, size_gib * GIB, form, key)

    def ensure_snapshot(self, snapshot_id: str, source: VolumeSource) -> None:
        target = self._snapshot(snapshot_id)
        if not target.exists():
            self._make(target, lambda part: self._copy("create_snapshot", source, part, "qcow2", source.key))

    def delete_snapshot(self, snapshot_id: str) -> None:
        _remove(self._snapshot(snapshot_id))

    def read(self, source: OfVolume | OfSnapshot, disk_format: str) -> Iterable[bytes]:
        """See ``VolumeDriver``. Raw content is read where it lies, as far as that goes; a copy of the rest, or of
        another format, lies beside meanwhile."""
        require_plain("read_volume", source)
        return self._read_raw(source) if disk_format == "raw" else LentFile(lambda: self._copied(source, disk_format))

    def _read_raw(self, source: OfVolume | OfSnapshot) -> Iterator[bytes]:
        path, image_format = self._open("read_volume", source)
        done = 0
        try:
            for chunk in reading.content("read_volume", path, image_format):
                done += len(chunk)
                yield chunk
        except reading.Packed:
            with self._copied(source, "raw") as part, part.open("rb") as file:
                file.seek(done)
                while chunk := file.read(_CHUNK):
                    yield chunk

    @contextmanager
    def _copied(self, source: OfVolume | OfSnapshot, disk_format: str) -> Iterator[Path]:
        """What is encrypted is so in the copy too."""
        path, image_format = self._open("read_volume", source)
        part = path.with_name(f"{path.name}.{uuid4().hex}{_UNFINISHED}")
        try:
            qemu_img.convert(
                "read_volume", path, image_format, part, disk_format, source_key=source.key, key=source.key
            )  # fmt: skip
            yield part
        finally:
            part.unlink(missing_ok=True)

    def stream(self, source: OfVolume | OfSnapshot, disk_format: str = "") -> OfStream:
        path, image_format = self._open("read_volume", source)
        if disk_format in ("", image_format):
            return OfStream(_pieces(path), image_format, source.key)
        return OfStream(LentFile(lambda: self._copied(source, disk_format)), disk_format, source.key)

    def place(self, volume_id: str) -> VolumePlace | None:
        path = self._volume(volume_id)
        return VolumePlace(str(path), _format(path)) if path.exists() else None

    def places(self, volume_ids: Iterable[str]) -> dict[str, VolumePlace]:
        return {volume_id: place for volume_id in volume_ids if (place := self.place(volume_id)) is not None}

    def volume_ids(self) -> tuple[str, ...]:
        return _ids(self._volumes)

    def snapshot_ids(self) -> tuple[str, ...]:
        return _ids(self._snapshots)

    @property
    def _manage(self) -> Path:
        """Where administrators lay files that are to be taken over, and where those are that were given up."""
        directory = self._volumes / "manage"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    def found_volumes(self) -> tuple[FoundData, ...]:
        return tuple(found_files.listed(self._manage, snapshots=False))

    def found_snapshots(self) -> tuple[FoundData, ...]:
        return tuple(found_files.listed(self._manage, snapshots=True))

    def take_volume(self, volume_id: str, reference: str) -> int:
        target = self._volume(volume_id)
        if not target.exists():
            path = found_files.find(self._manage, reference)
            form = found_files.examined(path)
            found_files.grown(path, form)
            plain = self._volumes / _checked(volume_id)
            target = plain.with_name(plain.name + _SHARED) if form == "raw" else plain
            _put(path, target)
        return found_files.whole_gib(qemu_img.virtual_size("manage", target, _format(target)))

    def take_snapshot_over(self, snapshot_id: str, reference: str) -> int:
        target = self._snapshot(snapshot_id)
        if not target.exists():
            path = found_files.find(self._manage, reference)
            if found_files.examined(path) != "qcow2":
                raise DriverError("manage", "snapshots are qcow2 here", code="volume.refused")
            _put(path, target)
        return found_files.whole_gib(qemu_img.virtual_size("manage", target, "qcow2"))

    def give_volume(self, volume_id: str) -> None:
        path = self._volume(volume_id)
        if path.exists():
            _put(path, self._manage / f"volume-{path.name}")

    def give_snapshot(self, snapshot_id: str) -> None:
        path = self._snapshot(snapshot_id)
        if path.exists():
            _put(path, self._manage / f"snapshot-{path.name}")

    def pool(self) -> VolumePool:
        usage = shutil.disk_usage(self._volumes)
        return VolumePool(self._name, "file", usage.total, usage.free, encrypts=True)

    def clean(self) -> None:
        for directory in (self._volumes, self._snapshots):
            for path in directory.glob(f"*{_UNFINISHED}"):
                path.unlink(missing_ok=True)

    def _plain(self, volume_id: str) -> Path:
        return self._volumes / _checked(volume_id)

    def _volume(self, volume_id: str) -> Path:
        plain = self._plain(volume_id)
        shared = plain.with_name(plain.name + _SHARED)
        return shared if shared.exists() else plain

    def _snapshot(self, snapshot_id: str) -> Path:
        return self._snapshots / _checked(snapshot_id)


def _format(path: Path) -> str:
    """By its name: what a guest has written into a file says nothing about it."""
    return "raw" if path.suffix == _SHARED else "qcow2"


def _checked(text: str) -> str:
    """Ids become names of files: nothing but a UUID may."""
    try:
        known: str | None = str(UUID(text))
    except ValueError:
        known = None
    if known is None or known != text:
        raise DriverError("volume", f"{text[:64]!r} is not an id", code="volume.not_found")
    return known


def _ids(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name.removesuffix(_SHARED) for entry in os.scandir(directory) if _is_whole(entry)))


def _is_whole(entry: os.DirEntry[str]) -> bool:
    return entry.is_file() and not entry.name.endswith(_UNFINISHED)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def require_plain(op: str, source: OfVolume | OfSnapshot) -> None:
    """Raises ``DriverError`` with code ``volume.refused`` for what is encrypted."""
    if source.key is not None:
        raise DriverError(op, "what is encrypted is not laid down in plain", code="volume.refused")


def too_large(op: str, now: int, size: int) -> DriverError:
    return DriverError(op, f"{now} bytes do not fit into {size}", code="volume.refused")


def is_plain(source: VolumeSource) -> TypeGuard[OfStream]:
    """Content as a guest sees it, which needs no QEMU to be opened."""
    return isinstance(source, OfStream) and source.format == "raw" and source.key is None


def _write_content(op: str, part: Path, source: OfStream, size: int = 0) -> None:
    """A qcow2 of it, as large as it or as ``size``, if that is not 0."""
    with _flushed(part) as file:
        found = qcow2.write(file, source.chunks, size)
    if size and found > size:
        raise too_large(op, found, size)


def write_stream(part: Path, source: OfStream) -> None:
    """Zeros become holes."""
    with _flushed(part) as file:
        size = 0
        for chunk in source.chunks:
            if is_blank(chunk):
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
            size += len(chunk)
        file.truncate(size)


@contextmanager
def _flushed(part: Path) -> Iterator[BinaryIO]:
    """A new file, which is on the disk when the block ends."""
    with part.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _put(path: Path, target: Path) -> None:
    path.chmod(0o600)
    os.replace(path, target)
    for directory in (path.parent, target.parent):
        _sync(directory)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    for unfinished in path.parent.glob(f"{path.name}.*{_UNFINISHED}"):
        unfinished.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
