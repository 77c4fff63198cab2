"""A folder of images that nobody should open: each made when it is asked for, by its name, with the format that its
sender declares. What they refer to is named ``SECRET``."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

SECRET = "/etc/passwd"
_CLUSTER = 1 << 16


def qemu_img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True, timeout=60)


def qcow2_header(
    virtual_size: int = 1 << 20, *, version: int = 3, backing: bytes = b"", features: int = 0, snapshots: int = 0,
    encryption: int = 0, cluster_bits: int = 16,
) -> bytes:  # fmt: skip
    """A header that claims what is asked for, and little else."""
    offset = 512 if backing else 0
    head = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", version, offset, len(backing), cluster_bits, virtual_size, encryption, 1,
        3 << 16, 1 << 16, 1, snapshots, 0, features, 0, 0, 4, 104,
    )  # fmt: skip
    return head.ljust(512, b"\0") + backing.ljust(_CLUSTER, b"\0")


def _bytes(data: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data)

    return make


def _header(**claims: Any) -> Callable[[Path], None]:
    return _bytes(qcow2_header(**claims))


def _text(text: str, length: int = 0) -> Callable[[Path], None]:
    return _bytes(text.encode().ljust(length, b"\0"))


def _created(kind: str, *options: object, size: str = "16M") -> Callable[[Path], None]:
    return lambda path: qemu_img("create", "-f", kind, *options, path, size)


def _patched(kind: str, *patches: tuple[int, bytes], size: str = "16M") -> Callable[[Path], None]:
    def make(path: Path) -> None:
        qemu_img("create", "-f", kind, path, size)
        with path.open("r+b") as file:
            for offset, data in patches:
                file.seek(offset)
                file.write(data)

    return make


def _vmdk(old: bytes, new: bytes, *options: object) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        qemu_img("create", "-f", "vmdk", *options, path, "16M")
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new.ljust(len(old), b"\n"), 1))

    return make


def _several_files(kind: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        folder = path.with_name(path.name + ".parts")
        folder.mkdir()
        qemu_img("create", "-f", "vmdk", "-o", f"subformat={kind}", folder / "disk.vmdk", "16M")
        shutil.copyfile(folder / "disk.vmdk", path)

    return make


def _data_file(path: Path) -> None:
    outside = path.with_name(path.name + ".outside")
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={outside},data_file_raw=on", path, "16M")


def _snapshot(path: Path) -> None:
    qemu_img("create", "-f", "qcow2", path, "16M")
    qemu_img("snapshot", "-c", "one", path)


def _cut(kind: str, keep: int, *options: object) -> Callable[[Path], None]:
    """An image full of data, of which the first ``keep`` bytes arrived."""

    def make(path: Path) -> None:
        content = path.with_name(path.name + ".content")
        content.write_bytes(Random(1).randbytes(4 << 20))
        qemu_img("convert", "-f", "raw", "-O", kind, *options, content, path)
        path.write_bytes(path.read_bytes()[:keep])

    return make


def _two_formats(path: Path) -> None:
    """A qcow2 that has the signature of a VDI where those have it."""
    qemu_img("create", "-f", "qcow2", path, "16M")
    with path.open("r+b") as file:
        file.seek(0x40)
        file.write(b"\x7f\x10\xda\xbe")


FLAT = f'# Disk DescriptorFile\nversion=1\nCID=1\ncreateType="monolithicFlat"\nRW 1 FLAT "{SECRET}" 0\n'
_JSON = f'json:{{"driver":"file","filename":"{SECRET}"}}'.encode()

# name -> (declared disk format, maker)
KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "qcow2-backing-file": ("qcow2", _header(backing=SECRET.encode())),
    "qcow2-backing-json": ("qcow2", _header(backing=_JSON)),
    "qcow2-backing-nbd": ("qcow2", _header(backing=b"nbd:127.0.0.1:10809")),
    "qcow2-backing-real": ("qcow2", _created("qcow2", "-b", SECRET, "-F", "raw")),
    "qcow2-data-file": ("qcow2", _data_file),
    "qcow2-data-file-bit": ("qcow2", _header(features=0b100)),
    "qcow2-corrupt-bit": ("qcow2", _header(features=0b10)),
    "qcow2-unknown-feature": ("qcow2", _header(features=1 << 40)),
    "qcow2-version-1": ("qcow2", _header(version=1)),
    "qcow2-version-9": ("qcow2", _header(version=9)),
    "qcow2-encrypted": ("qcow2", _header(encryption=2)),
    "qcow2-snapshots": ("qcow2", _snapshot),
    "qcow2-snapshots-claimed": ("qcow2", _header(snapshots=1 << 30)),
    "qcow2-cluster-size": ("qcow2", _header(cluster_bits=63)),
    "qcow2-virtual-size-2T": ("qcow2", _created("qcow2", size="2T")),
    "qcow2-virtual-size-absurd": ("qcow2", _header(virtual_size=(1 << 63) - 512)),
    "qcow2-l1-table-absurd": ("qcow2", _patched("qcow2", (24, struct.pack(">Q", 1 << 50)), (36, b"\x0f\xff\xff\xff"))),
    "qcow2-header-only": ("qcow2", _header()),
    "qcow2-cut-in-header": ("qcow2", _cut("qcow2", 60)),
    "qcow2-cut-in-data": ("qcow2", _cut("qcow2", 2 << 20)),
    "qcow2-and-vdi": ("qcow2", _two_formats),
    "qcow2-called-raw": ("raw", _header(backing=SECRET.encode())),
    "qcow2-called-iso": ("iso", _created("qcow2")),
    "qcow2-called-vmdk": ("vmdk", _created("qcow2")),
    "qed-called-raw": ("raw", _created("qed")),
    "luks-called-raw": ("raw", _bytes(b"LUKS\xba\xbe\0\1".ljust(1 << 20, b"\0"))),
    "vmdk-flat-extent": ("vmdk", _text(FLAT)),
    "vmdk-flat-extent-called-raw": ("raw", _text(FLAT)),
    "vmdk-foreign-extent": ("vmdk", _vmdk(b" SPARSE ", b" FLAT   ")),
    "vmdk-create-type": ("vmdk", _vmdk(b'createType="monolithicSparse"', b'createType="vmfsRaw"')),
    "vmdk-parent": ("vmdk", _vmdk(b"# Extent description\n", b'parentFileNameHint="x')),
    "vmdk-monolithic-flat": ("vmdk", _several_files("monolithicFlat")),
    "vmdk-split-sparse": ("vmdk", _several_files("twoGbMaxExtentSparse")),
    "vmdk-split-flat": ("vmdk", _several_files("twoGbMaxExtentFlat")),
    "vmdk-cut-in-header": ("vmdk", _cut("vmdk", 300)),
    "vmdk-cut-in-data": ("vmdk", _cut("vmdk", 2 << 20)),
    "vmdk-stream-cut-in-data": ("vmdk", _cut("vmdk", 2 << 20, "-o", "subformat=streamOptimized")),
    "vmdk-cowd": ("vmdk", _text("COWD", 4096)),
    "vmdk-called-qcow2": ("qcow2", _created("vmdk")),
    "vhd-called-raw": ("raw", _created("vpc", "-o", "subformat=fixed")),
    "vhd-dynamic-called-raw": ("raw", _created("vpc")),
    "vhdx-called-raw": ("raw", _created("vhdx")),
    "vhd-cut-in-data": ("vhd", _cut("vpc", 2 << 20)),
    "vhdx-cut": ("vhdx", _cut("vhdx", 100_000)),
    "vhdx-cut-in-data": ("vhdx", _cut("vhdx", 10 << 20)),
    "vdi-called-raw": ("raw", _created("vdi")),
    "vdi-virtual-size-absurd": ("vdi", _patched("vdi", (0x170, struct.pack("<Q", 1 << 62)))),
    "vdi-cut": ("vdi", _cut("vdi", 200)),
    "vdi-cut-in-data": ("vdi", _cut("vdi", 2 << 20)),
    "text-called-qcow2": ("qcow2", _text("x" * 4096)),
    "text-called-vhd": ("vhd", _text("x" * 4096)),
    "text-called-iso": ("iso", _text("x" * 4096)),
    "zeros-called-qcow2": ("qcow2", _text("", 4096)),
    "empty-raw": ("raw", _text("")),
    "empty-qcow2": ("qcow2", _text("")),
}  # fmt: skip


def make(folder: Path, name: str) -> tuple[str, Path]:
    """The declared format and the file of one kind."""
    declared, maker = KINDS[name]
    path = folder / name
    maker(path)
    return declared, path
