"""A qemu-img that copies slowly while it is told to: time enough to kill the process in the middle."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from tests.contracts.waiting import PATIENCE, until

_PROGRAM = """#!/bin/sh
if [ "$1" = convert ] && [ -e '{slow}' ]; then
    shift
    echo $$ > '{pid}.new' && mv '{pid}.new' '{pid}'
    exec '{real}' convert -r 200k "$@"
fi
exec '{real}' "$@"
"""
_MIDDLE_BYTES = 256 << 10


class SlowCopies:
    """``path`` is the PATH for processes whose copies are to be slow."""

    def __init__(self, directory: Path) -> None:
        real = shutil.which("qemu-img")
        assert real is not None
        self._slow, self._pid = directory / "slow", directory / "pid"
        program = directory / "bin" / "qemu-img"
        program.parent.mkdir()
        program.write_text(_PROGRAM.format(slow=self._slow, pid=self._pid, real=real))
        program.chmod(0o755)
        self.path = f"{program.parent}:{os.environ['PATH']}"

    def begin(self) -> None:
        """From now on."""
        self._pid.unlink(missing_ok=True)
        self._slow.touch()

    def end(self) -> None:
        self._slow.unlink(missing_ok=True)

    def until_in_the_middle(self, seconds: float = PATIENCE) -> psutil.Process:
        """The copy, once it has written some of its data."""
        until(self._pid.exists, "a copy begins", seconds)
        copy = psutil.Process(int(self._pid.read_text()))
        until(lambda: copy.io_counters().write_chars > _MIDDLE_BYTES, "it has written some", seconds)
        return copy


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
