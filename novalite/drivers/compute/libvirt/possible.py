"""Refuses, by name, what a guest's properties ask for and this host cannot give."""

from __future__ import annotations

from novalite.drivers.compute.libvirt.abilities import Abilities
from novalite.drivers.compute.properties import refused
from novalite.drivers.compute.wishes import DeviceWish, Wishes


def check(wishes: Wishes, machine: str, host: Abilities) -> None:
    """Raises ``DriverError`` with code ``guest.refused``. What libvirt does not tell is left to it."""
    _boot(wishes, machine, host)
    _devices(wishes.devices, machine, host)
    cpu = wishes.cpu
    if cpu.mode and host.cpu_modes and cpu.mode not in host.cpu_modes:
        raise refused("hw:cpu_mode", f"this host cannot give a guest {cpu.mode}, only {_list(host.cpu_modes)}")
    if cpu.model and host.cpu_models and cpu.model not in host.cpu_models:
        raise refused("hw:cpu_model", f"this host cannot give a guest {cpu.model}, only {_list(host.cpu_models)}")
    if len(wishes.memory.cells) > len(host.nodes):
        raise refused("hw:numa_nodes", f"this host has {len(host.nodes)}")
    page_kib(wishes.memory.page_size, host)


def _boot(wishes: Wishes, machine: str, host: Abilities) -> None:
    if not wishes.boot.secure_boot:
        return
    if "q35" not in machine:
        raise refused("os:secure_boot", f"needs the machine type q35, not {machine}")
    if host.buses and not host.secure_boot:
        raise refused("os:secure_boot", "this host has no firmware for it")


def _devices(wish: DeviceWish, machine: str, host: Abilities) -> None:
    for name, bus in (("hw_disk_bus", wish.disk_bus), ("hw_cdrom_bus", wish.cdrom_bus)):
        if bus == "ide" and "q35" in machine:
            raise refused(name, "the machine type q35 has no ide")
        if bus and host.buses and bus not in host.buses:
            raise refused(name, f"this host has no {bus}")
    if wish.video_model and host.videos and wish.video_model not in host.videos:
        raise refused("hw_video_model", f"this host has only {_list(host.videos)}")
    for name, value in (("hw:tpm_version", wish.tpm_version), ("hw:tpm_model", wish.tpm_model)):
        if value and host.buses and value not in host.tpms:
            raise refused(name, f"this host cannot play a TPM {value}; is swtpm installed?")


def page_kib(wanted: str, host: Abilities) -> int:
    """The size of the huge pages to take; 0 for ordinary ones."""
    if wanted in ("", "small"):
        return 0
    there = {size: count for size, count in host.huge_pages.items() if count}
    ordinary = min((size for node in host.nodes for size in node.pages), default=4)
    if wanted == "large":
        if not there:
            raise refused("hw:mem_page_size", "this host has set no huge pages aside")
        return min(there)
    if int(wanted) == ordinary:
        return 0
    if int(wanted) not in there:
        raise refused("hw:mem_page_size", f"this host has set no pages of {wanted} KiB aside")
    return int(wanted)


def _list(values: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(values))
