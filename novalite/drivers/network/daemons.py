"""Programs that outlive this process: found again by their pid file, checked against their command line."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from novalite.clock import Deadline
from novalite.drivers.network import namespaces
from novalite.errors import DriverError

_STOP_SECONDS = 5.0


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty when there is none."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in raw.split(b"\0")[:-1]]


class Daemon:
    """The process whose command line names ``pid_file``. Calls are not thread-safe."""

    def __init__(self, program: str, pid_file: Path) -> None:
        self._program, self.pid_file = program, pid_file

    def _is_ours(self, pid: int) -> bool:
        found = arguments(pid)
        return bool(found) and Path(found[0]).name == self._program and any(str(self.pid_file) in a for a in found)

    def pid(self) -> int | None:
        """The process id, when the pid file names such a process that runs."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    def runs_in(self, namespace: str) -> bool:
        """Whether it runs, and in this namespace rather than in one of that name that is gone."""
        pid = self.pid()
        if pid is None:
            return False
        try:
            own = namespaces.NETNS / namespace if namespace else Path("/proc/thread-self/ns/net")
            return os.stat(f"/proc/{pid}/ns/net").st_ino == own.stat().st_ino
        except OSError:
            return False

    def command_line(self) -> list[str]:
        pid = self.pid()
        return arguments(pid) if pid else []

    def pidfd(self) -> int | None:
        """A descriptor that becomes readable when the process ends; the caller closes it."""
        pid = self.pid()
        return None if pid is None else self._open(pid)

    def _open(self, pid: int) -> int | None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        if not self._is_ours(pid):  # ended, and its number perhaps given to another, between the two looks
            os.close(descriptor)
            return None
        return descriptor

    def signal(self, number: signal.Signals) -> None:
        """Tell it something; nothing happens when it does not run."""
        descriptor = self.pidfd()
        if descriptor is None:
            return
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)

    def stop(self, op: str) -> None:
        """Ended, by force when it does not end by itself, also one whose pid file was lost; the pid file gone."""
        for pid in (int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
            descriptor = self._open(pid) if self._is_ours(pid) else None
            if descriptor is not None:
                try:
                    _end(op, descriptor, self._program)
                finally:
                    os.close(descriptor)
        self.pid_file.unlink(missing_ok=True)


def _end(op: str, descriptor: int, program: str) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        if poll.poll(Deadline(_STOP_SECONDS).remaining * 1000):
            return
    raise DriverError(op, f"{program} does not end", code="driver.network", retryable=True)
