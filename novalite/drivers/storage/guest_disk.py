"""The guest's disk: a FAT boot partition (BIOS and UEFI) and an ext4 root, written without mounts."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from novalite.drivers.storage.guest_packages import run

_MIB = 1024 * 1024
_BOOT_MIB = 64
_ROOT_MIB = 48
_SECTORS_PER_MIB = 2048
_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
_EFI_STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")

# The last five save two seconds of a boot under emulation; the entropy ones let keys be made at once. On a busy machine
# the kernel takes an emulated timer for a broken one, and may stand still while it tries others: it is told not to.
COMMAND_LINE = (
    "console=tty0 console=ttyS0,115200 net.ifnames=0 quiet panic=5 no_timer_check "
    "random.trust_cpu=on random.trust_bootloader=on "
    "mitigations=off nokaslr tsc=reliable lsm=capability audit=0"
)
_SYSLINUX = "DEFAULT linux\nPROMPT 0\nTIMEOUT 1\nLABEL linux\n LINUX vmlinuz\n INITRD initrd.gz\n APPEND {}\n"


@dataclass(frozen=True)
class DiskParts:
    """Files that go onto the disk; ``work`` is scratch space."""

    kernel: Path
    initrd: Path
    root_tree: Path
    work: Path


def write(parts: DiskParts, out: Path) -> None:
    """Write a qcow2 to ``out``, complete or not at all."""
    disk = parts.work / "disk.img"
    with disk.open("wb") as file:
        file.truncate((1 + _BOOT_MIB + _ROOT_MIB) * _MIB)
    table = (
        f"label: dos\nstart={_SECTORS_PER_MIB},size={_BOOT_MIB}M,type=ef,bootable\n"
        f"start={(1 + _BOOT_MIB) * _SECTORS_PER_MIB},type=83\n"
    )
    run(["sfdisk", "-q", disk], stdin=table.encode())
    _copy_into(_MBR.read_bytes()[:440], disk, at=0)
    _copy_into(_boot_partition(parts).read_bytes(), disk, at=_MIB)
    # Growing to a flavor's disk happens online: 4 Mi blocks of 4 KiB are reserved for up to 16 TiB.
    run(
        [
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-O",
            "^64bit,^metadata_csum",
            "-L",
            "rootfs",
            "-d",
            parts.root_tree,
            "-E",
            f"root_owner=0:0,resize=4194304,offset={(1 + _BOOT_MIB) * _MIB}",
            disk,
            f"{_ROOT_MIB}M",
        ]
    )
    unfinished = out.with_name(f".{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, unfinished])
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)


def _boot_partition(parts: DiskParts) -> Path:
    fat = parts.work / "boot.fat"
    with fat.open("wb") as file:
        file.truncate(_BOOT_MIB * _MIB)
    run(["mkfs.fat", "-n", "BOOT", fat])
    config = parts.work / "syslinux.cfg"
    config.write_text(_SYSLINUX.format(COMMAND_LINE))
    run(["mcopy", "-i", fat, parts.kernel, "::vmlinuz"])
    run(["mcopy", "-i", fat, parts.initrd, "::initrd.gz"])
    run(["mcopy", "-i", fat, config, "::syslinux.cfg"])
    if _EFI_STUB.exists():
        run(["mmd", "-i", fat, "::EFI", "::EFI/BOOT"])
        run(["mcopy", "-i", fat, _unified_kernel(parts), "::EFI/BOOT/BOOTX64.EFI"])
    run(["syslinux", "--install", fat])
    return fat


def _unified_kernel(parts: DiskParts) -> Path:
    """Kernel, initrd and command line behind systemd's stub: one file that UEFI firmware starts."""
    command_line = parts.work / "cmdline"
    command_line.write_text(COMMAND_LINE)
    out = parts.work / "linux.efi"
    argv: list[str | Path] = ["objcopy"]
    address = _end_of_stub()
    for section, file in ((".cmdline", command_line), (".linux", parts.kernel), (".initrd", parts.initrd)):
        argv += ["--add-section", f"{section}={file}", "--change-section-vma", f"{section}={address:#x}"]
        address = _aligned(address + file.stat().st_size)
    run([*argv, _EFI_STUB, out])
    return out


def _end_of_stub() -> int:
    sections = re.findall(r"^\s*\d+\s+\.\S+\s+([0-9a-f]{8})\s+([0-9a-f]{16})", run(["objdump", "-h", _EFI_STUB]), re.M)
    return _aligned(max(int(address, 16) + int(size, 16) for size, address in sections))


def _aligned(address: int) -> int:
    return (address + _MIB - 1) // _MIB * _MIB


def _copy_into(data: bytes, disk: Path, *, at: int) -> None:
    with disk.open("r+b") as file:
        for offset in range(0, len(data), _MIB):
            block = data[offset : offset + _MIB]
            if block.strip(b"\0"):
                file.seek(at + offset)
                file.write(block)


def programs() -> list[str]:
    """Programs that building needs and this machine lacks."""
    needed = (
        "sfdisk",
        "mke2fs",
        "mkfs.fat",
        "mcopy",
        "mmd",
        "syslinux",
        "objcopy",
        "objdump",
        "qemu-img",
        "cpio",
        "depmod",
        "ldd",
        "dropbear",
        "jq",
        "qemu-ga",
        "resize2fs",
        "partx",
    )
    return [name for name in needed if shutil.which(name) is None]
