"""How much each component logs, changed while the process runs."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
from novalite import logs
logs.configure(level="INFO")
here, there = logs.get("here"), logs.get("there")
here.info("first"); here.debug("never")
assert logs.set_level("novalite.here", "warning")
assert not logs.set_level("novalite.nobody", "DEBUG")
here.info("dropped"); there.info("second"); here.warning("third")
logs.set_level("novalite.h", "DEBUG")
here.debug("fourth")
assert logs.levels() == {"novalite.here": "DEBUG", "novalite.there": "INFO"}, logs.levels()
"""


def test_a_component_logs_what_is_asked_for() -> None:
    """In a process of its own: there is one log in each."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split("]")[1].split()[0] for line in done.stderr.splitlines()] == [
        "first",
        "second",
        "third",
        "fourth",
    ]
