"""Ports for servers that are started and started again."""

from __future__ import annotations

import random
import socket

_BELOW_THOSE_OF_CLIENTS = range(10000, 32000)


def free_port() -> int:
    """A TCP port of loopback that nobody listens at, and that no connection gets by itself meanwhile."""
    while True:
        port = random.choice(_BELOW_THOSE_OF_CLIENTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
