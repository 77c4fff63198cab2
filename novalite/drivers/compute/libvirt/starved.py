"""Guests that stand still because the disk of the host was full: they go on as soon as there is room."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from novalite import logs
from novalite.drivers.compute.base import NO_ROOM
from novalite.drivers.compute.libvirt import power, sources
from novalite.drivers.compute.libvirt.domains import Domains

_log = logs.get("libvirt")
_ENOUGH_BYTES = 64 << 20
"""Less would soon be used up again."""


def let_go_on(connection: Any, domains: Domains) -> list[str]:
    """Resume those whose disks have room again; their ids. One that finds none after all stands still again."""
    resumed = []
    for state in domains.states(connection):
        if state.detail != NO_ROOM:
            continue
        domain = domains.find(connection, state.id)
        if domain is not None and _has_room(domain):
            domain.resume()
            _log.warning("guest_goes_on", guest=state.id, why="there is room for its disks again")
            resumed.append(state.id)
    return resumed


def _has_room(domain: Any) -> bool:
    starved = power.starved_disks(domain)
    root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - comes from the local libvirt
    for disk in root.findall("./devices/disk"):
        target, path = disk.find("target"), sources.address(disk.find("source"))
        if target is None or target.get("dev") not in starved or not path or sources.is_elsewhere(path):
            continue
        if Path(path).is_file() and shutil.disk_usage(path).free < _ENOUGH_BYTES:
            return False
    return bool(starved)
