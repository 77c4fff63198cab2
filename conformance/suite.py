"""Runs Tempest in a directory of its own and reads what it has recorded."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from conformance import results
from conformance.environment import Environment
from conformance.results import Result

WHOLE = r"^tempest\.api\.compute\.|\[.*\bsmoke\b.*\]"
SMOKE = r"\[.*\bsmoke\b.*\]"
_STREAM = Path(__file__).with_name("stream.py")
_READ_SECONDS = 120


def run(environment: Environment, directory: Path, chosen: str, *, workers: int, seconds: float) -> list[Result]:
    """Every test of Tempest that matches ``chosen``. ``directory`` holds tempest.conf. Raises ``RuntimeError``
    when Tempest could not run at all, ``subprocess.TimeoutExpired`` when it takes too long."""
    (directory / "logs").mkdir(exist_ok=True)
    (directory / "locks").mkdir(exist_ok=True)
    argv = [
        environment.program("stestr"),
        "--test-path", str(environment.packages / "tempest" / "test_discover"),
        "--top-dir", str(environment.packages),
        "--group-regex", r"([^\.]*\.)*",
        "run", "--concurrency", str(workers), "--suppress-attachments", chosen,
    ]  # fmt: skip
    with (directory / "progress.log").open("wb") as progress:
        process = subprocess.Popen(
            argv, cwd=directory, env=_variables(environment, directory), stdin=subprocess.DEVNULL,
            stdout=progress, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):  # its workers, when it was cut off
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = _recorded(environment, directory)
    if not found:
        raise RuntimeError(f"Tempest ran no test:\n{(directory / 'progress.log').read_text()[-3000:]}")
    return found


def _variables(environment: Environment, directory: Path) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OS_", "NOVALITE_"))}
    path = f"{environment.directory / 'bin'}{os.pathsep}{plain.get('PATH', os.defpath)}"
    return plain | {
        "PATH": path, "TEMPEST_CONFIG_DIR": str(directory), "TEMPEST_CONFIG": "tempest.conf",
        "OS_TEST_TIMEOUT": "1200",
    }  # fmt: skip


def _recorded(environment: Environment, directory: Path) -> list[Result]:
    """Every test of the last run; none when there was no run."""
    variables = _variables(environment, directory)
    last = subprocess.run(
        [environment.program("stestr"), "last", "--subunit"],
        cwd=directory, env=variables, capture_output=True, timeout=_READ_SECONDS, check=False,
    )  # fmt: skip
    told = subprocess.run(
        [environment.python, str(_STREAM)],
        input=last.stdout, env=variables, capture_output=True, timeout=_READ_SECONDS, check=True,
    )  # fmt: skip
    return results.parse(told.stdout.decode().splitlines())
