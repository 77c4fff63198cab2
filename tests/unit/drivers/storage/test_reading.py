"""Disks read where they lie."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from novalite.drivers.storage import reading
from novalite.drivers.storage.base import OfVolume
from novalite.drivers.storage.volumes import FileVolumes
from novalite.errors import DriverError
from tests.contracts.volume_driver import new_id
from tests.contracts.waiting import until

MIB = 1 << 20


def qemu(*words: object) -> None:
    subprocess.run(list(map(str, words)), check=True, capture_output=True, timeout=60)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Content, holes, zeros that were written, and an end that is no whole block."""
    path, random = tmp_path / "raw", Random(1)
    with path.open("wb") as file:
        file.write(random.randbytes(3 * MIB + 5))
        file.seek(20 * MIB)
        file.write(random.randbytes(100_000) + bytes(5 * MIB) + random.randbytes(70_000))
        file.truncate(40 * MIB + 512)
    return path


def digest(chunks: Iterator[bytes]) -> str:
    made = hashlib.sha256()
    for chunk in chunks:
        made.update(chunk)
    return made.hexdigest()


def expected(raw: Path) -> str:
    return hashlib.sha256(raw.read_bytes()).hexdigest()


@pytest.mark.parametrize("window", [reading._WINDOW, 7 * MIB])
@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_it_is_what_a_guest_sees(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_format: str, window: int
) -> None:
    monkeypatch.setattr(reading, "_WINDOW", window)
    disk = tmp_path / "disk"
    qemu("qemu-img", "convert", "-O", image_format, "-f", "raw", raw, disk)
    assert digest(reading.content("read", disk, image_format)) == expected(raw)


def test_what_was_written_in_any_order(raw: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    qemu("qemu-img", "create", "-f", "qcow2", disk, "64M")
    for number in (50, 3, 49, 20, 4):
        qemu("qemu-io", "-f", "qcow2", "-c", f"write -P {number} {number}M 70k", disk)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -z 20M 4k", disk)
    qemu("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, raw)
    assert digest(reading.content("read", disk, "qcow2")) == expected(raw)


@pytest.mark.parametrize("options", [(), ("-c",)])
def test_a_volume_is_read_without_a_copy_unless_it_is_compressed(
    raw: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    files, volume_id = FileVolumes(tmp_path / "volumes"), new_id()
    disk = Path(files.ensure_volume(volume_id, 1).path)
    qemu("qemu-img", "convert", *options, "-f", "raw", "-O", "qcow2", raw, disk)
    copied = []
    chunks = files.read(OfVolume(volume_id), "raw")
    whole = b""
    for chunk in chunks:
        whole += chunk
        copied += list(disk.parent.glob("*.part"))
    assert hashlib.sha256(whole).hexdigest() == expected(raw)
    assert bool(copied) == bool(options)
    assert list(disk.parent.glob("*.part")) == []


def test_a_disk_in_use_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    qemu("qemu-img", "create", "-f", "qcow2", disk, "1M")

    def refusal() -> str:
        try:
            list(reading.content("read", disk, "qcow2"))
        except DriverError as error:
            return error.code
        return ""

    with subprocess.Popen(["qemu-io", "-f", "qcow2", "-c", "sleep 60000", str(disk)]) as user:
        until(lambda: refusal() != "", "the disk is in use")
        assert refusal() == "volume.busy"
        user.kill()
    assert refusal() == ""
