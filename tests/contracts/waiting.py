"""Waiting for the outside world, with a deadline and without guessing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_never = threading.Event()


def until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Poll until ``condition`` is true. Fails the test naming ``what`` when the time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        _never.wait(0.02)
