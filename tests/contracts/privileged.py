"""Any network driver behind the privileged process, on a socket of its own."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from novalite.drivers.network.base import NetworkDriver
from novalite.drivers.privileged.client import PrivilegedNetworkDriver
from novalite.drivers.privileged.messages import METHODS
from novalite.drivers.privileged.rules import Rules
from novalite.drivers.privileged.server import PrivilegedServer

OPEN = Rules(
    user="nobody",
    operations=tuple(METHODS),
    appliances=("*",),
    interfaces=("eth9",),
    ranges=("10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "fd00::/8", "2001:db8::/32"),
    forward_ports=(1024, 65535),
)
"""Allows what the contract suite does."""


@contextmanager
def serving(driver: NetworkDriver, directory: Path, rules: Rules = OPEN, *, uid: int | None = None) -> Iterator[Path]:
    """The path of a socket that leads to ``driver`` for processes of ``uid`` (this one's, unless told) and root."""
    path = directory / f"{uuid4().hex[:8]}.sock"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o666)
    listening.listen(64)
    server = PrivilegedServer(listening, rules, lambda appliance: driver)
    server.uids = {os.getuid() if uid is None else uid}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield path
    finally:
        server.shutdown()
        thread.join()
        server.close()


@contextmanager
def behind_privileged(
    driver: NetworkDriver, directory: Path, rules: Rules = OPEN, *, appliance_id: str = ""
) -> Iterator[PrivilegedNetworkDriver]:
    with serving(driver, directory, rules) as path:
        client = PrivilegedNetworkDriver(path, appliance_id or str(uuid4()))
        try:
            yield client
        finally:
            client.close()


_LIBC = ctypes.CDLL(None, use_errno=True)
_SETRESUID = {"x86_64": 117, "aarch64": 147}


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """This thread alone acts as the user, without root's rights (the system call itself: libc's changes all)."""
    number = _SETRESUID[platform.machine()]
    assert _LIBC.syscall(number, -1, uid, -1) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert _LIBC.syscall(number, -1, 0, -1) == 0


class AsUser:
    """A driver each of whose methods is called as the user."""

    def __init__(self, driver: NetworkDriver, uid: int) -> None:
        self._driver, self._uid = driver, uid

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._driver, name)

        def call(*values: Any, **named: Any) -> Any:
            with as_user(self._uid):
                return method(*values, **named)

        return call


def narrowed(**changes: object) -> Rules:
    return msgspec.structs.replace(OPEN, **changes)
