"""Plugs network cards and disks in and out: in the running guest, and in its definition for the next start."""

from __future__ import annotations

import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import libvirt

from novalite.drivers.compute.base import Power
from novalite.drivers.compute.libvirt import power
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.faults import is_lost, translated
from novalite.errors import DriverError

Find = Callable[[ET.Element], ET.Element | None]

RELEASE_SECONDS = 20.0
"""How long a guest may take to let a device go."""
_ASK_AGAIN_SECONDS = 6.0
_LOOK_SECONDS = 0.5
_GONE = {libvirt.VIR_ERR_DEVICE_MISSING, libvirt.VIR_ERR_INVALID_ARG}
_BUSY = {libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_OPERATION_TIMEOUT}
_REFUSED = {
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_FAILED,
    libvirt.VIR_ERR_INTERNAL_ERROR,
    libvirt.VIR_ERR_XML_ERROR,
    libvirt.VIR_ERR_SYSTEM_ERROR,
}


def by_mac(mac_address: str) -> Find:
    def find(root: ET.Element) -> ET.Element | None:
        for nic in root.findall("./devices/interface"):
            mac = nic.find("mac")
            if mac is not None and mac.get("address", "").lower() == mac_address.lower():
                return nic
        return None

    return find


def by_serial(serial: str) -> Find:
    def find(root: ET.Element) -> ET.Element | None:
        disks = root.findall("./devices/disk")
        return next((disk for disk in disks if serial and disk.findtext("serial") == serial[:20]), None)

    return find


class Devices:
    """Methods take an open connection and let ``libvirtError`` out, for ``Connection.call``."""

    def __init__(self, domains: Domains) -> None:
        self._domains = domains
        self._released = threading.Condition()

    def released(self) -> None:
        """Some guest has let some device go."""
        with self._released:
            self._released.notify_all()

    def attach(self, connection: Any, op: str, guest_id: str, device: ET.Element, find: Find) -> None:
        domain = self._changeable(connection, op, guest_id)
        for flag, description in _layers(domain):
            root = ET.fromstring(description)  # noqa: S314 - comes from the local libvirt
            if find(root) is not None:
                continue
            try:
                domain.attachDeviceFlags(ET.tostring(device, encoding="unicode"), flag)
            except libvirt.libvirtError as error:
                if error.get_error_code() in _REFUSED and not is_lost(error):
                    raise translated(op, error, "guest.refused") from error
                raise

    def detach(self, connection: Any, op: str, guest_id: str, find: Find) -> None:
        """Waits for a running guest. Code ``device.busy``."""
        domain = self._changeable(connection, op, guest_id)
        for flag, description in _layers(domain):
            device = find(ET.fromstring(description))  # noqa: S314 - comes from the local libvirt
            if device is None:
                continue
            if flag == libvirt.VIR_DOMAIN_AFFECT_CONFIG:
                domain.detachDeviceFlags(ET.tostring(device, encoding="unicode"), flag)
            else:
                self._release(domain, op, find)

    def _release(self, domain: Any, op: str, find: Find) -> None:
        deadline, ask_at = time.monotonic() + RELEASE_SECONDS, 0.0
        while domain.isActive():
            device = find(ET.fromstring(domain.XMLDesc()))  # noqa: S314 - comes from the local libvirt
            if device is None:
                return
            if time.monotonic() > deadline:
                raise DriverError(
                    op, "the guest does not let the device go", code="device.busy", retryable=True,
                    hint="Is its operating system up, and is the device not in use there?",
                )  # fmt: skip
            if time.monotonic() >= ask_at:  # a guest that is still booting does not hear it
                _ask_to_release(domain, device)
                ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
            with self._released:
                self._released.wait(_LOOK_SECONDS)

    def _changeable(self, connection: Any, op: str, guest_id: str) -> Any:
        domain = self._domains.known(connection, op, guest_id)
        now, _ = power.current(domain)
        if now is Power.SUSPENDED:
            raise DriverError(op, "the guest's memory is saved: its devices must stay as they are", code="guest.state")
        return domain


def _layers(domain: Any) -> list[tuple[int, str]]:
    """What is to be changed: the running guest, if it runs, and the definition."""
    cold = (libvirt.VIR_DOMAIN_AFFECT_CONFIG, domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    return [(libvirt.VIR_DOMAIN_AFFECT_LIVE, domain.XMLDesc()), cold] if domain.isActive() else [cold]


def _ask_to_release(domain: Any, device: ET.Element) -> None:
    try:
        domain.detachDeviceFlags(ET.tostring(device, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        if is_lost(error) or error.get_error_code() not in _GONE | _BUSY:
            raise
