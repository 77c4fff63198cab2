"""Runs the programs of storage backends: an argument list, a time-out, a readable failure."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from novalite.errors import DriverError

Program = Callable[[str, Sequence[str]], str]
"""Takes the operation's name and an argument list; gives what the program printed."""
SECONDS = 120.0


def run(op: str, arguments: Sequence[str]) -> str:
    """Raises ``DriverError`` with codes ``driver.dependency``, ``driver.timeout``, ``disk.full``, ``driver.failed``."""
    try:
        done = subprocess.run(
            list(arguments), capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise DriverError(op, f"{arguments[0]} is not installed", code="driver.dependency") from error
    except subprocess.TimeoutExpired as error:
        raise DriverError(op, f"{arguments[0]} took longer than {SECONDS:.0f} s", code="driver.timeout",
                          retryable=True) from error  # fmt: skip
    if done.returncode:
        text = (done.stderr or done.stdout).strip() or f"{arguments[0]} ended with {done.returncode}"
        full = any(words in text.lower() for words in ("no space left", "insufficient free space", "out of space"))
        raise DriverError(op, text, code="disk.full" if full else "driver.failed", retryable=full)
    return done.stdout
