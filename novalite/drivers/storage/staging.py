"""What came for images and is still to be made one, as files: ``ID`` came whole, ``ID.disk`` was made of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import uuid4

from novalite.drivers.storage import inspect, ova, qemu_img, receiving
from novalite.drivers.storage.receiving import Room
from novalite.drivers.storage.web_places import Allowed
from novalite.drivers.storage.web_source import WebSource
from novalite.errors import DriverError, TooLarge

_LOOK_SECONDS = 2.0
_ARRIVING = ".part"
_DISK = ".disk"
_TAKEN_OUT = ".ova-disk"
# What QEMU opens for copying, but should not run a guest from.
CONVERTED = ("vmdk", "vdi", "vhd", "vhdx")


class FileStaging:
    """Sizes in bytes. See ``ImageStaging``. Nobody but this process reads what is here."""

    def __init__(self, directory: Path, room: Room, max_virtual_size: int, allowed: Allowed) -> None:
        self._directory, self._room, self._max_virtual_size = directory, room, max_virtual_size
        self._allowed = allowed
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)

    def place(self, image_id: str) -> Path:
        return self._directory / receiving.file_name(image_id)

    def made(self, image_id: str) -> Path:
        """What is to be stored: what was made of the data, or they themselves."""
        whole = self.place(image_id)
        disk = whole.with_name(whole.name + _DISK)
        return disk if disk.exists() else whole

    def require_uri(self, uri: str) -> None:
        self._allowed.place(uri)

    def fetch(self, image_id: str, uri: str, watch: Callable[[], None]) -> None:
        """See ``ImageStaging``."""
        looked = 0.0

        def look() -> None:
            nonlocal looked
            if time.monotonic() - looked > _LOOK_SECONDS:
                watch()
                self._room.require()
                looked = time.monotonic()

        with receiving.told(image_id):
            source = WebSource(self._allowed, most_bytes=self._room.max_size)
            source.fetch(uri, self.place(image_id), watch=look)

    def arrived(self, image_id: str) -> bool:
        return self.place(image_id).exists()

    def receive(self, image_id: str, chunks: Iterable[bytes]) -> int:
        """See ``ImageStaging``."""
        target = self.place(image_id)
        arriving = target.with_name(f"{target.name}.{uuid4().hex}{_ARRIVING}")
        try:
            with receiving.told(image_id):
                with arriving.open("xb") as file:
                    got = receiving.receive(file, chunks, self._room)
                arriving.replace(target)
        finally:
            arriving.unlink(missing_ok=True)
        return got.size

    def unpack(self, image_id: str, disk_format: str, container_format: str, target_format: str) -> str:
        """See ``ImageStaging``."""
        with receiving.told(image_id):
            source = self.place(image_id)
            if container_format == "ova":
                source = self._first_disk(source)
            if disk_format not in CONVERTED or not target_format:
                if container_format == "ova":
                    source.replace(self._beside(image_id, _DISK))
                return disk_format
            self._convert(source, disk_format, self._beside(image_id, _DISK), target_format)
            return target_format

    def _beside(self, image_id: str, ending: str) -> Path:
        whole = self.place(image_id)
        return whole.with_name(whole.name + ending)

    def _first_disk(self, archive: Path) -> Path:
        target = archive.with_name(archive.name + _TAKEN_OUT)
        self._room.require(archive.stat().st_size)
        ova.extract_first_disk(archive, target, most_bytes=self._room.max_size)
        return target

    def _convert(self, source: Path, disk_format: str, target: Path, target_format: str) -> None:
        """Nothing is opened by QEMU that was not looked at before, and no result is larger than an upload may be."""
        virtual_size = inspect.check(source, disk_format, max_virtual_size=self._max_virtual_size)
        if target_format == "raw":
            self._room.require_size(virtual_size)
        self._make(source, inspect.QEMU_FORMATS[disk_format], target, target_format)

    def _make(self, source: Path, source_format: str, target: Path, target_format: str, options: str = "") -> None:
        self._room.require()
        arriving = target.with_name(target.name + _ARRIVING)
        try:
            qemu_img.convert(
                "images.convert", source, source_format, arriving, target_format, most_bytes=self._room.max_size,
                options=options,
            )  # fmt: skip
            arriving.replace(target)
        except DriverError as error:
            if error.code != "image.too_large":
                raise
            raise TooLarge(f"Converted, the image is larger than the {self._room.max_size} bytes that images may have.",
                           code="image.too_large") from error  # fmt: skip
        finally:
            arriving.unlink(missing_ok=True)

    def pack(self, image_id: str) -> None:
        """See ``ImageStaging``."""
        with receiving.told(image_id):
            qemu_img.require_alone("images.convert", self.place(image_id))
            target = self._beside(image_id, _DISK)
            self._make(self.place(image_id), "qcow2", target, "vmdk", "subformat=streamOptimized")

    def drop(self, image_id: str) -> None:
        """See ``ImageStaging``."""
        whole = self.place(image_id)
        whole.unlink(missing_ok=True)
        for each in self._directory.glob(f"{whole.name}.*"):
            each.unlink(missing_ok=True)

    def ids(self) -> tuple[str, ...]:
        return tuple(sorted({path.name.partition(".")[0] for path in self._directory.iterdir()}))
