"""Runs the few outside programs a libvirt host needs, with time-outs and readable failures."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from novalite.errors import DriverError

_PACKAGES = {"qemu-img": "qemu-utils", "mkswap": "util-linux", "mkfs.ext4": "e2fsprogs", "mkfs.vfat": "dosfstools"}


def run(op: str, argv: Sequence[str], *, timeout_seconds: float, code: str = "driver.failed") -> str:
    """What the program prints. Raises ``DriverError`` with ``code``, or ``disk.full`` when that is why."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        package = _PACKAGES.get(argv[0], argv[0])
        raise DriverError(
            op, f"{argv[0]} is not installed", code="driver.dependency", hint=f"Install the package {package}."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DriverError(
            op, f"{argv[0]} took longer than {timeout_seconds:.0f} s", code="driver.timeout", retryable=True
        ) from error
    if done.returncode:
        text = (done.stderr or done.stdout).strip() or f"{argv[0]} ended with {done.returncode}"
        full = "no space left" in text.lower()
        raise DriverError(op, text, code="disk.full" if full else code, retryable=full)
    return done.stdout
