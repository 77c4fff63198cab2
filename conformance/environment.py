"""The suites' own Python environment: the newest releases from the package index, nothing of it patched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_INSTALL_SECONDS = 900


@dataclass(frozen=True)
class Environment:
    """A virtual environment. ``versions`` tells what of it is under ``PACKAGES``."""

    directory: Path
    versions: dict[str, str]

    @property
    def python(self) -> str:
        return str(self.directory / "bin" / "python")

    def program(self, name: str) -> str:
        return str(self.directory / "bin" / name)

    @property
    def packages(self) -> Path:
        return next((self.directory / "lib").glob("python3*")) / "site-packages"


def prepare(directory: Path, packages: tuple[str, ...], *, offline: bool, lock: Path | None = None) -> Environment:
    """Install the newest ``packages``, or what ``lock`` says; ``offline`` takes what is there. Raises
    ``RuntimeError`` with pip's words."""
    python = directory / "bin" / "python"
    if not python.exists():
        if offline:
            raise RuntimeError(f"there is no environment in {directory} yet, and --offline forbids making one")
        _run([sys.executable, "-m", "venv", "--clear", str(directory)])
    if not offline:
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
        wanted = ["--require-hashes", "-r", str(lock)] if lock else ["--upgrade", *packages]
        _run([*pip, "install", *wanted])
    return Environment(directory, _versions(python, packages))


def _versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    program = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    found: dict[str, str] = json.loads(_run([str(python), "-c", program, *packages]))
    return found


def _run(argv: list[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OS_"))}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_INSTALL_SECONDS, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv[:5])} … failed:\n{done.stderr[-2000:]}")
    return done.stdout
