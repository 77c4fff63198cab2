"""The command: all sections, or those named; everything it makes is taken away again."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from types import FrameType

SECTIONS = {
    "idle": "memory when nothing happens",
    "start": "time from start to the first authenticated answer",
    "detail": "GET /servers/detail with 10 to 100,000 servers",
    "lists": "every list of the Compute API with 10 to 100,000 servers",
    "networks": "rules among 10 to 10,000 ports, ports from nothing, throughput",
    "burst": "boots per second in a burst of 200, simulated guests",
    "images": "upload, import and download of 4 GiB over copying with sha512, and the memory meanwhile",
    "overlays": "20 servers of an image of 1 GiB: the first and the others, real guests",
    "copies": "snapshots and backups of 1 GiB over qemu-img convert, real guests",
    "boot": "POST to ACTIVE and to the login prompt, real guests, over raw libvirt",
}


def main() -> int:
    listing = "\n".join(f"  {name:8} {what}" for name, what in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=f"sections (default: all):\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="what to measure")
    parser.add_argument("--no-libvirt", action="store_true", help="leave out what needs root and libvirt")
    parser.add_argument("--dir", type=Path, help="where to work; default: a directory below /tmp, removed at the end")
    chosen = parser.parse_args()
    if unknown := set(chosen.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    with_libvirt = not chosen.no_libvirt and _libvirt_answers()
    signal.signal(signal.SIGTERM, _leave)
    _tell_machine()
    began = time.monotonic()
    for name in chosen.sections or SECTIONS:
        with tempfile.TemporaryDirectory(prefix="novalite-bench-", dir=chosen.dir) as directory:
            Path(directory).chmod(0o711)
            import_module(f"benchmarks.{name}").run(Path(directory), with_libvirt=with_libvirt)
    print(f"\nAll in {time.monotonic() - began:.0f} s.")
    return 0


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _libvirt_answers() -> bool:
    if os.geteuid() != 0:
        return False
    import libvirt

    libvirt.registerErrorHandler(lambda *_: None, None)
    try:
        libvirt.open("qemu:///system").close()
    except libvirt.libvirtError:
        return False
    return True


def _tell_machine() -> None:
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs ({processor}), Python {platform.python_version()}, load {load:.1f} before the run")
    if load > 0.5 * (os.cpu_count() or 1):
        print("The machine is busy with other things: trust the ratios, not the seconds.")
    print("Figures read: median [lowest .. highest].")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
