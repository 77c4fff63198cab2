"""Speaks with the agent inside a guest."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import libvirt

from novalite.drivers.compute.base import Power
from novalite.drivers.compute.libvirt import power
from novalite.drivers.compute.libvirt.faults import is_lost, translated
from novalite.errors import DriverError

_SILENT = {libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED}
_HINT = "Install the package qemu-guest-agent in the guest and start it."


def is_connected(domain: Any) -> bool:
    """Has the agent opened its end of the line? Says nothing of whether it answers."""
    root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - comes from the local libvirt
    target = root.find("./devices/channel/target[@name='org.qemu.guest_agent.0']")
    return target is not None and target.get("state") == "connected"


def answers(domain: Any) -> bool:
    """Asks it, which takes a few seconds when it is silent."""
    if not is_connected(domain):
        return False
    try:
        domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME, 0)
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        return error.get_error_code() not in _SILENT
    return True


def set_password(domain: Any, user: str, password: str) -> None:
    now, _ = power.current(domain)
    if now is not Power.RUNNING:
        raise DriverError("set_password", f"the guest is {now}", code="guest.state")
    if not is_connected(domain):
        raise DriverError("set_password", "no agent runs in the guest", code="guest.no_agent", hint=_HINT)
    try:
        domain.setUserPassword(user, password, 0)
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        silent = error.get_error_code() in _SILENT
        raise translated("set_password", error, "guest.no_agent" if silent else "guest.agent_refused") from error


def freeze(domain: Any) -> bool:
    """Hold the guest's file systems still, if its agent can; did it?"""
    if not is_connected(domain):
        return False
    try:
        domain.fsFreeze()
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        return False
    return True


def thaw(domain: Any) -> None:
    try:
        domain.fsThaw()
    except libvirt.libvirtError:
        if domain.isActive():
            raise
