"""From a guest's spec to its domain: the choices that make a guest boot well on this host."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from pathlib import Path

from novalite.drivers.compute import properties
from novalite.drivers.compute.arrange import PREFIXES, arranged
from novalite.drivers.compute.base import ConsoleKind, DiskSpec, GuestSpec, NicSpec
from novalite.drivers.compute.libvirt import pinning, possible, tuning
from novalite.drivers.compute.libvirt.abilities import Abilities
from novalite.drivers.compute.libvirt.images import CachedImage
from novalite.drivers.compute.libvirt.places import GuestPlace, format_of
from novalite.drivers.compute.libvirt.xml import Backing, Boot, Cpu, Disk, Domain, Graphics, Interface, Owner, Serial
from novalite.drivers.compute.wishes import DeviceWish, Wishes
from novalite.errors import DriverError

_PREFIX = "novalite-"
_FASTEST_EMULATED = Cpu("custom", "Nehalem", ("rdrand",))  # rdrand spares the guest the wait for entropy
_ON_CRASH = {"destroy", "restart"}
_DRIVE_BUSES = {"ide", "sata", "scsi"}
_FIRMWARES = {"bios", "uefi"}
_SPARE_PORTS = 8
"""PCI Express ports for devices that come later: q35 takes a new device only where a port is free."""


@dataclass(frozen=True)
class Names:
    """Domain names of one appliance; two appliances may share one libvirtd."""

    appliance_id: str

    @property
    def prefix(self) -> str:
        return f"{_PREFIX}{self.appliance_id[:8]}-"

    def domain(self, guest_id: str) -> str:
        return self.prefix + guest_id

    def guest_id(self, domain_name: str, uuid: str) -> str:
        """The server id, or empty when the domain is not ours."""
        return uuid if domain_name == self.domain(uuid) else ""


@dataclass(frozen=True)
class HostChoices:
    """What this host adds to every guest. ``cache`` is libvirt's disk cache mode; ``pinned`` are the processors
    that other guests have to themselves. ``runs_as`` (user, group) when libvirt is to leave files as they are."""

    virt_type: str
    cpu_model: str
    cache: str
    abilities: Abilities = field(default_factory=Abilities)
    pinned: frozenset[int] = frozenset()
    runs_as: tuple[int, int] | None = None


def domain(
    spec: GuestSpec, names: Names, place: GuestPlace, images: dict[str, CachedImage], host: HostChoices
) -> Domain:
    """The domain for ``spec``; ``images`` maps disk names to what lies below them.
    Raises ``DriverError`` with code ``guest.refused`` for values this host does not know."""
    _check("firmware", spec.firmware, _FIRMWARES)
    _check("on_crash", spec.on_crash, _ON_CRASH)
    wishes = properties.read(spec)
    machine = wishes.boot.machine or ("q35" if wishes.boot.uefi else "pc")
    possible.check(wishes, machine, host.abilities)
    disks = arranged(_with_drives(spec, machine, wishes.devices.cdrom_bus), wishes.devices.disk_bus)
    nics = _interfaces(spec, wishes.devices)
    return Domain(
        kind=host.virt_type,
        name=names.domain(spec.id),
        owner=Owner(names.appliance_id, spec.id, spec.name, spec.project_id),
        memory_mib=spec.memory_mib,
        vcpus=spec.vcpus,
        cpu=_cpu(host, wishes),
        boot=Boot(
            machine,
            wishes.boot.uefi,
            wishes.boot.secure_boot,
            wishes.boot.menu,
            wishes.boot.hide_hypervisor,
            wishes.cpu.pmu,
        ),
        architecture=spec.architecture,
        on_crash=spec.on_crash,
        serial=Serial(place.socket(ConsoleKind.SERIAL), place.console_log),
        disks=_disks(spec, disks, place, images, machine, host.cache, wishes.devices),
        interfaces=nics,
        graphics=tuple(Graphics(kind, place.socket(kind)) for kind in spec.consoles if kind is not ConsoleKind.SERIAL),
        video=wishes.devices.video_model or ("qxl" if ConsoleKind.SPICE in spec.consoles else "vga"),
        devices=wishes.devices,
        tuning=_tuning(spec, wishes, host),
        spare_ports=len(disks) + len(nics) + _SPARE_PORTS if "q35" in machine else 0,
        runs_as=host.runs_as,
    )


def _with_drives(spec: GuestSpec, machine: str, wanted: str) -> GuestSpec:
    """CD-ROMs on the bus that the machine boots them from."""
    bus = wanted if wanted in _DRIVE_BUSES else "sata" if "q35" in machine else "ide"
    return replace(spec, disks=tuple(replace(disk, bus=bus) if disk.cdrom else disk for disk in spec.disks))


def _check(what: str, value: str, known: set[str]) -> None:
    if value not in known:
        raise DriverError(
            "ensure_guest", f"{what} {value!r} is not one of {', '.join(sorted(known))}", code="guest.refused"
        )


def _cpu(host: HostChoices, wishes: Wishes) -> Cpu:
    wish = wishes.cpu
    if wish.mode or wish.model:
        base = Cpu(wish.mode or "custom", wish.model)
    elif host.virt_type == "kvm":
        base = Cpu("host-passthrough")
    else:
        base = Cpu("custom", host.cpu_model) if host.cpu_model else _FASTEST_EMULATED
    return replace(
        base,
        features=(*base.features, *wish.required),
        disabled=wish.disabled,
        topology=wish.topology,
        cells=wishes.memory.cells,
    )


def _tuning(spec: GuestSpec, wishes: Wishes, host: HostChoices) -> tuple[ET.Element, ...]:
    cpu, memory = wishes.cpu, wishes.memory
    pins = pinning.pins(spec.vcpus, wishes, host.abilities.nodes, host.pinned)
    elements = (
        tuning.CpuTuning(cpu.shares, cpu.period, cpu.quota, pins).element(),
        tuning.MemoryBacking(possible.page_kib(memory.page_size, host.abilities), memory.locked).element(),
        tuning.numa_tune(len(memory.cells)) if memory.cells else None,
    )
    return tuple(element for element in elements if element is not None)


def _disks(
    spec: GuestSpec,
    arranged_disks: tuple[DiskSpec, ...],
    place: GuestPlace,
    images: dict[str, CachedImage],
    machine: str,
    cache: str,
    wish: DeviceWish,
) -> tuple[Disk, ...]:
    disks = [
        replace(disk_device(disk, place, images.get(disk.name), cache), limits=disk.limits or wish.disk_limits)
        for disk in arranged_disks
    ]
    if spec.config_drive is not None:
        used = {disk.device for disk in arranged_disks}
        disks.append(_config_drive(used, place, machine, wish.cdrom_bus))
    return tuple(disks)


def disk_device(disk: DiskSpec, place: GuestPlace, image: CachedImage | None, cache: str) -> Disk:
    """An arranged disk as a device."""
    return Disk(
        Path(disk.path) if disk.path else place.disk(disk.name),
        disk.device,
        disk.bus,
        format=disk.format if disk.path else format_of(place.disk(disk.name)),
        device="cdrom" if disk.cdrom else "disk",
        read_only=disk.read_only,
        shareable=disk.shared,
        serial=disk.serial,
        boot_order=disk.boot_index + 1 if disk.boot_index >= 0 else 0,
        cache=cache,
        backing=Backing(image.path, image.format) if image else None,
        limits=disk.limits,
        key_id=disk.key.id if disk.key else "",
    )


def _config_drive(used: set[str], place: GuestPlace, machine: str, wanted: str) -> Disk:
    """An IDE CD-ROM where the machine has IDE; elsewhere a virtio disk, because small kernels lack AHCI."""
    bus = wanted or ("virtio" if "q35" in machine else "ide")
    # The last IDE place leaves the first ones to disks; virtio names only order the slots.
    letters = "dcba" if bus == "ide" else "bcdefghijklmnopqrstuvwxyz"
    target = next((PREFIXES[bus] + letter for letter in letters if PREFIXES[bus] + letter not in used), "")
    if not target:
        raise DriverError("ensure_guest", f"no {bus} place is left for the config drive", code="guest.refused")
    return Disk(
        place.config_drive, target, bus, format="raw", device="disk" if bus == "virtio" else "cdrom", read_only=True
    )


def _interfaces(spec: GuestSpec, wish: DeviceWish) -> tuple[Interface, ...]:
    return tuple(replace(interface(nic, wish.vif_model), queues=wish.vif_queues) for nic in spec.nics)


def interface(nic: NicSpec, wanted_model: str = "") -> Interface:
    """A network card as a device; ``wanted_model`` is for those that ask for none but virtio."""
    model = wanted_model if wanted_model and nic.model == "virtio" else nic.model
    _check("network card model", model, set(properties.NIC_MODELS))
    return Interface(nic.mac_address, nic.tap, nic.mtu, model)
