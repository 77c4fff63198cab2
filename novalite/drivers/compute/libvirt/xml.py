"""The pieces of a libvirt domain as typed objects that render themselves (libvirt.org/formatdomain.html)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from novalite.drivers.compute.base import ConsoleKind

NAMESPACE = "urn:novalite:server:1"
ET.register_namespace("novalite", NAMESPACE)


def _sub(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    if text:
        element.text = text
    return element


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

    def element(self) -> ET.Element:
        root = ET.Element("disk", {"type": "file", "device": self.device})
        driver = _sub(root, "driver", name="qemu", type=self.format)
        if not self.read_only:
            driver.set("cache", self.cache)
            driver.set("discard", "unmap")
        _sub(root, "source", file=str(self.path))
        root.append(self.backing.element() if self.backing else ET.Element("backingStore"))
        _sub(root, "target", dev=self.target, bus=self.bus)
        if self.serial:
            _sub(root, "serial", self.serial[:20])
        if self.boot_order:
            _sub(root, "boot", order=str(self.boot_order))
        if self.read_only:
            _sub(root, "readonly")
        return root


@dataclass(frozen=True)
class Interface:
    mac_address: str
    bridge: str
    tap: str
    mtu: int
    model: str
    boot_order: int = 0

    def element(self) -> ET.Element:
        root = ET.Element("interface", {"type": "bridge"})
        _sub(root, "mac", address=self.mac_address)
        _sub(root, "source", bridge=self.bridge)
        _sub(root, "target", dev=self.tap)
        _sub(root, "model", type=self.model)
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
    """``mode`` is custom (with ``model`` and required ``features``) or host-passthrough."""

    mode: str
    model: str = ""
    features: tuple[str, ...] = ()

    def element(self) -> ET.Element:
        root = ET.Element("cpu", {"mode": self.mode})
        if self.mode == "custom":
            root.set("match", "exact")
            _sub(root, "model", self.model)
            for name in self.features:
                _sub(root, "feature", policy="require", name=name)
        return root


@dataclass(frozen=True)
class Domain:
    """A whole guest. ``kind`` is kvm or qemu; memory in MiB."""

    kind: str
    name: str
    owner: Owner
    memory_mib: int
    vcpus: int
    cpu: Cpu
    machine: str
    architecture: str
    uefi: bool
    on_crash: str
    serial: Serial
    disks: tuple[Disk, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    graphics: tuple[Graphics, ...] = ()
    video: str = "vga"
    tablet: bool = False

    def render(self) -> str:
        """The XML that ``virDomainDefineXML`` takes."""
        root = ET.Element("domain", {"type": self.kind})
        _sub(root, "name", self.name)
        _sub(root, "uuid", self.owner.server_id)
        _sub(root, "metadata").append(self.owner.element())
        _sub(root, "memory", str(self.memory_mib), unit="MiB")
        _sub(root, "vcpu", str(self.vcpus), placement="static")
        self._machine(root)
        root.append(self.cpu.element())
        self._behaviour(root)
        self._devices(_sub(root, "devices"))
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
        if self.uefi:
            boot.set("firmware", "efi")
        _sub(boot, "type", "hvm", arch=self.architecture, machine=self.machine)
        if self.uefi:
            # Without this libvirt picks the firmware that refuses unsigned boot loaders.
            _sub(_sub(boot, "firmware"), "feature", enabled="no", name="secure-boot")
        _sub(boot, "smbios", mode="sysinfo")
        features = _sub(root, "features")
        _sub(features, "acpi")
        _sub(features, "apic")

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
        channel = _sub(devices, "channel", type="unix")
        _sub(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
        devices.extend(graphics.element() for graphics in self.graphics)
        if self.graphics:
            _sub(_sub(devices, "video"), "model", type=self.video)
        if self.tablet:
            _sub(devices, "input", type="tablet", bus="usb")
        else:
            _sub(devices, "controller", type="usb", model="none")
        rng = _sub(devices, "rng", model="virtio")
        _sub(rng, "backend", "/dev/urandom", model="random")
        _sub(_sub(devices, "memballoon", model="virtio"), "stats", period="10")
        if self.architecture == "x86_64":
            _sub(devices, "panic", model="isa")
