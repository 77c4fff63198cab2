"""Hostile and broken images, made with qemu-img or by hand, and what becomes of them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from novalite.drivers.storage import inspect
from novalite.drivers.storage.qemu_img import convert
from novalite.errors import DriverError, Invalid
from tests.contracts import hostile_images

GIB = 1 << 30


def qemu_img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True, timeout=60)


def made(path: Path, kind: str, *options: object, size: str = "16M") -> Path:
    qemu_img("create", "-f", kind, *options, path, size)
    return path


def refusal(path: Path, disk_format: str, limit: int = GIB) -> str:
    with pytest.raises(Invalid) as caught:
        inspect.check(path, disk_format, max_virtual_size=limit)
    assert caught.value.field == "image"
    return caught.value.message


def patched(path: Path, offset: int, data: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    return path


@pytest.mark.parametrize(
    ("kind", "disk_format"),
    [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vhdx", "vhdx"), ("vpc", "vhd"), ("raw", "raw")],
)
def test_an_honest_image_tells_its_size(tmp_path: Path, kind: str, disk_format: str) -> None:
    path = made(tmp_path / "disk", kind)
    assert 16 << 20 <= inspect.check(path, disk_format, max_virtual_size=GIB) < 17 << 20


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vdi", "vhdx", "vpc"])
@pytest.mark.parametrize("declared", ["raw", "qcow2", "vmdk", "iso"])
def test_an_image_is_what_it_is_declared_to_be(tmp_path: Path, kind: str, declared: str) -> None:
    if kind != declared:
        assert "as declared" in refusal(made(tmp_path / "disk", kind), declared)


def test_a_backing_file_is_refused(tmp_path: Path) -> None:
    assert "backing file" in refusal(made(tmp_path / "disk", "qcow2", "-b", "/etc/passwd", "-F", "raw"), "qcow2")


@pytest.mark.parametrize("name", ["nbd:127.0.0.1:10809", 'json:{"driver":"file","filename":"/etc/passwd"}'])
def test_a_backing_name_is_refused_before_qemu_sees_it(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / "disk", "qcow2")
    patched(path, 8, struct.pack(">QI", 0x200, len(name)))
    patched(path, 0x200, name.encode())
    assert "backing file" in refusal(path, "qcow2")


def test_a_data_file_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.raw"
    path = made(tmp_path / "disk", "qcow2", "-o", f"data_file={outside},data_file_raw=on")
    assert "another file" in refusal(path, "qcow2")


def test_internal_snapshots_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "disk", "qcow2")
    qemu_img("snapshot", "-c", "one", path)
    assert "snapshots" in refusal(path, "qcow2")


def test_encryption_is_refused(tmp_path: Path) -> None:
    path = patched(made(tmp_path / "disk", "qcow2"), 32, struct.pack(">I", 2))
    assert "encrypted" in refusal(path, "qcow2")


def test_an_image_marked_corrupt_is_refused(tmp_path: Path) -> None:
    path = patched(made(tmp_path / "disk", "qcow2"), 72, struct.pack(">Q", 2))
    assert "corrupt" in refusal(path, "qcow2")


@pytest.mark.parametrize("version", [0, 1, 4, 99])
def test_an_unknown_qcow2_version_is_refused(tmp_path: Path, version: int) -> None:
    path = patched(made(tmp_path / "disk", "qcow2"), 4, struct.pack(">I", version))
    assert "version" in refusal(path, "qcow2")


@pytest.mark.parametrize("length", [4, 40, 71])
def test_a_header_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    path = made(tmp_path / "disk", "qcow2")
    path.write_bytes(path.read_bytes()[:length])
    assert "cut off" in refusal(path, "qcow2")


def test_an_image_cut_short_is_refused(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(bytes(range(256)) * 16384)
    path = tmp_path / "disk"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", content, path)
    path.write_bytes(path.read_bytes()[: 2 << 20])
    assert "damaged or incomplete" in refusal(path, "qcow2")


def test_a_bomb_is_refused_by_its_claim(tmp_path: Path) -> None:
    assert "virtual size" in refusal(made(tmp_path / "disk", "qcow2", size="2T"), "qcow2")


def test_an_absurd_claim_does_not_exhaust_the_host(tmp_path: Path) -> None:
    path = patched(made(tmp_path / "disk", "qcow2"), 24, struct.pack(">Q", (1 << 63) - 512))
    patched(path, 36, struct.pack(">I", 0xFFFFFFF))
    refusal(path, "qcow2")


@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_a_vmdk_of_several_files_is_refused(tmp_path: Path, kind: str) -> None:
    assert "VMDK" in refusal(made(tmp_path / "disk.vmdk", "vmdk", "-o", f"subformat={kind}"), "vmdk")


def test_a_stream_optimized_vmdk_is_fine(tmp_path: Path) -> None:
    path = made(tmp_path / "disk", "vmdk", "-o", "subformat=streamOptimized")
    assert inspect.check(path, "vmdk", max_virtual_size=GIB) == 16 << 20


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'createType="monolithicSparse"', b'createType="monolithicFlat"  ', "type"),
        (b" SPARSE ", b" FLAT   ", "other files"),
        (b"# Extent description\n", b"parentFileNameHint=a", "parent"),
    ],
)
def test_a_vmdk_descriptor_that_points_elsewhere_is_refused(tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    path = made(tmp_path / "disk", "vmdk")
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new.ljust(len(old), b"\n"), 1))
    assert words in refusal(path, "vmdk")


def test_an_empty_file_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.touch()
    assert "empty" in refusal(path, "raw")


def test_raw_is_whatever_shows_no_other_format(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"\x33\xc0" * 300)
    assert inspect.check(path, "raw", max_virtual_size=GIB) == 600


def test_an_iso_says_so_itself(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"\0" * 0x8000 + b"\1CD001" + b"\0" * 2048)
    assert inspect.detect(path) == "iso"
    assert inspect.check(path, "iso", max_virtual_size=GIB) == path.stat().st_size
    path.write_bytes(b"\0" * 0x9000)
    assert "ISO 9660" in refusal(path, "iso")


def test_qemu_is_always_told_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    run = subprocess.run

    def watched(argv: list[str], **more: object) -> object:
        seen.append(argv)
        return run(argv, **more)  # type: ignore[call-overload]

    path = made(tmp_path / "disk", "qcow2")
    monkeypatch.setattr("novalite.drivers.storage.inspect.subprocess.run", watched)
    inspect.check(path, "qcow2", max_virtual_size=GIB)
    assert len(seen) == 2
    for argv in seen:
        assert argv[0] == "prlimit", "never without limits"
        assert argv[argv.index("-f") + 1] == "qcow2"


@pytest.mark.parametrize("name", hostile_images.KINDS)
def test_every_image_of_the_hostile_folder_is_refused(tmp_path: Path, name: str) -> None:
    declared, path = hostile_images.make(tmp_path, name)
    said = refusal(path, declared, limit=1 << 40)
    assert hostile_images.SECRET not in said
    assert str(tmp_path) not in said


@pytest.mark.parametrize("name", [n for n, (_, m) in hostile_images.KINDS.items() if "backing" in n or "flat" in n])
def test_what_refers_to_other_files_never_reaches_qemu(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared, path = hostile_images.make(tmp_path, name)
    monkeypatch.setattr("novalite.drivers.storage.inspect._qemu_img", lambda *_: pytest.fail("QEMU has opened it"))
    refusal(path, declared)


def test_bytes_of_two_formats_are_refused_as_they_arrive(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    hostile_images.make(tmp_path, "qcow2-and-vdi")[1].rename(path)
    assert "several formats" in refusal(path, "qcow2")


def test_a_result_larger_than_allowed_ends_a_conversion(tmp_path: Path) -> None:
    content, out = tmp_path / "content", tmp_path / "out"
    content.write_bytes(bytes(range(256)) * 16384)
    with pytest.raises(DriverError) as caught:
        convert("test", content, "raw", out, "qcow2", most_bytes=1 << 20)
    assert caught.value.code == "image.too_large"
    assert out.stat().st_size <= 1 << 20
