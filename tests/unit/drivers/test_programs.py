"""Outside programs: their limits, their failures in words, and their end with the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from novalite.drivers import programs
from novalite.errors import DriverError
from tests.contracts.waiting import until


def _failure(argv: list[str], **more: float | int | str) -> DriverError:
    given = {"timeout_seconds": 60.0, **more}
    with pytest.raises(DriverError) as caught:
        programs.run("make_disk", argv, **given)  # type: ignore[arg-type]
    return caught.value


def test_what_it_prints() -> None:
    assert programs.run("op", ["echo", "here"], timeout_seconds=60) == "here\n"


def test_output_is_bounded(tmp_path: Path) -> None:
    target = tmp_path / "out"
    error = _failure(["dd", "if=/dev/zero", f"of={target}", "bs=64k", "count=64"], most_bytes=1 << 20)
    assert error.code == "image.too_large"
    assert target.stat().st_size <= 1 << 20


def test_memory_is_bounded() -> None:
    error = _failure([sys.executable, "-c", "bytearray(16 << 30)"])
    assert "MemoryError" in error.detail


def test_time_is_bounded() -> None:
    error = _failure(["sleep", "30"], timeout_seconds=0.3)
    assert (error.code, error.retryable) == ("driver.timeout", True)


def test_processor_time_is_bounded() -> None:
    busy = "import threading\nfor _ in range(8): threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()"
    error = _failure([sys.executable, "-c", busy], timeout_seconds=1.0)
    assert error.code == "driver.timeout"


def test_failures_are_in_words() -> None:
    assert _failure(["nothing-like-that"]).code == "driver.dependency"
    assert _failure(["sh", "-c", "echo 'No space left on device' >&2; exit 1"]).code == "disk.full"
    told = _failure(["sh", "-c", "echo no such thing >&2; exit 3"], code="image.corrupt")
    assert (told.code, told.detail, told.retryable) == ("image.corrupt", "no such thing", False)


_PARENT = """
import sys, threading
from novalite.drivers import programs
threading.Thread(target=programs.run, args=("op", ["sleep", "300"]), kwargs={"timeout_seconds": 300}).start()
"""


def test_it_ends_with_the_process() -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], start_new_session=True)
    try:
        until(lambda: _sleeps(parent.pid), "the program runs")
        [child] = _sleeps(parent.pid)
        os.kill(parent.pid, signal.SIGKILL)
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the program ends")
    finally:
        parent.kill()
        parent.wait(60)


def _sleeps(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if child.name() == "sleep"]
