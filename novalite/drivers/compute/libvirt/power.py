"""Power states and actions in libvirt's words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import libvirt

from novalite.drivers.compute.base import NO_ROOM, OUT_OF_REACH, Power, PowerAction
from novalite.drivers.compute.libvirt import sources
from novalite.errors import DriverError

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: Power.OFF,
    libvirt.VIR_DOMAIN_RUNNING: Power.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: Power.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: Power.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: Power.RUNNING,  # QEMU is about to exit; an event will say when
    libvirt.VIR_DOMAIN_SHUTOFF: Power.OFF,
    libvirt.VIR_DOMAIN_CRASHED: Power.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: Power.PAUSED,
}
_DISK_ERROR = "paused: disk error"
_PAUSE_REASONS = {
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: _DISK_ERROR,
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: "paused: watchdog",
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: "crashed: panicked",
}


def state_of(state: int, reason: int, saved: bool) -> tuple[Power, str]:
    """The port's state and, where known, why. ``saved`` tells that a memory image exists."""
    power = _STATES.get(state, Power.OFF)
    if power is Power.PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_CRASHED:
        return Power.CRASHED, "crashed: panicked"
    if power is Power.PAUSED:
        return power, _PAUSE_REASONS.get(reason, "")
    if power is Power.OFF and saved:
        return Power.SUSPENDED, ""
    if power is Power.OFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED:
        return Power.CRASHED, "crashed: panicked, or its process died"
    if power is Power.OFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_FAILED:
        return power, "it failed to start"
    return power, ""


def state_from_event(event: int, detail: int, no_room: bool = False) -> tuple[Power, str] | None:
    """What a life cycle event says about the power state; None for events that say nothing about it. A panic
    alone says nothing: the guest is then stopped, which is told, or restarted, and never was down. ``no_room``: a
    disk error that came before was for want of room."""
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        return _stopped(detail)
    if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
        io_error = detail == libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR
        return Power.PAUSED, (NO_ROOM if no_room else _DISK_ERROR) if io_error else ""
    return {
        libvirt.VIR_DOMAIN_EVENT_STARTED: (Power.RUNNING, ""),
        libvirt.VIR_DOMAIN_EVENT_RESUMED: (Power.RUNNING, ""),
        libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: (Power.PAUSED, "the guest put itself to sleep"),
        libvirt.VIR_DOMAIN_EVENT_UNDEFINED: (Power.ABSENT, ""),
    }.get(event)


def _stopped(detail: int) -> tuple[Power, str]:
    if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED:
        return Power.SUSPENDED, ""
    if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED:
        return Power.CRASHED, "crashed: panicked"
    if detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED:
        return Power.CRASHED, "crashed: its process died"
    by_guest = detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN
    return Power.OFF, "the guest shut down" if by_guest else ""


def current(domain: Any) -> tuple[Power, str]:
    """Ask libvirt for the state now."""
    state, reason = domain.state()
    saved = state == libvirt.VIR_DOMAIN_SHUTOFF and bool(domain.hasManagedSaveImage())
    return explained(domain, *state_of(state, reason, saved))


def explained(domain: Any, power: Power, why: str) -> tuple[Power, str]:
    """The same, where a disk error is for want of room, or of the machine that has the disk."""
    if why != _DISK_ERROR:
        return power, why
    errors = _disk_errors(domain)
    if libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE in errors.values():
        return power, NO_ROOM
    return power, OUT_OF_REACH if _exported(domain) & errors.keys() else why


def starved_disks(domain: Any) -> list[str]:
    """Devices whose last write found no room."""
    return [device for device, what in _disk_errors(domain).items() if what == libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE]


def _exported(domain: Any) -> set[str]:
    """Devices that another machine has."""
    root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - comes from the local libvirt
    disks = ((disk.find("target"), sources.address(disk.find("source"))) for disk in root.findall("./devices/disk"))
    return {target.get("dev", "") for target, path in disks if target is not None and sources.is_exported(path)}


def _disk_errors(domain: Any) -> dict[str, int]:
    """Device -> what its last request ended with, where that was no success."""
    try:
        found: dict[str, int] = domain.diskErrors()
        return found
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):  # down meanwhile
            return {}
        raise


def _destroy(domain: Any) -> None:
    if domain.isActive():
        try:
            domain.destroy()
        except libvirt.libvirtError:
            if domain.isActive():  # else it went down by itself meanwhile
                raise
    if domain.hasManagedSaveImage():
        domain.managedSaveRemove()


_DOWN = (Power.OFF, Power.CRASHED)
_UP = (Power.RUNNING, Power.PAUSED)

# action -> (states it acts on, states in which there is nothing to do, what to call)
_ACTIONS: dict[PowerAction, tuple[tuple[Power, ...], tuple[Power, ...], Callable[[Any], object]]] = {
    PowerAction.START: ((*_DOWN, Power.SUSPENDED), (Power.RUNNING,), lambda d: d.create()),
    PowerAction.SHUTDOWN: (
        (Power.RUNNING,),
        _DOWN,
        lambda d: d.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
    ),
    PowerAction.OFF: ((*_UP, Power.SUSPENDED, Power.CRASHED), (Power.OFF,), _destroy),
    PowerAction.REBOOT: ((Power.RUNNING,), (), lambda d: d.reboot(libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN)),
    PowerAction.RESET: ((Power.RUNNING,), (), lambda d: d.reset(0)),
    PowerAction.PAUSE: ((Power.RUNNING,), (Power.PAUSED,), lambda d: d.suspend()),
    PowerAction.UNPAUSE: ((Power.PAUSED,), (Power.RUNNING,), lambda d: d.resume()),
    PowerAction.SUSPEND: (_UP, (Power.SUSPENDED,), lambda d: d.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)),
    PowerAction.RESUME: ((Power.SUSPENDED,), (Power.RUNNING,), lambda d: d.create()),
    PowerAction.CRASH_DUMP: ((Power.RUNNING,), (), lambda d: d.injectNMI()),
}


def act(domain: Any, action: PowerAction) -> None:
    """Do ``action`` unless it holds already. Raises ``DriverError`` with code ``guest.state``."""
    sources, done, call = _ACTIONS[action]
    power, _ = current(domain)
    if power in done:
        return
    if power not in sources:
        raise DriverError("set_power", f"{action} does not apply to a guest that is {power}", code="guest.state")
    try:
        call(domain)
    except libvirt.libvirtError:
        if not _came_to(domain, done):  # else the guest went there by itself meanwhile
            raise


def _came_to(domain: Any, done: tuple[Power, ...]) -> bool:
    return current(domain)[0] in done or (Power.OFF in done and not domain.isActive())
