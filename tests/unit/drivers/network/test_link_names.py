"""Links are listed as Python's own call lists them, but other threads go on meanwhile."""

from __future__ import annotations

import ctypes
import re
import socket
from importlib import resources

from novalite.drivers.network import link_names


def test_it_finds_what_the_system_has() -> None:
    assert "lo" in link_names.indices()
    assert link_names.indices()["lo"] == socket.if_nametoindex("lo")


def test_other_threads_run_while_the_kernel_lists_them() -> None:
    assert isinstance(link_names._LIBC, ctypes.CDLL)
    assert not isinstance(link_names._LIBC, ctypes.PyDLL), "that one keeps Python's lock"


def test_nothing_of_the_driver_uses_the_call_that_keeps_the_lock() -> None:
    files = [each for each in resources.files("novalite.drivers.network").iterdir() if each.name.endswith(".py")]
    assert not [each.name for each in files if re.search(r"socket\.if_nameindex\(", each.read_text())]
