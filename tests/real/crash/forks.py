"""Starts ``serve`` again and again: the program is loaded once, and each start is a fork of this process, which spares
most of what a start costs. Reads a line of JSON for each and answers with the id of the process."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

from tests.real.crash import serve

_LOADED = ("build", "engine", "web")


def _become(words: list[str], *, environment: dict[str, str], log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for descriptor, at in ((os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0), (said, 1), (said, 2)):
        os.dup2(descriptor, at)
    serve.main(words)


def main() -> None:
    for name in _LOADED:
        importlib.import_module(f"novalite.appliance.{name}")
    importlib.import_module("novalite.drivers.compute.libvirt")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for them
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(**asked)
            return
        print(child, flush=True)


if __name__ == "__main__":
    main()
