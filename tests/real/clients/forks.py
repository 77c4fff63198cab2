"""Runs the unmodified ``openstack`` for one command after the other: its modules are loaded once, and each command has
a process of its own, a fork of this one. Reads and writes a line of JSON for each."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
from typing import Any

import openstackclient
from openstackclient import shell


def _load() -> None:
    for found in pkgutil.walk_packages(openstackclient.__path__, "openstackclient."):
        if ".tests" not in found.name:
            importlib.import_module(found.name)


def _run(words: list[str], *, environment: dict[str, str], directory: str, out: str, err: str) -> None:
    code = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
            flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(path, flags, 0o600), descriptor)
        sys.argv = ["openstack", *words]
        code = shell.main(words) or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    _load()
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(**asked)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


if __name__ == "__main__":
    main()
