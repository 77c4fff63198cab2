"""Disks that another machine exports and has let grow: how a guest that runs comes to see it. QEMU learns of a size
only when it connects, and connects again only when somebody reads."""

from __future__ import annotations

import json
import threading
import xml.etree.ElementTree as ET
from typing import Any

import libvirt
import libvirt_qemu

from novalite.clock import Deadline
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.snapshots import FoundDisk
from novalite.errors import DriverError

_SECONDS = 60.0
_AGAIN_SECONDS = 0.3
_OLD_SIZE = "Cannot grow NBD nodes"


class ExportedGrowth:
    """``try_once`` goes to libvirt; whoever waits does so outside."""

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._pause = threading.Event()

    def deadline(self) -> Deadline:
        return Deadline(_SECONDS)

    def wait(self, deadline: Deadline) -> None:
        """Raises ``DriverError`` (retryable) when there is no time left."""
        if deadline.passed:
            raise DriverError(
                "resize_disk", "the machine that exports the disk does not let the guest in again",
                code="driver.timeout", retryable=True,
            )  # fmt: skip
        self._pause.wait(_AGAIN_SECONDS)

    def try_once(self, connection: Any, guest_id: str, found: FoundDisk, size: int) -> bool:
        """Whether the guest sees it. The read fails while QEMU has no connection, and lets it look for one; the guest
        hears of none of it."""
        domain = self._domains.known(connection, "resize_disk", guest_id)
        if not domain.isActive():
            return True
        _read(domain, found.device)
        try:
            domain.blockResize(found.device, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        except libvirt.libvirtError as error:
            if _OLD_SIZE not in str(error):
                raise
            return False
        return True


def _read(domain: Any, device: str) -> None:
    """libvirt itself has nothing that reads a disk which is not a file."""
    said = _ask(domain, "human-monitor-command", **{"command-line": f'qemu-io {_node(domain, device)} "read -q 0 512"'})
    if said.strip():
        raise DriverError("resize_disk", f"QEMU does not read the disk: {said.strip()}")


def _node(domain: Any, device: str) -> str:
    """What QEMU calls the data of a disk."""
    root = ET.fromstring(domain.XMLDesc(0))  # noqa: S314 - the local libvirt's
    alias = root.find(f"./devices/disk/target[@dev='{device}']/../alias")
    name = "" if alias is None else alias.get("name", "")
    for row in _ask(domain, "query-block"):
        if name and name in row.get("qdev", "").split("/") and "inserted" in row:
            return str(row["inserted"]["node-name"])
    raise DriverError("resize_disk", f"the guest has no disk {device}", code="disk.not_found")


def _ask(domain: Any, command: str, **arguments: str) -> Any:
    asked = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(libvirt_qemu.qemuMonitorCommand(domain, asked, 0))["return"]
