"""Slowness and failures on command, for tests that need a host to misbehave."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque

from novalite.errors import HostUnreachable, NovaLiteError


class Faults:
    """Every call of the fake driver passes ``enter`` first. ``op`` is the driver's method name."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._failures: defaultdict[str, deque[NovaLiteError]] = defaultdict(deque)
        self._delays: dict[str, float] = {}
        self._gates: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._unreachable = False

    def fail_next(self, op: str, error: NovaLiteError, times: int = 1) -> None:
        """Let the next ``times`` calls of ``op`` raise ``error``."""
        with self._lock:
            self._failures[op].extend([error] * times)

    def delay(self, op: str, seconds: float) -> None:
        """Let every call of ``op`` take ``seconds`` longer; 0 ends it."""
        with self._lock:
            self._delays[op] = seconds

    def hold(self, op: str) -> threading.Event:
        """Let calls of ``op`` wait until the returned event is set."""
        with self._lock:
            return self._gates.setdefault(op, threading.Event())

    def set_unreachable(self, unreachable: bool) -> None:
        """Let every call raise ``HostUnreachable`` until this is taken back."""
        self._unreachable = unreachable

    def enter(self, op: str) -> None:
        with self._lock:
            self.calls[op] += 1
            gate, seconds = self._gates.get(op), self._delays.get(op, 0.0)
        if gate is not None:
            gate.wait()
        if seconds:
            self._closed.wait(seconds)
        if self._unreachable or self._closed.is_set():
            raise HostUnreachable("The compute host does not answer.")
        with self._lock:
            if self._failures[op]:
                raise self._failures[op].popleft()

    def close(self) -> None:
        """End all waiting; later calls find the host unreachable."""
        self._closed.set()
        with self._lock:
            for gate in self._gates.values():
                gate.set()
