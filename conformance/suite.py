"""Runs a suite of tests in a directory of its own and reads what it has recorded."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conformance import results
from conformance.cloud import Cloud
from conformance.environment import Environment
from conformance.results import Result

_STREAM = Path(__file__).with_name("stream.py")
_READ_SECONDS = 120


@dataclass(frozen=True)
class Suite:
    """``packages`` are what it is installed from, the first being the suite itself. ``tests`` is its directory
    below the installed packages, ``group`` the part of a test's name that one worker runs together. ``whole``,
    ``smoke`` and ``part`` (what continuous integration runs) choose tests. ``prepare`` writes its configuration for
    a cloud into a directory and gives the environment variables that it wants. More than ``most_workers`` would
    disturb one another."""

    name: str
    packages: tuple[str, ...]
    tests: str
    group: str
    whole: str
    smoke: str
    part: str
    most_workers: int
    prepare: Callable[[Environment, Cloud, Path], dict[str, str]]


def run(
    suite: Suite, environment: Environment, cloud: Cloud, directory: Path, chosen: str, *, workers: int, seconds: float
) -> list[Result]:
    """Every test of the suite that matches ``chosen``. Raises ``RuntimeError`` when it could not run at all,
    ``subprocess.TimeoutExpired`` when it takes too long."""
    variables = _variables(environment) | suite.prepare(environment, cloud, directory)
    argv = [
        environment.program("stestr"),
        "--test-path", str(environment.packages / suite.tests),
        "--top-dir", str(environment.packages),
        "--group-regex", suite.group,
        "run", "--concurrency", str(min(workers, suite.most_workers)), "--suppress-attachments", chosen,
    ]  # fmt: skip
    progress = directory / "progress.log"
    with progress.open("wb") as out:
        process = subprocess.Popen(
            argv, cwd=directory, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):  # its workers, when it was cut off
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = _recorded(environment, directory, variables)
    if not found:
        raise RuntimeError(f"{suite.name} ran no test:\n{progress.read_text()[-3000:]}")
    return found


def _variables(environment: Environment) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OS_", "NOVALITE_"))}
    path = f"{environment.directory / 'bin'}{os.pathsep}{plain.get('PATH', os.defpath)}"
    return plain | {"PATH": path, "OS_TEST_TIMEOUT": "1200"}


def _recorded(environment: Environment, directory: Path, variables: dict[str, str]) -> list[Result]:
    """Every test of the last run; none when there was no run."""
    last = subprocess.run(
        [environment.program("stestr"), "last", "--subunit"],
        cwd=directory, env=variables, capture_output=True, timeout=_READ_SECONDS, check=False,
    )  # fmt: skip
    told = subprocess.run(
        [environment.python, str(_STREAM)],
        input=last.stdout, env=variables, capture_output=True, timeout=_READ_SECONDS, check=True,
    )  # fmt: skip
    return results.parse(told.stdout.decode().splitlines())
