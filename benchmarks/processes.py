"""Programs under measurement: started on a free loopback port, watched, stopped, weighed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from benchmarks.caller import Caller

_READY_SECONDS = 60.0
_STOP_SECONDS = 40.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A server started by this process, stopped when the context ends. ``log`` gets what it prints."""

    def __init__(self, argv: Sequence[str], port: int, log: Path) -> None:
        self._argv, self.port, self._log = list(argv), port, log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def await_port(self) -> Caller:
        """A caller whose connection was accepted. Raises ``RuntimeError`` with the program's own words."""
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return Caller(self.port)
            self._refuse_dead()
            time.sleep(0.002)
        raise RuntimeError(f"nothing listens on port {self.port}")

    def await_ready(self, path: str = "/healthz") -> Caller:
        """A caller of a program that answers 200 at ``path``."""
        caller, end = self.await_port(), time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(RuntimeError, OSError):
                caller.call("GET", path)
                return caller
            self._refuse_dead()
            time.sleep(0.01)
        raise RuntimeError(f"{path} on port {self.port} does not get ready")

    def _refuse_dead(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            tail = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"it ended with status {self._process.returncode}:\n{tail}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when it does not leave in time."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Program:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Appliance(Program):
    """``novalite serve``; when it is ``tidy`` the guests and networks it would leave running end with it."""

    def __init__(self, argv: Sequence[str], port: int, state_dir: Path, *, tidy: bool) -> None:
        super().__init__(argv, port, state_dir / "serve.log")
        self._state_dir, self._tidy = state_dir, tidy

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._tidy:
            tidy_up(self._state_dir)


def tidy_up(state_dir: Path) -> None:
    """End the guests and networks that an appliance with real ones has left running."""
    from benchmarks import leftovers

    leftovers.remove(state_dir)


def appliance(
    state_dir: Path, *, driver: str = "fake", options: Mapping[str, object] | None = None, tidy: bool = True
) -> Appliance:
    """``novalite serve`` on a state directory; ``options`` are settings by their dotted names. Simulated guests
    leave nothing behind."""
    port = free_port()
    given = {"logging.level": "WARNING", **(options or {})}
    state_dir.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "novalite.cli.main", "serve", "--state-dir", str(state_dir), "--port", str(port)]
    argv += ["--driver", driver]
    for name, value in given.items():
        argv += ["--set", f"{name}={value}"]
    return Appliance(argv, port, state_dir, tidy=tidy and driver == "libvirt")


def bare_flask(directory: Path, answer: Path | None = None) -> Program:
    """The floor: one Flask route under the same gunicorn worker; with ``answer`` it encodes that JSON file's
    content anew for each request."""
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.bare_flask", str(port), *([str(answer)] if answer else [])]
    return Program(argv, port, directory / "bare-flask.log")


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents = dict(_parents())
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                stat = Path("/proc", entry, "stat").read_text()
                yield int(entry), int(stat.rpartition(")")[2].split()[1])


def pss_mib(pid: int) -> float:
    """Proportional set size of one process, in MiB: shared pages are counted once among their users."""
    for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the kernel tells no PSS of process {pid}")
