"""A wait that ends early: when a process ends, or somebody rings."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable


class Alarm:
    """``ring`` may be called from any thread; what rings before the wait ends it too."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return  # a full pipe rings as well

    def wait(self, descriptors: Iterable[int], seconds: float, kept: Iterable[int] = ()) -> None:
        """Until one of the process descriptors is readable: its process has ended. They are closed; those that are
        ``kept`` end the wait as well, and stay open."""
        poll, opened = select.poll(), list(descriptors)
        for descriptor in (self._read, *opened, *kept):
            poll.register(descriptor, select.POLLIN)
        try:
            poll.poll(seconds * 1000)
        finally:
            for descriptor in opened:
                os.close(descriptor)
        self._quiet()

    def _quiet(self) -> None:
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            return
