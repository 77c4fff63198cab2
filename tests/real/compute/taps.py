"""Taps as the network driver makes them, for guests' cards."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4


@contextmanager
def tap_link(*, mtu: int = 1500, queues: bool = False) -> Iterator[str]:
    """A tap that is up; its name."""
    name = f"nlt{uuid4().hex[:10]}"
    more = ["multi_queue"] if queues else []
    subprocess.run(["ip", "tuntap", "add", "dev", name, "mode", "tap", *more], check=True)
    try:
        subprocess.run(["ip", "link", "set", "dev", name, "mtu", str(mtu), "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "del", name], check=True)


@dataclass(frozen=True)
class LinkState:
    mac: str
    mtu: int
    has_guest: bool


def link_state(name: str) -> LinkState:
    done = subprocess.run(["ip", "-j", "link", "show", "dev", name], check=True, capture_output=True, text=True)
    (link,) = json.loads(done.stdout)
    return LinkState(link["address"], link["mtu"], "NO-CARRIER" not in link["flags"])
