"""The unmodified ``openstack`` command in a shell of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.real.appliance.process import RealAppliance

NewShell = Callable[[RealAppliance, Path], "Shell"]


class Shell:
    """A shell in which the appliance's openrc was sourced. ``clients`` is a process of ``forks``."""

    def __init__(self, appliance: RealAppliance, directory: Path, clients: subprocess.Popen[str]) -> None:
        self.appliance, self.directory = appliance, directory
        self._clients = clients

    @property
    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        return plain | self.appliance.environment

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        out, err = self.directory / "openstack.out", self.directory / "openstack.err"
        asked = {"words": words, "environment": self.environment, "directory": str(self.directory), "out": str(out),
                 "err": str(err)}  # fmt: skip
        assert self._clients.stdin is not None
        assert self._clients.stdout is not None
        self._clients.stdin.write(json.dumps(asked) + "\n")
        self._clients.stdin.flush()
        code = json.loads(self._clients.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())

    def __call__(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"openstack {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-f", "json"))

    def refused(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode != 0, f"openstack {' '.join(words)} was not refused: {done.stdout}"
        return done.stderr

    def status(self, server: str) -> str:
        return str(self.json("server", "show", server)["status"])


@contextmanager
def clients() -> Iterator[NewShell]:
    command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield lambda appliance, directory: Shell(appliance, directory, process)
        assert process.stdin is not None
        process.stdin.close()  # which ends it
