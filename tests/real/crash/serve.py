"""``novalite serve`` that ends itself with SIGKILL at a step boundary: parent and worker, nothing cleans up.

Two files in the state directory steer it: ``die-at`` and ``wait-at`` each hold the name of a boundary
(``server.boot/spawn:done``). It dies at the first; at the second it waits until the file is gone."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from novalite import appliance, settings
from tests.contracts.waiting import until

DIE_AT, WAIT_AT = "die-at", "wait-at"


def _wish(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--driver")
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    die_at, wait_at = given.state_dir / DIE_AT, given.state_dir / WAIT_AT

    def boundary(name: str) -> None:
        if name == _wish(wait_at):
            wait_at.with_suffix(".reached").touch()
            until(lambda: not wait_at.exists(), f"the test lets {name} go on")
        if name == _wish(die_at):
            die_at.unlink()
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    arguments = {"state_dir": str(given.state_dir), "http.port": given.port, "compute.driver": given.driver}
    arguments |= dict(item.split("=", 1) for item in given.set)
    appliance.serve(settings.load(arguments=arguments, environment={})[0], boundary=boundary)


if __name__ == "__main__":
    main()
