"""The pieces of a libvirt domain as typed objects that render themselves (libvirt.org/formatdomain.html)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

from novalite.drivers.compute.base import ConsoleKind
from novalite.drivers.compute.libvirt import sources, tuning
from novalite.drivers.compute.libvirt.elements import sub as _sub
from novalite.drivers.compute.wishes import DeviceWish, NumaCell

NAMESPACE = "urn:novalite:server:1"
ET.register_namespace("novalite", NAMESPACE)


@dataclass(frozen=True)
class Owner:
    """Who a domain belongs to: its ``<metadata>``."""

    appliance_id: str
    server_id: str
    name: str
    project_id: str

    def element(self) -> ET.Element:
        root = ET.Element(f"{{{NAMESPACE}}}server", {"appliance": self.appliance_id, "id": self.server_id})
        for tag, text in (("name", self.name), ("project", self.project_id)):
            ET.SubElement(root, f"{{{NAMESPACE}}}{tag}").text = _printable(text)
        return root


def owner_of(metadata: str) -> Owner:
    """Read what ``Owner`` wrote."""
    root = ET.fromstring(metadata)  # noqa: S314 - comes from the local libvirt
    ours = {"n": NAMESPACE}
    return Owner(
        root.get("appliance", ""),
        root.get("id", ""),
        root.findtext("n:name", "", ours),
        root.findtext("n:project", "", ours),
    )


def _printable(text: str) -> str:
    """XML 1.0 has no way to write most control characters."""
    return "".join(c for c in text if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")


@dataclass(frozen=True)
class Backing:
    """The read-only image below an overlay, so that libvirt never has to guess a format."""

    path: Path
    format: str

    def element(self) -> ET.Element:
        root = ET.Element("backingStore", {"type": "file"})
        _sub(root, "format", type=self.format)
        _sub(root, "source", file=str(self.path))
        _sub(root, "backingStore")
        return root


@dataclass(frozen=True)
class Disk:
    path: Path
    target: str
    bus: str
    format: str = "qcow2"
    device: str = "disk"
    read_only: bool = False
    serial: str = ""
    boot_order: int = 0
    backing: Backing | None = None
    cache: str = "none"
    limits: tuple[tuple[str, int], ...] = ()
    shareable: bool = False
    key_id: str = ""

    def element(self) -> ET.Element:
        kind, source = sources.element(self.path)
        if self.key_id:
            source.append(sources.encryption(self.key_id))
        root = ET.Element("disk", {"type": kind, "device": self.device})
        driver = _sub(root, "driver", name="qemu", type=self.format)
        if not self.read_only:
            driver.set("cache", self.cache)
            driver.set("discard", "unmap")
        if sources.is_exported(self.path):  # the guest stands still, and never hears of it
            driver.set("error_policy", "stop")
            driver.set("rerror_policy", "stop")
        root.append(source)
        root.append(self.backing.element() if self.backing else ET.Element("backingStore"))
        _sub(root, "target", dev=self.target, bus=self.bus)
        if self.serial:
            _sub(root, "serial", self.serial[:20])
        if self.boot_order:
            _sub(root, "boot", order=str(self.boot_order))
        if self.shareable:
            _sub(root, "shareable")
        if self.read_only:
            _sub(root, "readonly")
        elif (limits := tuning.disk_limits(self.limits)) is not None:
            root.append(limits)
        return root


@dataclass(frozen=True)
class Interface:
    mac_address: str
    tap: str
    mtu: int
    model: str
    boot_order: int = 0
    queues: int = 0

    def element(self) -> ET.Element:
        root = ET.Element("interface", {"type": "ethernet"})
        _sub(root, "mac", address=self.mac_address)
        _sub(root, "target", dev=self.tap, managed="no")
        _sub(root, "model", type=self.model)
        if self.queues and self.model == "virtio":
            _sub(root, "driver", queues=str(self.queues))
        _sub(root, "mtu", size=str(self.mtu))
        if self.boot_order:
            _sub(root, "boot", order=str(self.boot_order))
        return root


@dataclass(frozen=True)
class Serial:
    """A serial port on a unix socket; QEMU writes all it prints to ``log`` whether or not anyone listens."""

    socket: Path
    log: Path

    def element(self) -> ET.Element:
        root = ET.Element("serial", {"type": "unix"})
        _sub(root, "source", mode="bind", path=str(self.socket))
        _sub(root, "target", port="0")
        _sub(root, "log", file=str(self.log), append="on")
        return root


@dataclass(frozen=True)
class Graphics:
    kind: ConsoleKind
    socket: Path

    def element(self) -> ET.Element:
        root = ET.Element("graphics", {"type": str(self.kind)})
        _sub(root, "listen", type="socket", socket=str(self.socket))
        if self.kind is ConsoleKind.VNC:
            root.set("sharePolicy", "force-shared")
        return root


@dataclass(frozen=True)
class Cpu:
    """``mode`` is custom (with ``model``), host-model, host-passthrough or maximum; ``topology`` is sockets,
    cores, threads."""

    mode: str
    model: str = ""
    features: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    topology: tuple[int, int, int] | None = None
    cells: tuple[NumaCell, ...] = ()

    def element(self) -> ET.Element:
        root = ET.Element("cpu", {"mode": self.mode})
        if self.mode == "custom":
            root.set("match", "exact")
            _sub(root, "model", self.model)
        if self.topology is not None:
            sockets, cores, threads = map(str, self.topology)
            _sub(root, "topology", sockets=sockets, cores=cores, threads=threads)
        for policy, names in (("require", self.features), ("disable", self.disabled)):
            for name in names:
                _sub(root, "feature", policy=policy, name=name)
        if self.cells:
            root.append(tuning.numa_cells(self.cells))
        return root


@dataclass(frozen=True)
class Boot:
    """How the machine starts. ``pmu`` None leaves it to the hypervisor."""

    machine: str
    uefi: bool = False
    secure_boot: bool = False
    menu: bool = False
    hide_hypervisor: bool = False
    pmu: bool | None = None

    def firmware(self, root: ET.Element, architecture: str) -> None:
        if self.uefi:
            root.set("firmware", "efi")
        _sub(root, "type", "hvm", arch=architecture, machine=self.machine)
        if self.uefi:
            # Without this libvirt picks the firmware that refuses unsigned boot loaders.
            features = _sub(root, "firmware")
            _sub(features, "feature", enabled=_yes(self.secure_boot), name="secure-boot")
            if self.secure_boot:
                _sub(features, "feature", enabled="yes", name="enrolled-keys")
        if self.menu:
            _sub(root, "bootmenu", enable="yes", timeout="3000")

    def features(self, root: ET.Element) -> None:
        _sub(root, "acpi")
        _sub(root, "apic")
        if self.pmu is not None:
            _sub(root, "pmu", state="on" if self.pmu else "off")
        if self.hide_hypervisor:
            _sub(_sub(root, "kvm"), "hidden", state="on")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@dataclass(frozen=True)
class Domain:
    """A whole guest. ``kind`` is kvm or qemu; memory in MiB. With ``runs_as`` (user, group) libvirt leaves the files
    as they are."""

    kind: str
    name: str
    owner: Owner
    memory_mib: int
    vcpus: int
    cpu: Cpu
    boot: Boot
    architecture: str
    on_crash: str
    serial: Serial
    disks: tuple[Disk, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    graphics: tuple[Graphics, ...] = ()
    video: str = "vga"
    devices: DeviceWish = field(default_factory=DeviceWish)
    tuning: tuple[ET.Element, ...] = ()
    spare_ports: int = 0
    runs_as: tuple[int, int] | None = None

    def render(self) -> str:
        """The XML that ``virDomainDefineXML`` takes."""
        root = ET.Element("domain", {"type": self.kind})
        _sub(root, "name", self.name)
        _sub(root, "uuid", self.owner.server_id)
        _sub(root, "metadata").append(self.owner.element())
        _sub(root, "memory", str(self.memory_mib), unit="MiB")
        _sub(root, "vcpu", str(self.vcpus), placement="static")
        self._machine(root)
        root.extend(self.tuning)
        root.append(self.cpu.element())
        self._behaviour(root)
        self._devices(_sub(root, "devices"))
        if self.runs_as is not None:
            label = _sub(root, "seclabel", type="static", model="dac", relabel="no")
            _sub(label, "label", "+{}:+{}".format(*self.runs_as))
        return ET.tostring(root, encoding="unicode")

    def _machine(self, root: ET.Element) -> None:
        system = _sub(_sub(root, "sysinfo", type="smbios"), "system")
        facts = {
            "manufacturer": "OpenStack Foundation",
            "product": "OpenStack Compute",
            "serial": self.owner.server_id,
            "uuid": self.owner.server_id,
            "family": "Virtual Machine",
        }
        for name, value in facts.items():
            _sub(system, "entry", value, name=name)
        boot = _sub(root, "os")
        self.boot.firmware(boot, self.architecture)
        _sub(boot, "smbios", mode="sysinfo")
        self.boot.features(_sub(root, "features"))

    def _behaviour(self, root: ET.Element) -> None:
        clock = _sub(root, "clock", offset="utc")
        if self.kind == "kvm":
            _sub(clock, "timer", name="pit", tickpolicy="delay")
            _sub(clock, "timer", name="rtc", tickpolicy="catchup")
            _sub(clock, "timer", name="hpet", present="no")
        _sub(root, "on_poweroff", "destroy")
        _sub(root, "on_reboot", "restart")
        _sub(root, "on_crash", self.on_crash)

    def _devices(self, devices: ET.Element) -> None:
        devices.extend(disk.element() for disk in self.disks)
        devices.extend(interface.element() for interface in self.interfaces)
        devices.append(self.serial.element())
        devices.extend(tuning.more_serial_ports(self.serial.socket.parent, self.devices.serial_ports))
        channel = _sub(devices, "channel", type="unix")
        _sub(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
        self._screen(devices)
        if self.spare_ports:
            _sub(devices, "controller", type="pci", index="0", model="pcie-root")
        for _ in range(self.spare_ports):
            _sub(devices, "controller", type="pci", model="pcie-root-port")
        if any(disk.bus == "scsi" for disk in self.disks):
            _sub(devices, "controller", type="scsi", model=self.devices.scsi_model or "virtio-scsi")
        if self.devices.rng:
            devices.append(tuning.random_source(self.devices))
        if self.devices.tpm_version:
            devices.append(tuning.trusted_module(self.devices))
        if self.devices.watchdog not in ("", "disabled"):
            devices.append(tuning.watchdog(self.devices))
        _sub(_sub(devices, "memballoon", model="virtio"), "stats", period="10")
        if self.architecture == "x86_64":
            _sub(devices, "panic", model="isa")

    def _screen(self, devices: ET.Element) -> None:
        devices.extend(graphics.element() for graphics in self.graphics)
        if self.graphics or self.devices.video_model:
            model = _sub(_sub(devices, "video"), "model", type=self.video)
            if self.devices.video_ram_mib:
                model.set("vram", str(self.devices.video_ram_mib << 10))
        if self.devices.tablet:
            _sub(devices, "input", type="tablet", bus="usb")
        if any(disk.bus == "usb" for disk in self.disks):
            _sub(devices, "controller", type="usb", model="qemu-xhci")
        elif not self.devices.tablet:
            _sub(devices, "controller", type="usb", model="none")
