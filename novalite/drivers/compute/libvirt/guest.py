"""From a guest's spec to its domain: the choices that make a guest boot well on this host."""

from __future__ import annotations

from dataclasses import dataclass

from novalite.drivers.compute.base import ConsoleKind, DiskSpec, GuestSpec
from novalite.drivers.compute.libvirt.images import CachedImage
from novalite.drivers.compute.libvirt.places import GuestPlace
from novalite.drivers.compute.libvirt.xml import Backing, Cpu, Disk, Domain, Graphics, Interface, Owner, Serial
from novalite.errors import DriverError

_PREFIX = "novalite-"
_FASTEST_EMULATED = Cpu("custom", "Nehalem", ("rdrand",))  # rdrand spares the guest the wait for entropy
_ON_CRASH = {"destroy", "restart"}
_FIRMWARES = {"bios", "uefi"}
_NIC_MODELS = {"virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3"}
_BUSES = {"virtio", "scsi", "sata", "ide"}
_VIDEO_MODELS = {"vga", "virtio", "qxl", "cirrus", "bochs"}


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
    """What this host adds to every guest. ``cache`` is libvirt's disk cache mode."""

    virt_type: str
    cpu_model: str
    cache: str


def domain(
    spec: GuestSpec, names: Names, place: GuestPlace, images: dict[str, CachedImage], host: HostChoices
) -> Domain:
    """The domain for ``spec``; ``images`` maps disk names to what lies below them.
    Raises ``DriverError`` with code ``guest.refused`` for values this host does not know."""
    _check("firmware", spec.firmware, _FIRMWARES)
    _check("on_crash", spec.on_crash, _ON_CRASH)
    uefi = spec.firmware == "uefi"
    machine = spec.machine or spec.properties.get("hw_machine_type", "") or ("q35" if uefi else "pc")
    return Domain(
        kind=host.virt_type,
        name=names.domain(spec.id),
        owner=Owner(names.appliance_id, spec.id, spec.name, spec.project_id),
        memory_mib=spec.memory_mib,
        vcpus=spec.vcpus,
        cpu=_cpu(host),
        machine=machine,
        architecture=spec.architecture,
        uefi=uefi,
        on_crash=spec.on_crash,
        serial=Serial(place.socket(ConsoleKind.SERIAL), place.console_log),
        disks=_disks(spec, place, images, machine, host.cache),
        interfaces=_interfaces(spec),
        graphics=tuple(Graphics(kind, place.socket(kind)) for kind in spec.consoles if kind is not ConsoleKind.SERIAL),
        video=_video(spec),
        tablet=spec.properties.get("hw_pointer_model") == "usbtablet",
    )


def _check(what: str, value: str, known: set[str]) -> None:
    if value not in known:
        raise DriverError(
            "ensure_guest", f"{what} {value!r} is not one of {', '.join(sorted(known))}", code="guest.refused"
        )


def _cpu(host: HostChoices) -> Cpu:
    if host.virt_type == "kvm":
        return Cpu("host-passthrough")
    return Cpu("custom", host.cpu_model) if host.cpu_model else _FASTEST_EMULATED


def _video(spec: GuestSpec) -> str:
    wanted = spec.properties.get("hw_video_model", "")
    if wanted:
        _check("hw_video_model", wanted, _VIDEO_MODELS)
        return wanted
    return "qxl" if ConsoleKind.SPICE in spec.consoles else "vga"


def _disks(
    spec: GuestSpec, place: GuestPlace, images: dict[str, CachedImage], machine: str, cache: str
) -> tuple[Disk, ...]:
    disks = [_disk(disk, place, images.get(disk.name), cache) for disk in spec.disks]
    if spec.config_drive is not None:
        disks.append(_config_drive(spec, place, machine))
    return tuple(disks)


def _disk(disk: DiskSpec, place: GuestPlace, image: CachedImage | None, cache: str) -> Disk:
    _check("disk bus", disk.bus, _BUSES)
    return Disk(
        place.disk(disk.name),
        disk.device.removeprefix("/dev/"),
        disk.bus,
        serial=disk.serial,
        boot_order=disk.boot_index + 1 if disk.boot_index >= 0 else 0,
        cache=cache,
        backing=Backing(image.path, image.format) if image else None,
    )


def _config_drive(spec: GuestSpec, place: GuestPlace, machine: str) -> Disk:
    """An IDE CD-ROM where the machine has IDE; elsewhere a virtio disk, because small kernels lack AHCI."""
    bus = spec.properties.get("hw_cdrom_bus", "") or ("virtio" if "q35" in machine else "ide")
    _check("hw_cdrom_bus", bus, _BUSES)
    prefix = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}[bus]
    used = {disk.device.removeprefix("/dev/") for disk in spec.disks}
    # The last IDE place leaves the first ones to disks; virtio names only order the slots.
    letters = "dcba" if bus == "ide" else "bcdefghijklmnopqrstuvwxyz"
    target = next((prefix + letter for letter in letters if prefix + letter not in used), "")
    if not target:
        raise DriverError("ensure_guest", f"no {bus} place is left for the config drive", code="guest.refused")
    return Disk(
        place.config_drive, target, bus, format="raw", device="disk" if bus == "virtio" else "cdrom", read_only=True
    )


def _interfaces(spec: GuestSpec) -> tuple[Interface, ...]:
    for nic in spec.nics:
        _check("network card model", nic.model, _NIC_MODELS)
    return tuple(Interface(nic.mac_address, nic.bridge, nic.tap, nic.mtu, nic.model) for nic in spec.nics)
