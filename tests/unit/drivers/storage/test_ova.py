"""OVA files, honest ones and others."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from novalite.drivers.storage import ova
from novalite.errors import Invalid

OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>
    <File ovf:href="second.vmdk" ovf:id="f2"/>
    <File ovf:href="{name}" ovf:id="f1" {more}/>
  </References>
  <DiskSection><Info/><Disk ovf:diskId="d0" ovf:capacity="1"/><Disk ovf:diskId="d1" ovf:fileRef="f1"/></DiskSection>
</Envelope>
"""
DISK = b"the disk" * 1000


def archive(path: Path, *members: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1  # type: ignore[assignment]
            tar.addfile(info, io.BytesIO(data))
    return path


def ovf(name: str = "disk.vmdk", more: str = "") -> tuple[str, bytes]:
    return "machine.ovf", OVF.format(name=name, more=more).encode()


def taken(path: Path, most: int = 1 << 20) -> bytes:
    ova.extract_first_disk(path, path.with_suffix(".out"), most_bytes=most)
    return path.with_suffix(".out").read_bytes()


def refusal(path: Path, most: int = 1 << 20) -> str:
    with pytest.raises(Invalid) as caught:
        taken(path, most)
    return caught.value.message


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_the_first_disk_that_has_a_file_is_taken(tmp_path: Path, form: int) -> None:
    path = archive(tmp_path / "a", ovf(), ("second.vmdk", b"no"), ("disk.vmdk", DISK), ("readme", b"x"), form=form)
    assert taken(path) == DISK


def _with(kind: bytes, name: str = "disk.vmdk", link: str = "/etc/passwd") -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        archive(path, ovf())
        with tarfile.open(path, "a", format=tarfile.USTAR_FORMAT) as tar:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            tar.addfile(info)
        return path

    return make


def _plain(*members: tuple[str, bytes]) -> Callable[[Path], Path]:
    return lambda path: archive(path, *members)


def _long_header(path: Path) -> Path:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096)
    return path


def _cut(path: Path) -> Path:
    data = archive(path, ovf(), ("disk.vmdk", DISK)).read_bytes()
    path.write_bytes(data[: data.index(DISK) + 100])
    return path


def _sparse(path: Path) -> Path:
    info = tarfile.TarInfo("disk.vmdk")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 60)}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    return path


def _beyond(path: Path) -> Path:
    """Where no file has a place."""
    info = tarfile.TarInfo("disk.vmdk")
    info.size = 1 << 80
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096)
    return path


def _extended(data: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, len(data)
        file = tarfile.TarInfo("disk.vmdk").tobuf(tarfile.USTAR_FORMAT)
        path.write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + data.ljust(-(-len(data) // 512) * 512, b"\0") + file)
        return path

    return make


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Envelope>&b;</Envelope>'
HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "symbolic link": (_with(tarfile.SYMTYPE), "no plain file"),
    "hard link": (_with(tarfile.LNKTYPE), "no plain file"),
    "device": (_with(tarfile.CHRTYPE), "no plain file"),
    "pipe": (_with(tarfile.FIFOTYPE), "no plain file"),
    "directory": (_with(tarfile.DIRTYPE, "d"), "no plain file"),
    "path upwards": (_plain(ovf(), ("../disk.vmdk", DISK)), "instead of a file name"),
    "absolute path": (_plain(ovf(), ("/etc/passwd", DISK)), "instead of a file name"),
    "path below": (_plain(ovf(), ("a/disk.vmdk", DISK)), "instead of a file name"),
    "two of one name": (_plain(ovf(), ("disk.vmdk", DISK), ("disk.vmdk", b"x")), "two files"),
    "disk not there": (_plain(ovf()), "not in it"),
    "disk elsewhere": (_plain(ovf("/etc/passwd"), ("disk.vmdk", DISK)), "not in it"),
    "disk on the web": (_plain(ovf("http://example.org/disk"), ("disk.vmdk", DISK)), "not in it"),
    "compressed disk": (_plain(ovf(more='ovf:compression="gzip"'), ("disk.vmdk", DISK)), "compressed"),
    "divided disk": (_plain(ovf(more='ovf:chunkSize="1"'), ("disk.vmdk", DISK)), "divided"),
    "entities": (_plain(("m.ovf", BOMB), ("disk.vmdk", DISK)), "entities"),
    "no XML": (_plain(("m.ovf", b"<x"), ("disk.vmdk", DISK)), "no XML"),
    "no disk": (_plain(("m.ovf", b"<x/>"), ("disk.vmdk", DISK)), "describes no disk"),
    "no OVF": (_plain(("disk.vmdk", DISK)), "0 OVF"),
    "two OVF": (_plain(ovf(), ("b.ovf", b""), ("disk.vmdk", DISK)), "2 OVF"),
    "long OVF": (_plain(("m.ovf", b" " * (2 << 20))), "too long"),
    "many files": (_plain(*((f"f{n}", b"") for n in range(300))), "more than"),
    "endless header": (_long_header, "too long"),
    "beyond any file": (_beyond, "impossible size"),
    "beyond any file, extended": (_extended(b"28 size=9999999999999999999\n"), "impossible size"),
    "endless number": (_extended(b"9" * 5000 + b" size=1\n"), "broken extended header"),
    "sparse file": (_sparse, "sparse"),
    "cut off": (_cut, "cut off"),
    "no tar": (lambda path: path.write_bytes(b"x" * 2000) and path, "not a tar"),
    "compressed tar": (lambda path: path.write_bytes(gzip.compress(b"x" * 999, 0)) and path, "not a tar"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(tmp_path: Path, name: str) -> None:
    make, why = HOSTILE[name]
    assert why in refusal(make(tmp_path / "a"))


def test_a_disk_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    assert "the limit" in refusal(archive(tmp_path / "a", ovf(), ("disk.vmdk", DISK)), most=100)


def test_what_tar_itself_makes_is_read(tmp_path: Path) -> None:
    (tmp_path / "machine.ovf").write_bytes(ovf()[1])
    (tmp_path / "disk.vmdk").write_bytes(DISK)
    subprocess.run(["tar", "cf", "a.ova", "machine.ovf", "disk.vmdk"], cwd=tmp_path, check=True, timeout=60)
    assert taken(tmp_path / "a.ova") == DISK


def manifest(
    algorithm: str = "SHA256", line: str = "{algorithm}({name})= {digest}", **other: bytes
) -> tuple[str, bytes]:
    """Of what ``ovf()`` and the disk are; ``other`` has something else in the place of one."""
    files = {"machine.ovf": other.get("ovf", ovf()[1]), "disk.vmdk": other.get("disk", DISK)}
    lines = [
        line.format(algorithm=algorithm, name=name,
                    digest=hashlib.new(algorithm.lower().replace("-", ""), data).hexdigest())
        for name, data in files.items()
    ]  # fmt: skip
    return "machine.mf", "\r\n".join([*lines, ""]).encode()


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA384", "SHA512", "SHA-256"])
@pytest.mark.parametrize("line", ["{algorithm}({name})= {digest}", "{algorithm} ({name}) = {digest}"])
def test_what_the_manifest_says_is_true(tmp_path: Path, algorithm: str, line: str) -> None:
    good = archive(tmp_path / "a", ovf(), manifest(algorithm, line), ("disk.vmdk", DISK))
    assert taken(good) == DISK
    wrong = archive(tmp_path / "b", ovf(), manifest(algorithm, line, disk=b"other"), ("disk.vmdk", DISK))
    told = refusal(wrong)
    assert "another disk.vmdk" in told
    assert hashlib.new(algorithm.lower().replace("-", ""), DISK).hexdigest() in told


@pytest.mark.parametrize(("said", "why"), [
    (manifest(ovf=b"<other/>")[1], "another machine.ovf"),
    (b"SHA256(machine.ovf)= " + hashlib.sha256(ovf()[1]).hexdigest().encode(), "says nothing of disk.vmdk"),
    (b"", "says nothing of machine.ovf"),
    (manifest()[1] * 2, "twice"),
    (b"MD5(disk.vmdk)= 00", "MD5(disk.vmdk)"),
    (b"SHA3(disk.vmdk)= 00", "SHA3(disk.vmdk)"),
    (b"SHA256(disk.vmdk)= xyz", "names no file"),
    (bytes(range(256)), "names no file"),
    (b" " * (2 << 20), "too long"),
])  # fmt: skip
def test_a_manifest_that_says_something_else_is_refused(tmp_path: Path, said: bytes, why: str) -> None:
    for members in (
        [ovf(), ("machine.mf", said), ("disk.vmdk", DISK)],
        [ovf(), ("disk.vmdk", DISK), ("machine.mf", said)],
    ):
        assert why in refusal(archive(tmp_path / "a", *members))


def test_two_manifests_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", ovf(), ("disk.vmdk", DISK), manifest(), ("b.MF", manifest()[1]))
    assert "more than one manifest" in refusal(path)
