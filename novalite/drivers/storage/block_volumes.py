"""Volumes that are block devices of some store, made whole under another name and then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from novalite.drivers.storage import qemu_img
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
from novalite.drivers.storage.found_files import whole_gib
from novalite.drivers.storage.stretches import is_blank
from novalite.drivers.storage.volumes import is_plain, require_plain, too_large, write_stream
from novalite.errors import DriverError

GIB = 1 << 30
_VOLUME, _SNAPSHOT, _PART = "volume-", "snapshot-", "part-"
_GIVEN = "unmanaged-"
"""Before the name of what was given up, which is nobody's then."""
_ASIDE = "replaced-"
"""Before the name of a volume whose new data have not taken its place yet."""


class BlockVolumes(ABC):
    """A ``VolumeDriver`` of a store that knows devices by name. Snapshots are devices of their own, full copies:
    nothing stands on anything else. ``spool`` is a directory of this machine for copies on their way."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    # What a store must be able to do.

    @abstractmethod
    def _names(self) -> set[str]:
        """Every device of the store."""

    @abstractmethod
    def _make_blank(self, name: str, size: int) -> None:
        """A device of ``size`` bytes that reads as zeros."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """One that is there."""

    @abstractmethod
    def _rename(self, old: str, new: str) -> None: ...

    @abstractmethod
    def _size(self, name: str) -> int:
        """In bytes."""

    @abstractmethod
    def _sizes(self) -> dict[str, int]:
        """Of every device of the store, by one look at it."""

    @abstractmethod
    def _grow(self, name: str, size: int) -> None: ...

    @abstractmethod
    def _address(self, name: str) -> str:
        """As QEMU opens it."""

    @abstractmethod
    def is_everywhere(self) -> bool: ...

    @abstractmethod
    def pool(self) -> VolumePool: ...

    # What follows from that.

    def ensure_volume(
        self, volume_id: str, size_gib: int, source: VolumeSource | None = None, *, anew: bool = False,
        shared: bool = False, key: VolumeKey | None = None,
    ) -> VolumePlace:  # fmt: skip
        name = _VOLUME + _checked(volume_id)
        self._settle({name})
        if anew or name not in self._names():
            self._put(self._whole("create_volume", source, key, size_gib * GIB), name)
        return VolumePlace(self._address(name), "raw")

    def _put(self, part: str, name: str) -> None:
        """Give what is whole its name. What had it goes when that is done; until then ``_settle`` brings it back."""
        try:
            if name in self._names():
                self._rename(name, _ASIDE + name)
            self._rename(part, name)
        except BaseException:
            self._settle({name})
            self._drop(part)
            raise
        self._settle({name})

    def _settle(self, wanted: set[str]) -> None:
        """End replacements of these that were cut off: the old data go if there are new ones, or are back."""
        names = self._names()
        for name in sorted(wanted):
            if _ASIDE + name in names and name in names:
                self._remove(_ASIDE + name)
            elif _ASIDE + name in names:
                self._rename(_ASIDE + name, name)

    def _whole(self, op: str, source: VolumeSource | None, key: VolumeKey | None, size: int = 0) -> str:
        """A device with the data of ``source``, under the name of something unfinished."""
        part = _PART + uuid4().hex
        try:
            if source is None:
                self._make(op, part, size, key)
            elif size and key is None and is_plain(source) and self._address(part).startswith("/"):
                self._make_blank(part, size)
                _write(op, self._address(part), source, size)
            else:
                opened = source.key
                self._with_image(
                    op, source, lambda address, form: self._fill(op, address, form, part, size, opened, key)
                )
        except BaseException:
            if part in self._names():
                self._remove(part)
            raise
        return part

    def _with_image(self, op: str, source: VolumeSource, act: Callable[[str, str], None]) -> None:
        if isinstance(source, OfImage):
            act(str(source.path), source.format)
        elif not isinstance(source, OfStream):
            act(self._address(self._known(op, source)), "raw")
        else:
            with self._beside() as directory:
                arrived = directory / "arrived"
                write_stream(arrived, source)
                if source.format == "qcow2":
                    qemu_img.require_alone(op, arrived)
                act(str(arrived), source.format)

    def _fill(
        self, op: str, address: str, form: str, part: str, size: int, opened: VolumeKey | None, key: VolumeKey | None
    ) -> None:
        now = qemu_img.virtual_size(op, address, form, opened)
        if opened is not None and form == "raw":
            now -= now % GIB  # stores round sizes up, and so do what is kept in them
        if size and now > size:
            raise DriverError(op, f"{now} bytes do not fit into {size}", code="volume.refused")
        self._make(op, part, max(size, now), key)
        qemu_img.fill(op, address, form, self._address(part), source_key=opened, key=key)

    def _make(self, op: str, part: str, size: int, key: VolumeKey | None) -> None:
        """A device that guests see as ``size`` bytes. What LUKS needs for itself comes on top: it is made in a file
        with holes, since not every store lets qemu-img do so."""
        if key is None:
            self._make_blank(part, size)
            return
        with self._beside() as directory:
            header = directory / "header"
            qemu_img.create(op, header, size, "raw", key)
            self._make_blank(part, header.stat().st_size)
            qemu_img.fill(op, header, "raw", self._address(part))

    @contextmanager
    def _beside(self) -> Iterator[Path]:
        """A directory for what is on its way."""
        self._spool.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._spool) as directory:
            yield Path(directory)

    def _known(self, op: str, source: OfVolume | OfSnapshot) -> str:
        what, found = ("volume", _VOLUME) if isinstance(source, OfVolume) else ("snapshot", _SNAPSHOT)
        wanted = source.volume_id if isinstance(source, OfVolume) else source.snapshot_id
        if found + _checked(wanted) not in self._names():
            raise DriverError(op, f"the data of {what} {wanted} are missing", code=f"{what}.not_found")
        return found + wanted

    def delete_volume(self, volume_id: str) -> None:
        self._drop(_ASIDE + _VOLUME + _checked(volume_id))
        self._drop(_VOLUME + volume_id)

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._drop(_SNAPSHOT + _checked(snapshot_id))

    def _drop(self, name: str) -> None:
        if name in self._names():
            self._remove(name)

    def extend_volume(self, volume_id: str, size_gib: int, *, key: VolumeKey | None = None) -> None:
        name, size = self._known("extend_volume", OfVolume(volume_id)), size_gib * GIB
        if key is not None:
            size += qemu_img.luks_header("extend_volume", self._address(name))
        now = self._size(name)
        if now > size:
            raise DriverError("extend_volume", f"{now} bytes cannot shrink to {size}", code="volume.refused")
        if now < size:
            self._grow(name, size)

    def ensure_snapshot(self, snapshot_id: str, source: VolumeSource) -> None:
        name = _SNAPSHOT + _checked(snapshot_id)
        if name not in self._names():
            self._rename(self._whole("create_snapshot", source, source.key), name)

    def read(self, source: OfVolume | OfSnapshot, disk_format: str) -> Iterable[bytes]:
        name = self._known("read_volume", source)
        require_plain("read_volume", source)
        return LentFile(lambda: self._copy(name, disk_format))

    def stream(self, source: OfVolume | OfSnapshot, disk_format: str = "") -> OfStream:
        name, key = self._known("read_volume", source), None if disk_format in ("", "raw") else source.key
        form = disk_format or "raw"
        return OfStream(LentFile(lambda: self._copy(name, form, key)), form, source.key)

    @contextmanager
    def _copy(self, name: str, disk_format: str, key: VolumeKey | None = None) -> Iterator[Path]:
        """Opened, and encrypted again, with ``key``; without one it is what the device holds."""
        with self._beside() as directory:
            copy, address = directory / "copy", self._address(name)
            qemu_img.convert("read_volume", address, "raw", copy, disk_format, source_key=key, key=key)
            yield copy

    def place(self, volume_id: str) -> VolumePlace | None:
        return self.places([volume_id]).get(volume_id)

    def places(self, volume_ids: Iterable[str]) -> dict[str, VolumePlace]:
        devices, there = {volume_id: _VOLUME + _checked(volume_id) for volume_id in volume_ids}, self._names()
        return {volume_id: VolumePlace(self._address(name), "raw") for volume_id, name in devices.items()
                if name in there}  # fmt: skip

    def volume_ids(self) -> tuple[str, ...]:
        return self._ids(_VOLUME)

    def snapshot_ids(self) -> tuple[str, ...]:
        return self._ids(_SNAPSHOT)

    def _ids(self, kind: str) -> tuple[str, ...]:
        return tuple(sorted(name.removeprefix(kind) for name in self._names() if name.startswith(kind)))

    def found_volumes(self) -> tuple[FoundData, ...]:
        """Devices of the store that are not ours. Whatever they hold, they are plain bytes to a guest."""
        return self._found(snapshots=False)

    def found_snapshots(self) -> tuple[FoundData, ...]:
        return self._found(snapshots=True)

    def _found(self, *, snapshots: bool) -> tuple[FoundData, ...]:
        ours = (_VOLUME, _SNAPSHOT, _PART, _ASIDE)
        found = {name.removeprefix(_GIVEN): size for name, size in self._sizes().items() if not name.startswith(ours)}
        return tuple(
            FoundData(reference, size) for reference, size in sorted(found.items())
            if reference.startswith(_SNAPSHOT) == snapshots
        )  # fmt: skip

    def take_volume(self, volume_id: str, reference: str) -> int:
        return self._take(_VOLUME + _checked(volume_id), reference, grows=True)

    def take_snapshot_over(self, snapshot_id: str, reference: str) -> int:
        return self._take(_SNAPSHOT + _checked(snapshot_id), reference, grows=False)

    def _take(self, name: str, reference: str, *, grows: bool) -> int:
        names = self._names()
        if name not in names:
            wanted = [one for one in (_GIVEN + reference, reference) if one in names]
            if not wanted or wanted[0].startswith((_VOLUME, _SNAPSHOT, _PART, _ASIDE)):
                raise DriverError("manage", f"there is no {reference[:200]!r} to be managed", code="volume.not_found")
            gib = whole_gib(self._size(wanted[0]))
            if grows and self._size(wanted[0]) < gib * GIB:
                self._grow(wanted[0], gib * GIB)
            self._rename(wanted[0], name)
        return whole_gib(self._size(name))

    def give_volume(self, volume_id: str) -> None:
        self._give(_VOLUME + _checked(volume_id))

    def give_snapshot(self, snapshot_id: str) -> None:
        self._give(_SNAPSHOT + _checked(snapshot_id))

    def _give(self, name: str) -> None:
        if name in self._names():
            self._rename(name, _GIVEN + name)

    def clean(self) -> None:
        self._settle({name.removeprefix(_ASIDE) for name in self._names() if name.startswith(_ASIDE)})
        for name in sorted(self._names()):
            if name.startswith(_PART):
                self._remove(name)
        for path in self._spool.glob("tmp*"):
            shutil.rmtree(path)


def _write(op: str, device: str, source: OfStream, size: int) -> None:
    """On a device that reads as zeros; it has the content for good when this returns."""
    written = 0
    with open(device, "r+b") as file:
        for chunk in source.chunks:
            written += len(chunk)
            if written > size:
                raise too_large(op, written, size)
            if is_blank(chunk):
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _checked(text: str) -> str:
    """Ids become names of devices: nothing but a UUID may."""
    try:
        known: str | None = str(UUID(text))
    except ValueError:
        known = None
    if known is None or known != text:
        raise DriverError("volume", f"{text[:64]!r} is not an id", code="volume.not_found")
    return known
