"""The first disk of an OVA: a tar file of strangers, read block by block and never unpacked as a whole."""

from __future__ import annotations

import os
import tarfile
import xml.parsers.expat as expat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from novalite.drivers.storage import ova_manifest
from novalite.drivers.storage.ova_manifest import Digest
from novalite.errors import Invalid

_BLOCK = tarfile.BLOCKSIZE
_COPY_BYTES = 1 << 20
_MOST_MEMBERS = 256
_MOST_OVF_BYTES = 1 << 20
_MOST_HEADER_BYTES = 1 << 16
_MOST_DIGITS = len(str(_MOST_HEADER_BYTES))
_LARGEST = 1 << 56
"""More than any file has, and so little that no place in a file is beyond what is counted."""
_OVF = "http://schemas.dmtf.org/ovf/envelope/1"


@dataclass(frozen=True)
class Member:
    """A plain file in the archive: ``size`` bytes at ``offset``."""

    name: str
    offset: int
    size: int


def extract_first_disk(archive: Path, target: Path, *, most_bytes: int) -> None:
    """Write the disk that the archive's OVF names first to ``target``.

    Raises ``Invalid`` (field ``image``) for archives with links, devices, paths or doubles in them, for disks that are
    elsewhere, compressed or larger than ``most_bytes``, for XML that declares entities, and when the archive has a
    manifest that says something else of the description or the disk, or nothing.
    """
    with archive.open("rb") as file:
        found: dict[str, Member] = {}
        for member in members(file):
            if member.name in found:
                raise _refusal(f"holds two files named {member.name[:64]}")
            found[member.name] = member
        disk = _first_disk(found, file)
        if disk.size > most_bytes:
            raise _refusal(f"holds a disk of {disk.size} bytes, the limit is {most_bytes}")
        expected = _expected(found, disk, file)
        hashed = expected.begin() if expected else None
        file.seek(disk.offset)
        with target.open("wb") as out:
            left = disk.size
            while left:
                block = file.read(min(left, _COPY_BYTES))
                if not block:
                    raise _refusal("is cut off inside its disk")
                out.write(block)
                left -= len(block)
                if hashed:
                    hashed.update(block)
            out.flush()
            os.fsync(out.fileno())
        if expected and hashed:
            expected.require(disk.name, hashed)


def _expected(found: dict[str, Member], disk: Member, file: BinaryIO) -> Digest | None:
    """What the manifest says of the disk; it has said the truth of the description then. None without one."""
    manifests = [member for name, member in found.items() if name.lower().endswith(".mf")]
    if not manifests:
        return None
    if len(manifests) > 1 or manifests[0].size > _MOST_OVF_BYTES:
        raise _refusal("has more than one manifest" if len(manifests) > 1 else "has a manifest that is too long")
    manifest = ova_manifest.read(_content(manifests[0], file))
    for name, member in found.items():
        if name.lower().endswith(".ovf"):
            digest = ova_manifest.digest_of(manifest, name)
            hashed = digest.begin()
            hashed.update(_content(member, file))
            digest.require(name, hashed)
    return ova_manifest.digest_of(manifest, disk.name)


def _content(member: Member, file: BinaryIO) -> bytes:
    """Of a small file."""
    file.seek(member.offset)
    return file.read(member.size)


def members(file: BinaryIO) -> Iterator[Member]:
    """The plain files of an archive that holds nothing else. Raises ``Invalid``.

    The library's own reader would hold extended headers of any length in memory."""
    said: dict[str, str] = {}
    for number, info in enumerate(_headers(file)):
        if number >= _MOST_MEMBERS:
            raise _refusal(f"holds more than {_MOST_MEMBERS} files")
        offset = file.tell()
        if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            if info.size > _MOST_HEADER_BYTES:
                raise _refusal("has an extended header that is too long")
            said = _pax(file.read(info.size))
            size = info.size
        elif info.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            name, size = said.get("path", info.name), _size(said.get("size", ""), info.size)
            if any(key.startswith("GNU.sparse") for key in said):
                raise _refusal("holds sparse files")
            said = {}
            yield Member(_plain(name), offset, size)
        else:
            raise _refusal(f"holds '{info.name[:64]}', which is no plain file")
        file.seek(offset + -(-size // _BLOCK) * _BLOCK)


def _headers(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    file.seek(0)
    while True:
        block = file.read(_BLOCK)
        if len(block) < _BLOCK or not block.strip(b"\0"):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise _refusal(f"is not a tar file: {error}") from error
        if not 0 <= info.size <= _LARGEST:
            raise _refusal("has a file of impossible size")
        yield info


def _pax(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    while data.strip(b"\0"):
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or len(length) > _MOST_DIGITS or not len(length) < int(length) <= len(data):
            raise _refusal("has a broken extended header")
        key, _, value = data[len(length) + 1 : int(length) - 1].decode("utf-8", "replace").partition("=")
        found[key] = value
        data = data[int(length) :]
    return found


def _size(said: str, size: int) -> int:
    if said and not (said.isdecimal() and len(said) < 20 and int(said) <= _LARGEST):
        raise _refusal("has a file of impossible size")
    return int(said) if said else size


def _plain(name: str) -> str:
    path = PurePosixPath(name)
    if len(path.parts) != 1 or path.name != name.removeprefix("./") or path.name in ("..", "."):
        raise _refusal(f"holds the path '{name[:64]}' instead of a file name")
    return path.name


def _first_disk(found: dict[str, Member], file: BinaryIO) -> Member:
    name = disks(found, file)[0]
    if name not in found:
        raise _refusal(f"names the disk '{name[:64]}', which is not in it")
    return found[name]


def disks(found: dict[str, Member], file: BinaryIO) -> list[str]:
    """The files of the disks that an archive's OVF describes, in its order. Raises ``Invalid``."""
    described = [member for name, member in found.items() if name.lower().endswith(".ovf")]
    if len(described) != 1:
        raise _refusal(f"holds {len(described)} OVF descriptions instead of one")
    if described[0].size > _MOST_OVF_BYTES:
        raise _refusal("has an OVF description that is too long")
    file.seek(described[0].offset)
    return _named_disks(file.read(described[0].size))


def _named_disks(document: bytes) -> list[str]:
    """The files of those disks that have one."""
    files: dict[str, str] = {}
    referred: list[str] = []

    def begin(tag: str, attributes: dict[str, str]) -> None:
        ovf = {key.removeprefix(f"{_OVF} "): value for key, value in attributes.items()}
        if tag.rpartition(" ")[2] == "File":
            if ovf.get("compression", "identity") not in ("", "identity") or "chunkSize" in ovf:
                raise _refusal("holds compressed or divided disks")
            files[ovf.get("id", "")] = ovf.get("href", "")
        elif tag.rpartition(" ")[2] == "Disk" and ovf.get("fileRef"):
            referred.append(ovf["fileRef"])

    def refuse(*_: object) -> None:
        raise _refusal("has an OVF description that declares entities")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise _refusal(f"has an OVF description that is no XML: {error}") from error
    if not referred or not files.get(referred[0]):
        raise _refusal("describes no disk")
    return [files.get(reference, "") for reference in referred]


def _refusal(what: str) -> Invalid:
    return ova_manifest.refusal(what)
