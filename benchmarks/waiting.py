"""Waiting for what a service tells only when it is asked: looks with pauses, until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.caller import Caller

LONGEST_SECONDS = 120.0


def until(what: Callable[[], bool], pause_seconds: float, *, longest_seconds: float = LONGEST_SECONDS) -> None:
    """Raises ``RuntimeError`` when it does not become so."""
    end = time.monotonic() + longest_seconds
    while not what():
        if time.monotonic() > end:
            raise RuntimeError(f"it did not become so in {longest_seconds:.0f} s")
        time.sleep(pause_seconds)


def status(
    caller: Caller, path: str, wanted: str, pause_seconds: float = 0.05, *, longest_seconds: float = LONGEST_SECONDS
) -> dict[str, Any]:
    """The resource at ``path`` once it has that status and nothing goes on with it. Raises ``RuntimeError`` when it
    fails, or does not get there."""
    found: dict[str, Any] = {}

    def reached() -> bool:
        answer = caller.get(path)
        found.update(next(iter(answer.values())) if len(answer) == 1 else answer)
        if str(found["status"]).lower().startswith(("error", "killed")):
            raise RuntimeError(f"{path} failed: {found.get('fault') or found}")
        return bool(found["status"] == wanted and not found.get("OS-EXT-STS:task_state"))

    until(reached, pause_seconds, longest_seconds=longest_seconds)
    return found
