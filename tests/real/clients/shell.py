"""The unmodified ``openstack`` command in a shell of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.real.appliance.process import RealAppliance

OPENSTACK = str(Path(sys.executable).with_name("openstack"))


class Shell:
    """A shell in which the appliance's openrc was sourced."""

    def __init__(self, appliance: RealAppliance, directory: Path) -> None:
        self.appliance, self.directory = appliance, directory

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        return subprocess.run(
            [OPENSTACK, *words], capture_output=True, text=True, timeout=120, check=False, cwd=self.directory,
            env=plain | self.appliance.environment,
        )  # fmt: skip

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
