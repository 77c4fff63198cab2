"""Decides whether bytes from a stranger may be handed to QEMU: the library that OpenStack's services share looks at
all of them while they arrive, own header checks follow, and qemu-img is last, with the format named and limits."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from oslo_utils.imageutils.format_inspector import (
    FileInspector,
    ImageFormatError,
    InspectWrapper,
    SafetyCheckFailed,
)

from novalite.errors import DriverError, Invalid, Unavailable

# disk_format -> the name QEMU uses.
QEMU_FORMATS = {"qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
_LIMITS = ("--as=1073741824", "--cpu=30", "--fsize=0", "--core=0")
_INFO_SECONDS = 60
_QCOW2_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_QCOW2_KNOWN_FEATURES = 0b11001  # dirty, compression type, extended L2; never corrupt or external data file
_VMDK_TYPES = ("monolithicsparse", "streamoptimized")
_VMDK_DESCRIPTOR_MOST = 1 << 20
# What may stand in a disk or file system without being another format.
_CONTENTS = ("raw", "gpt", "iso")
_BLOCK_BYTES = 1 << 20


class Inspection:
    """What the bytes of one image show, learnt while they pass. It holds a few kilobytes of them."""

    def __init__(self) -> None:
        self._wrapper: InspectWrapper | None = None

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes."""
        self._wrapper = InspectWrapper(cast(Any, iter(chunks)))
        yield from self._wrapper

    def refuse_unless(self, disk_format: str) -> None:
        """Raises ``Invalid`` for bytes that show another format, several at once, or a danger of that format."""
        shown = {str(one): one for one in self._shown()}
        formats = sorted(shown.keys() - set(_CONTENTS))
        if len(formats) > 1:
            raise _refusal(f"shows several formats at once: {', '.join(formats)}")
        if formats and formats[0] != disk_format:
            raise _refusal(f"is {formats[0]}, not {disk_format} as declared")
        if formats:
            _require_safe(shown[formats[0]])

    def _shown(self) -> list[FileInspector]:
        if self._wrapper is None:
            return []
        try:
            return self._wrapper.formats or []
        except ImageFormatError as error:
            raise _refusal(f"is of no format that can be told: {error}") from error


def inspect_file(path: Path) -> Inspection:
    """The same of a file that is there already."""
    made = Inspection()
    with path.open("rb") as file:
        for _ in made.passing(iter(lambda: file.read(_BLOCK_BYTES), b"")):
            pass
    return made


def _require_safe(inspector: FileInspector) -> None:
    try:
        inspector.safety_check()
    except SafetyCheckFailed as error:
        raise _refusal(f"is not safe: {'; '.join(map(str, error.failures.values()))}") from error
    except (ImageFormatError, ValueError, struct.error) as error:
        raise _refusal(f"is not a whole {inspector}: {error}") from error


def detect(path: Path) -> str:
    """The format the bytes themselves show: a disk_format, ``raw`` when they show none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(0x9000)
        file.seek(max(0, size - 512))
        tail = file.read(8)
    if head[:4] == b"QFI\xfb":
        return "qcow2"
    if head[:4] in (b"KDMV", b"COWD") or head[:21] == b"# Disk DescriptorFile":
        return "vmdk"
    if head[:8] == b"vhdxfile":
        return "vhdx"
    if head[0x40:0x44] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if b"conectix" in (head[:8], tail):
        return "vhd"
    if head[0x8001:0x8006] == b"CD001":
        return "iso"
    return "raw"


def check(path: Path, disk_format: str, *, max_virtual_size: int, inspection: Inspection | None = None) -> int:
    """The virtual size in bytes of an image that is safe to open as ``disk_format``; ``inspection`` is of its bytes.

    Raises ``Invalid`` (field ``image``) for content that is another format, refers to other files, is
    encrypted, holds snapshots, is damaged or claims more than ``max_virtual_size`` bytes.
    """
    size = path.stat().st_size
    if size == 0:
        raise _refusal("is empty")
    seen = inspection or inspect_file(path)
    found = detect(path)
    if disk_format in QEMU_FORMATS or found in QEMU_FORMATS:
        if found != disk_format:
            raise _refusal(f"is {found}, not {disk_format} as declared")
        if disk_format == "qcow2":
            _check_qcow2(path)
        elif disk_format == "vmdk":
            _check_vmdk(path)
        elif disk_format == "vdi":
            _check_vdi(path, size)
        seen.refuse_unless(disk_format)
        virtual_size = _ask_qemu(path, disk_format)
    elif disk_format == "iso" and found != "iso":
        raise _refusal("is not an ISO 9660 file system")
    else:
        seen.refuse_unless(disk_format)
        virtual_size = size
    if virtual_size > max_virtual_size:
        raise _refusal(f"claims a virtual size of {virtual_size} bytes, the limit is {max_virtual_size}")
    return virtual_size


def _refusal(what: str) -> Invalid:
    return Invalid(f"The image {what}.", field="image", code="image.refused")


def _check_qcow2(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_QCOW2_HEADER.size + 8)
    if len(head) < 72:
        raise _refusal("is cut off inside its qcow2 header")
    _, version, backing, _, cluster_bits, _, encryption, _, _, _, _, snapshots, _ = _QCOW2_HEADER.unpack(
        head[: _QCOW2_HEADER.size].ljust(_QCOW2_HEADER.size, b"\0")
    )
    if version not in (2, 3):
        raise _refusal(f"has qcow2 version {version}, which is not known")
    if backing:
        raise _refusal("refers to a backing file; flatten it with 'qemu-img convert'")
    if encryption:
        raise _refusal("is encrypted")
    if snapshots:
        raise _refusal(f"holds {snapshots} internal snapshots; drop them with 'qemu-img convert'")
    if not 9 <= cluster_bits <= 21:
        raise _refusal(f"has an impossible cluster size (2^{cluster_bits})")
    features = int.from_bytes(head[72:80], "big") if version == 3 else 0
    if features & 0b100:
        raise _refusal("keeps its data in another file; flatten it with 'qemu-img convert'")
    if features & ~_QCOW2_KNOWN_FEATURES:
        raise _refusal("is marked corrupt or uses features that are not known")


def _check_vmdk(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(512)
        if head[:4] != b"KDMV":
            raise _refusal("is a VMDK that only describes other files")
        offset, sectors = struct.unpack_from("<QQ", head, 28)
        if offset == 0 or sectors == 0 or sectors * 512 > _VMDK_DESCRIPTOR_MOST:
            raise _refusal("has no usable VMDK descriptor")
        file.seek(offset * 512)
        text = file.read(sectors * 512).split(b"\0", 1)[0].decode("latin-1")
    kind = re.findall(r'^\s*createType\s*=\s*"?([^"\r\n]*?)"?\s*$', text, re.M | re.I)
    if len(kind) != 1 or kind[0].lower() not in _VMDK_TYPES:
        raise _refusal(f"has the VMDK type {', '.join(kind) or 'unknown'}; only one file of its own is accepted")
    extents = re.findall(r"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\S+)", text, re.M | re.I)
    if len(extents) != 1 or extents[0].upper() != "SPARSE":
        raise _refusal("has VMDK extents in other files")
    if re.search(r"^\s*parentFileNameHint", text, re.M | re.I):
        raise _refusal("refers to a parent file")


def _check_vdi(path: Path, size: int) -> None:
    """Whether the blocks that the header counts are there: QEMU takes those that are cut off for zeros."""
    with path.open("rb") as file:
        head = file.read(0x200)
    if len(head) < 0x200:
        raise _refusal("is cut off inside its VDI header")
    (data_at,), (block_bytes,), (blocks,) = (struct.unpack_from("<I", head, at) for at in (0x158, 0x178, 0x184))
    if size < data_at + block_bytes * blocks:
        raise _refusal(f"is damaged or incomplete: {blocks} blocks of data are not all there")


def _qemu_img(words: list[str], path: Path) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["prlimit", *_LIMITS, "qemu-img", *words, str(path)],
            capture_output=True,
            timeout=_INFO_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise DriverError("images.check", "qemu-img or prlimit is missing", code="image.tool_missing",
                          hint="'sudo ./run setup' installs what is missing.") from error  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _refusal(f"could not be examined within {_INFO_SECONDS} s") from error


def _ask_qemu(path: Path, disk_format: str) -> int:
    name = QEMU_FORMATS[disk_format]
    done = _qemu_img(["info", "-f", name, "--output=json"], path)
    if done.returncode != 0:
        raise _refusal(f"is not a readable {disk_format}: {_complaint(done.stderr, path)}")
    facts: dict[str, Any] = json.loads(done.stdout)
    details = facts.get("format-specific", {}).get("data", {})
    for key, value in (("backing file", facts.get("backing-filename")), ("data file", details.get("data-file"))):
        if value:
            raise _refusal(f"refers to a {key}")
    if facts.get("format") != name or facts.get("snapshots") or facts.get("encrypted"):
        raise _refusal("is encrypted, holds snapshots or is not what it was declared to be")
    if disk_format == "vhd":
        _require_footer(path)
    else:
        _check_consistency(path, name)
    return int(facts["virtual-size"])


def _require_footer(path: Path) -> None:
    """What a VHD ends with: QEMU itself is content with a file that lacks it, and does not examine the rest."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 512))
        if file.read(8) != b"conectix":
            raise _refusal("is damaged or incomplete: the footer of the VHD is missing")


def _check_consistency(path: Path, name: str) -> None:
    """Refuses damaged and cut-off files; clusters that merely leaked are harmless."""
    done = _qemu_img(["check", "-f", name, "--output=json"], path)
    if done.returncode not in (0, 3):
        if done.returncode < 0:
            raise Unavailable("Examining the image took more than it may; try again when the host is idle.")
        raise _refusal(f"is damaged or incomplete: {_complaint(done.stderr, path)}".rstrip(": "))


def _complaint(text: bytes, path: Path) -> str:
    """qemu-img's last line without our file name."""
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].replace(str(path), "image").removeprefix("qemu-img: ").rstrip(".") if lines else ""
