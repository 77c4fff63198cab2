"""How to call this program where it runs: installed, or from a checkout that is not on the PATH."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import novalite
from novalite.settings import Settings, default_state_dir


def command_here(settings: Settings) -> str:
    """The beginning of a command line that reaches this appliance, to be copied by a person."""
    words = [*_sudo(), *_program()]
    if settings.state_dir != default_state_dir():
        words += ["--state-dir", settings.state_dir]
    return shlex.join(words)


def _sudo() -> list[str]:
    """Whoever came by sudo needs it again: the credentials are root's."""
    return ["sudo"] if os.environ.get("SUDO_USER") and os.geteuid() == 0 else []


def _program() -> list[str]:
    if shutil.which("novalite"):
        return ["novalite"]
    launcher = Path(novalite.__file__).resolve().parent.parent / "run"
    if launcher.is_file():
        return ["./run" if launcher.parent == Path.cwd() else str(launcher), "novalite"]
    return [sys.argv[0]]
