"""A process beside the one that moves the machine's addresses: it undoes the move when that one dies or hangs.

Run as a file of its own, with nothing but the standard library: arguments are the journal and the seconds to wait. It
says ``ready``, then waits for ``done`` on its standard input.
"""

from __future__ import annotations

import fcntl
import json
import select
import subprocess
import sys
from pathlib import Path

_TIMEOUT_SECONDS = 30


def undo(journal: Path) -> bool:
    """Carry out what the journal says, once, whoever comes first; whether there was anything to do."""
    try:
        file = journal.open("r+")
    except FileNotFoundError:
        return False
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            told = json.loads(file.read())
        except ValueError:
            told = {}  # cut off before anything was moved
        lines = told.get("undo", []) if journal.exists() else []
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            subprocess.run(
                ["ip", "-force", "-batch", "-"],
                input=text,
                text=True,
                capture_output=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,  # lines for what was not moved yet fail
            )
        journal.unlink(missing_ok=True)
    return bool(lines)


def main(journal: str, seconds: str) -> None:
    print("ready", flush=True)
    readable, _, _ = select.select([sys.stdin], [], [], float(seconds))
    if not readable or sys.stdin.readline().strip() != "done":
        undo(Path(journal))


if __name__ == "__main__":
    main(*sys.argv[1:])
