"""Runs outside programs: an argument list, limits on time, memory and output, readable failures.

A program ends with the thread that runs it: when this process dies in the middle of a long copy, nobody goes on
writing into a file that the next start makes anew.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence

from novalite.errors import DriverError

_PACKAGES = {
    "qemu-img": "qemu-utils",
    "mkswap": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "cp": "coreutils",
    "lvcreate": "lvm2",
}
_MEMORY_BYTES = 8 << 30  # of addresses: most of it are stacks of threads that are never used
_LONG_SECONDS = 600.0
_FULL = ("no space left", "insufficient free space", "out of space", "disk quota exceeded")


def run(
    op: str, argv: Sequence[str], *, timeout_seconds: float, code: str = "driver.failed", most_bytes: int = 0,
    pass_fds: Sequence[int] = (),
) -> str:  # fmt: skip
    """What the program prints. ``most_bytes`` is the largest file it may write; 0: what the file system takes;
    ``pass_fds`` are open files that it is to have.

    Raises ``DriverError`` with ``code``, or ``disk.full``, ``image.too_large``, ``driver.timeout``,
    ``driver.dependency`` when that is why.
    """
    limits = [f"--as={_MEMORY_BYTES}", f"--cpu={timeout_seconds:.0f}", "--core=0"]
    if most_bytes:
        limits.append(f"--fsize={most_bytes}")
    try:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", "prlimit", *limits, "--", *argv], capture_output=True, text=True,
            errors="replace", timeout=timeout_seconds, check=False, stdin=subprocess.DEVNULL, pass_fds=pass_fds,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise _missing(op, "setpriv", "util-linux") from error
    except subprocess.TimeoutExpired as error:
        raise DriverError(
            op, f"{argv[0]} took longer than {timeout_seconds:.0f} s", code="driver.timeout",
            retryable=timeout_seconds < _LONG_SECONDS,
        ) from error  # fmt: skip
    if done.returncode:
        raise _failure(op, argv[0], done.returncode, (done.stderr or done.stdout).strip(), code, most_bytes)
    return done.stdout


def _failure(op: str, program: str, status: int, said: str, code: str, most_bytes: int) -> DriverError:
    text = said or f"{program} ended with {status}"
    lower = text.lower()
    if status == 127 and "failed to execute" in lower:
        return _missing(op, program, _PACKAGES.get(program, program))
    if status == -signal.SIGXCPU:
        return DriverError(op, f"{program} took too much processor time", code="driver.timeout")
    if most_bytes and (status == -signal.SIGXFSZ or "too large" in lower):
        return DriverError(op, f"the result is larger than {most_bytes} bytes", code="image.too_large")
    full = any(words in lower for words in _FULL)
    return DriverError(op, text, code="disk.full" if full else code, retryable=full)


def _missing(op: str, program: str, package: str) -> DriverError:
    return DriverError(
        op, f"{program} is not installed", code="driver.dependency", hint=f"Install the package {package}."
    )
