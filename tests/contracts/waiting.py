"""Waiting for the outside world, with a deadline and without guessing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 300.0
"""Seconds after which something is broken, on however busy a machine."""

_never = threading.Event()


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Poll until ``condition`` is true, ever less often. Fails the test naming ``what`` when the time is up."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        _never.wait(pause)
        pause = min(pause * 1.1, 0.15)
