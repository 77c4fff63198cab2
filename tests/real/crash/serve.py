"""``novalite serve`` whose tasks stand still at a named step boundary, so that it can be killed right there.

``hold-at`` in the state directory holds the boundary's name (``server.boot/spawn:done``); the task that reaches it
writes the name to ``held-at`` and waits until the file names another one, or none."""

from __future__ import annotations

import argparse
from pathlib import Path

from novalite import appliance, settings
from tests.contracts.waiting import until

HOLD_AT, HELD_AT = "hold-at", "held-at"


def _wish(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--driver")
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args(words)
    hold_at, held_at = given.state_dir / HOLD_AT, given.state_dir / HELD_AT

    def boundary(name: str) -> None:
        if name == _wish(hold_at):
            held_at.write_text(name)
            until(lambda: _wish(hold_at) != name, f"the test lets {name} go on")

    arguments = {"state_dir": str(given.state_dir), "http.port": given.port, "compute.driver": given.driver}
    arguments |= dict(item.split("=", 1) for item in given.set)
    appliance.serve(settings.load(arguments=arguments, environment={})[0], boundary=boundary)
