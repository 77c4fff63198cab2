"""Builds the bundled guest: a small bootable qcow2 from the distribution's kernel and busybox, offline beyond
the distribution's packages. What the guest does when it runs is in guest/rc."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from novalite.drivers.storage import guest_disk, guest_kernel, guest_packages
from novalite.drivers.storage.guest_packages import run
from novalite.errors import DriverError
from novalite.settings import default_state_dir

_ROOT_DIRECTORIES = (
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
    "etc/dropbear",
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "root/.ssh",
    "mnt",
    "var/log",
    "var/lib/guest",
    "lib64",
)
_ROOT_PROGRAMS = ("blkid", "dropbear", "dropbearkey", "jq", "lsblk", "qemu-ga", "resize2fs", "partx", "sfdisk")
_ROOT_MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "virtio_rng",
    "virtio_balloon",
    "virtio_scsi",
    "sd_mod",
    "sr_mod",
    "ata_piix",
    "ahci",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "button",
    "evdev",
    "8021q",
)
_BOOT_MODULES = (
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "ata_piix",
    "ahci",
    "ext4",
    "crc32c_generic",
)
_BOOT_APPLETS = ("sh", "mount", "switch_root", "modprobe", "sleep", "echo")
_FILES = {
    "inittab": "etc/inittab",
    "issue": "etc/issue",
    "rc": "etc/rc",
    "rc.stop": "etc/rc.stop",
    "udhcpc.sh": "etc/udhcpc.sh",
    "chpasswd": "usr/sbin/chpasswd",
    "mkfs": "sbin/mkfs",
    "sudo": "usr/bin/sudo",
    "shutdown": "sbin/shutdown",
    "serial-writer": "usr/bin/serial-writer",
}
_NOT_EXECUTABLE = {"inittab", "issue"}
# Works on the consoles only: SSH takes keys.
CONSOLE_PASSWORD = "novalite"  # noqa: S105


def build(out: Path, *, progress: Callable[[str], None], cache: Path | None = None) -> None:
    """Write the image to ``out`` (qcow2, about 50 MiB), complete or not at all; takes some ten seconds.

    ``progress`` is told each step in words. ``cache`` keeps downloaded packages (default: below the state
    directory).
    Raises ``Unsupported`` on other distributions and ``DriverError`` when a program is missing or fails.
    """
    missing = guest_disk.programs()
    if missing:
        raise DriverError(
            "guest_image.build",
            f"programs are missing: {', '.join(missing)}",
            code="guest_image.tool_missing",
            hint="'sudo ./run setup' installs them.",
        )
    cache = cache or Path(default_state_dir()) / "cache" / "packages"
    with tempfile.TemporaryDirectory(prefix="novalite-guest-") as scratch:
        work = Path(scratch)
        progress("Fetching the distribution's kernel and busybox")
        kernel, busybox = _fetch(work, cache)
        progress(f"Making the root file system around Linux {kernel.version}")
        root = work / "root"
        _root_tree(root, kernel, busybox)
        progress("Packing the initial RAM disk")
        initrd = _initrd(work, kernel, busybox)
        progress("Writing the disk")
        guest_disk.write(guest_disk.DiskParts(kernel.image, initrd, root, work), out.absolute())
    progress(f"Built {out} ({out.stat().st_size // 1024 // 1024} MiB)")


def _fetch(work: Path, cache: Path) -> tuple[guest_kernel.Kernel, Path]:
    kernel_tree, busybox_tree = work / "kernel", work / "busybox"
    for package in guest_packages.kernel_names():
        guest_packages.unpack(package, cache=cache, into=kernel_tree)
    guest_packages.unpack("busybox-static", cache=cache, into=busybox_tree)
    busybox = next(path for path in (busybox_tree / "bin/busybox", busybox_tree / "usr/bin/busybox") if path.exists())
    return guest_kernel.find(kernel_tree), busybox


def _root_tree(root: Path, kernel: guest_kernel.Kernel, busybox: Path) -> None:
    for directory in _ROOT_DIRECTORIES:
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "root").chmod(0o700)
    (root / "root/.ssh").chmod(0o700)
    (root / "tmp").chmod(0o1777)
    shutil.copy(busybox, root / "bin/busybox")
    for applet in run([busybox, "--list"]).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("/bin/busybox")
    (root / "sbin/init").symlink_to("/bin/busybox")
    (root / "var/run").symlink_to("/run")
    (root / "sbin/hwclock").symlink_to("/bin/busybox")
    for program in _ROOT_PROGRAMS:
        _install_program(program, root)
    guest_kernel.install(kernel, _ROOT_MODULES, root)
    _accounts(root / "etc")
    for name, place in _FILES.items():
        target = root / place
        target.write_bytes((resources.files(__package__) / "guest" / name).read_bytes())
        target.chmod(0o644 if name in _NOT_EXECUTABLE else 0o755)


def _install_program(name: str, root: Path) -> None:
    """Copy a program of this machine with the libraries it is linked to."""
    found = shutil.which(name)
    if found is None:
        raise DriverError("guest_image.build", f"the program {name} is missing", code="guest_image.tool_missing")
    program = Path(found).resolve()
    shutil.copy(program, root / "usr/sbin" / name)
    libraries = [Path(word) for word in run(["ldd", program]).split() if word.startswith("/")]
    # glibc loads this one by itself when a thread is cancelled.
    libraries += [path.with_name("libgcc_s.so.1") for path in libraries if path.name == "libc.so.6"]
    for library in libraries:
        target = root / library.relative_to("/")
        if library.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)


def _accounts(etc: Path) -> None:
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\n")
    hashed = run(["openssl", "passwd", "-6", "-stdin"], stdin=CONSOLE_PASSWORD.encode()).strip()
    shadow = etc / "shadow"
    shadow.write_text(f"root:{hashed}:19000:0:99999:7:::\n")
    shadow.chmod(0o600)
    (etc / "shells").write_text("/bin/sh\n")
    (etc / "hostname").write_text("guest\n")
    (etc / "hosts").write_text("127.0.0.1 localhost\n")


def _initrd(work: Path, kernel: guest_kernel.Kernel, busybox: Path) -> Path:
    """Only what is needed to find and mount the root file system."""
    tree = work / "initrd"
    for directory in ("bin", "dev", "proc", "sys", "new"):
        (tree / directory).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    for applet in _BOOT_APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    guest_kernel.install(kernel, _BOOT_MODULES, tree)
    init = tree / "init"
    init.write_bytes((resources.files(__package__) / "guest" / "init").read_bytes())
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    archive = work / "initrd.cpio"
    run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0", "-O", archive], cwd=tree, stdin=names.encode())
    packed = work / "initrd.gz"
    packed.write_bytes(gzip.compress(archive.read_bytes(), 9))
    return packed
