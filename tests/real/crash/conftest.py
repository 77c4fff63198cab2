"""Appliances whose tasks stand still at a named boundary, to be killed there and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.contracts.waiting import PATIENCE, until
from tests.real.appliance.process import RealAppliance, until_or
from tests.real.crash.serve import HELD_AT, HOLD_AT


class Fork:
    """A process that is no child of this one; how it ended is not known."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid) if psutil.pid_exists(pid) else None

    def poll(self) -> int | None:
        return None if self._process is not None and self._process.is_running() else 0

    def wait(self, timeout: float | None = None) -> int:
        if self._process is not None:
            self._process.wait(timeout)
        return 0

    def send_signal(self, sig: int) -> None:
        os.kill(self.pid, sig)


class Forks:
    """Starts appliances, as forks of one process."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def __call__(self, words: list[str], environment: dict[str, str], log: Path) -> Fork:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps({"words": words, "environment": environment, "log": str(log)}) + "\n")
        self._server.stdin.flush()
        return Fork(int(self._server.stdout.readline()))


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    command = [sys.executable, "-m", "tests.real.crash.forks"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Forks(server)
        assert server.stdin is not None
        server.stdin.close()  # which ends it


class Doomed(RealAppliance):
    """Dies where it is told to."""

    def __init__(self, forks: Forks, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._forks = forks

    def _spawn(self, environment: dict[str, str]) -> Fork:
        return self._forks(self._arguments, environment, self.log_file)

    def hold_at(self, boundary: str) -> None:
        """Let the task that reaches the boundary stand still there; one that stands at another goes on."""
        self._held.unlink(missing_ok=True)
        draft = self.state_dir / "hold-at.draft"
        draft.write_text(boundary)
        draft.replace(self.state_dir / HOLD_AT)

    @property
    def _held(self) -> Path:
        return self.state_dir / HELD_AT

    def until_there(self, boundary: str) -> None:
        until_or(
            lambda: self._held.exists() and self._held.read_text() == boundary,
            lambda: f"{boundary} was not reached\n{self.log[-3000:]}",
        )

    def dies_at(self, boundary: str) -> None:
        """kill -9 of parent and worker once a task stands at the boundary, and a new start."""
        self.until_there(boundary)
        self.kill()
        (self.state_dir / HOLD_AT).unlink()
        self.start()

    def idle(self, seconds: float = PATIENCE) -> None:
        """Wait until no task is left."""
        until(lambda: not self.get("/admin/status")["tasks"], f"all tasks end\n{self.log[-3000:]}", seconds)

    def guests(self) -> dict[str, str]:
        """What the fake host really has: server id -> power."""
        found = {}
        for file in self.state_dir.glob("fake/*/guests/*.json"):
            guest = msgspec.json.decode(file.read_bytes())
            found[guest["id"]] = guest["power"]
        return found

    def servers_promised_room(self) -> int:
        [host] = self.get("/admin/status")["hosts"]
        return int(host["servers"])

    def assert_empty(self) -> None:
        self.idle()
        assert self.doctor() == []
        assert self.guests() == {}
        assert self.servers_promised_room() == 0


@pytest.fixture(scope="module")
def doomed(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Doomed]]:
    made: list[Doomed] = []

    def make(name: str, driver: str = "fake", **given: Any) -> Doomed:
        settings = {name.replace("__", "."): value for name, value in given.items()}
        one = Doomed(forks, tmp_path_factory.mktemp(name) / "s", driver=driver, given=settings)
        made.append(one)
        one.start()
        return one

    yield make
    for each in made:
        each.close()
