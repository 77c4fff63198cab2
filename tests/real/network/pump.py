"""Stands for the hypervisor: holds a port's tap open, and carries frames between it and a guest's card."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import threading

from novalite.drivers.network import namespaces

_TUNSETIFF = 0x400454CA
_TAP, _NO_INFO, _QUEUES = 0x0002, 0x1000, 0x0100


def open_tap(namespace: str, name: str, *, queues: bool = False) -> int:
    """A descriptor of the tap, which is made when it is not there."""

    def act() -> int:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        flags = _TAP | _NO_INFO | (_QUEUES if queues else 0)
        try:
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    return namespaces.within(namespace, act)


class Pump:
    """Runs until ``stop``, or until one of its ends is gone. ``guest`` is the namespace of the right end."""

    def __init__(self, left: int, right: int, guest: str) -> None:
        self.guest = guest
        self._ends = (left, right)
        self._wake, self._bell = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._carry, name="pump", daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        poll = select.poll()
        for descriptor in (self._wake, *self._ends):
            poll.register(descriptor, select.POLLIN)
        others = {self._ends[0]: self._ends[1], self._ends[1]: self._ends[0]}
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake or not _pass(descriptor, others[descriptor]):
                    return

    def stop(self) -> None:
        """The card is unplugged: its end of the tap is closed."""
        if self._bell < 0:
            return
        os.write(self._bell, b"!")
        self._thread.join(10)
        assert not self._thread.is_alive()
        for descriptor in (self._wake, self._bell, *self._ends):
            os.close(descriptor)
        self._bell = -1


def _pass(source: int, target: int) -> bool:
    """All frames that wait; false when the source is gone."""
    for _ in range(64):
        try:
            frame = os.read(source, 65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        try:
            os.write(target, frame)
        except OSError:
            continue  # a card that is down, or gone, takes no frames
    return True
