"""Runs the system's network programs: argument lists, a time-out for each, failures as ``DriverError``."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from novalite.errors import DriverError

TIMEOUT_SECONDS = 20.0
_BYTES_PER_SECOND = 5000
"""A program that is told a thousand ports' worth of lines has that much longer."""


def run(op: str, argv: Sequence[str], *, text: str = "", keep: Sequence[int] = ()) -> str:
    """Standard output of the program; ``text`` is its standard input, ``keep`` are descriptors it inherits."""
    seconds = TIMEOUT_SECONDS + len(text) / _BYTES_PER_SECOND
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=seconds, check=False, pass_fds=keep
        )
    except FileNotFoundError:
        raise DriverError(
            op,
            f"the program '{argv[0]}' is not installed",
            code="driver.program_missing",
            hint=f"Install the package that holds '{argv[0]}'.",
        ) from None
    except subprocess.TimeoutExpired:
        raise DriverError(
            op, f"'{argv[0]}' did not end within {seconds:.0f} seconds", code="driver.timeout", retryable=True
        ) from None
    if done.returncode:
        detail = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise DriverError(op, f"'{' '.join(argv[:3])}': {detail[:500]}", code="driver.network", hint=_hint(detail))
    return done.stdout


def run_json(op: str, argv: Sequence[str]) -> Any:
    """Standard output decoded; an empty output is an empty list."""
    output = run(op, argv).strip()
    return msgspec.json.decode(output) if output else []


@contextmanager
def files(op: str) -> Iterator[None]:
    """What the file system refuses inside the block comes out as ``DriverError``."""
    try:
        yield
    except OSError as error:
        raise DriverError(
            op,
            f"{error.filename or 'a file'}: {error.strerror or error}",
            code="driver.files",
            hint="Networks need root and a writable /run with room.",
        ) from error


def _hint(detail: str) -> str:
    if "Operation not permitted" in detail or "Permission denied" in detail:
        return "Networks need root (CAP_NET_ADMIN) on this machine."
    return ""
