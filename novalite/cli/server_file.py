"""The file that a server travels in: a tar with its description first. Written as the bytes come, never held."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from novalite.drivers.storage import ova
from novalite.drivers.storage.ova import Member
from novalite.errors import Failed, Invalid

MANIFEST = "manifest.json"
_MOST_MANIFEST_BYTES = 1 << 20
_LARGEST_USTAR = 8 << 30
_CHUNK = 1 << 20


class Writer:
    """Files one after the other; ``close`` gives the archive its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, name: str, size: int, content: Iterable[bytes]) -> Mapping[str, str]:
        """The digests of what was written. Raises ``Failed`` for content that has another size."""
        self._begin(name, size)
        sha256, sha512, written = hashlib.sha256(), hashlib.sha512(), 0
        for piece in content:
            written += len(piece)
            if written > size:
                break
            sha256.update(piece)
            sha512.update(piece)
            self._file.write(piece)
        if written != size:
            raise Failed(f"{name} has {written} bytes where {size} were told.", code="export.changed")
        self._fill(size)
        return {"sha256": sha256.hexdigest(), "sha512": sha512.hexdigest()}

    def add_text(self, name: str, text: bytes) -> int:
        """A small file; where its content stands, so that it can be written again in the same length."""
        self._begin(name, len(text))
        place = self._file.tell()
        self._file.write(text)
        self._fill(len(text))
        return place

    def rewrite(self, place: int, text: bytes) -> None:
        end = self._file.tell()
        self._file.seek(place)
        self._file.write(text)
        self._file.seek(end)

    def close(self) -> None:
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._fill(self._file.tell(), tarfile.RECORDSIZE)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _begin(self, name: str, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        large = size >= _LARGEST_USTAR
        self._file.write(info.tobuf(tarfile.GNU_FORMAT if large else tarfile.USTAR_FORMAT))

    def _fill(self, size: int, block: int = tarfile.BLOCKSIZE) -> None:
        self._file.write(bytes(-size % block))


@dataclass(frozen=True)
class Opened:
    """A file of either kind. ``manifest`` is None for an OVA."""

    file: BinaryIO
    members: dict[str, Member]
    manifest: dict[str, Any] | None

    def content(self, name: str) -> Iterator[bytes]:
        """Raises ``Invalid`` for what is cut off."""
        member = self.members[name]
        self.file.seek(member.offset)
        left = member.size
        while left:
            piece = self.file.read(min(left, _CHUNK))
            if not piece:
                raise Invalid(f"The file ends inside {name}.", field="file", code="import.cut_off")
            left -= len(piece)
            yield piece


def read(file: BinaryIO) -> Opened:
    """What is in it, as far as its headers tell; nothing is unpacked. Raises ``Invalid``."""
    found: dict[str, Member] = {}
    for member in _members(file):
        if member.name in found:
            raise _wrong(f"it holds two files named {member.name[:64]}")
        found[member.name] = member
    if MANIFEST not in found:
        if not any(name.lower().endswith(".ovf") for name in found):
            raise _wrong(f"it holds neither {MANIFEST} nor an OVF description")
        return Opened(file, found, None)
    if found[MANIFEST].size > _MOST_MANIFEST_BYTES:
        raise _wrong(f"its {MANIFEST} is too long")
    file.seek(found[MANIFEST].offset)
    try:
        manifest = json.loads(file.read(found[MANIFEST].size))
    except (ValueError, RecursionError) as error:
        raise _wrong(f"its {MANIFEST} is no JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise _wrong(f"its {MANIFEST} is no object")
    opened = Opened(file, found, manifest)
    _require_disks(opened, manifest)
    return opened


def _members(file: BinaryIO) -> Iterator[Member]:
    try:
        yield from ova.members(file)
    except Invalid as error:
        raise _wrong(error.message.removeprefix("The OVA ").rstrip(".")) from error


def _require_disks(opened: Opened, manifest: dict[str, Any]) -> None:
    """Before anything is sent. What else is wrong with the manifest the cloud says."""
    told = manifest.get("disks")
    for disk in told if isinstance(told, list) else ():
        if isinstance(disk, dict) and "file" in disk:
            member = opened.members.get(str(disk["file"]))
            if member is None:
                raise _wrong(f"the disk {str(disk['file'])[:64]} is not in it")
            if member.size != disk.get("size"):
                raise _wrong(f"{member.name} has {member.size} bytes where its manifest tells {disk.get('size')}")
            if member.offset + member.size > opened.file.seek(0, io.SEEK_END):
                raise _wrong(f"it is cut off inside {member.name}")


def _wrong(why: str) -> Invalid:
    return Invalid(f"This is no file of a server: {why}.", field="file", code="import.file")


def part_of(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(path.name + ".part")


def fresh(path: Path) -> BinaryIO:
    """A new file in the place of what may be there, for its owner only: disks hold secrets."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")
