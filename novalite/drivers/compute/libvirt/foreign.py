"""Reads the definition of a domain that somebody else made: what of it this appliance can keep, and what not."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from novalite.drivers.compute.base import ForeignCard, ForeignDisk, ForeignGuest, Power
from novalite.drivers.compute.libvirt.xml import NAMESPACE
from novalite.drivers.compute.properties import NIC_MODELS, SCSI_MODELS, VIDEO_MODELS

_BUSES = {"virtio", "scsi", "sata", "ide", "usb"}
_FORMATS = {"qcow2", "raw"}
_DEVICE = re.compile(r"(vd|sd|hd)[a-z]{1,2}")
_LONGEST_SERIAL = 20
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_KIB, _KB = 1.0, 1000 / 1024
_UNITS = {
    "b": 1 / 1024, "bytes": 1 / 1024, "k": _KIB, "kib": _KIB, "kb": _KB, "m": 1024 * _KIB, "mib": 1024 * _KIB,
    "mb": 1000 * _KB, "g": 1024**2 * _KIB, "gib": 1024**2 * _KIB, "gb": 1000**2 * _KB, "t": 1024**3 * _KIB,
    "tib": 1024**3 * _KIB, "tb": 1000**3 * _KB,
}  # fmt: skip
_REFUSED_DEVICES = {
    "hostdev": "has a device of the machine passed through to it",
    "filesystem": "mounts a directory of the machine",
    "shmem": "shares memory with other programs",
    "vsock": "talks to the machine by vsock",
    "nvram": "has a device for firmware variables of its own",
    "memory": "has pluggable memory modules",
    "crypto": "has a device for cryptography",
    "iommu": "has an IOMMU of its own",
    "smartcard": "has a smart card reader",
}
_LEFT_DEVICES = {
    "sound": "the sound card", "audio": "", "redirdev": "USB redirection", "floppy": "the floppy drive",
    "parallel": "the parallel port", "hub": "the USB hub",
}  # fmt: skip

Size = Callable[[str, str], int]
"""Path and format of a disk -> its size in bytes. Raises ``ValueError`` that tells why it cannot be used."""


@dataclass
class _Notes:
    refusals: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def refuse(self, why: str) -> None:
        if why not in self.refusals:
            self.refusals.append(why)

    def leave(self, what: str) -> None:
        if what and what not in self.left_out:
            self.left_out.append(what)


def read(definition: str, power: Power, size: Size, *, architecture: str) -> ForeignGuest:
    """``definition`` is the inactive one of a domain. Nothing of what is refused is left out silently."""
    root = ET.fromstring(definition)  # noqa: S314 - the local libvirt's
    notes = _Notes()
    _refuse_as_a_whole(root, notes, architecture)
    disks = tuple(_disks(root, notes, size))
    cards = tuple(_cards(root, notes))
    if not disks and not notes.refusals:
        notes.refuse("it has no disk")
    vcpus, memory = _vcpus(root, notes), _memory_mib(root, notes)
    properties = {**_machine(root, notes), **_processor(root, notes), **_devices(root, notes, disks, cards)}
    return ForeignGuest(
        root.findtext("name", ""), root.findtext("uuid", ""), power, vcpus, memory, disks, cards, properties,
        tuple(notes.refusals), tuple(notes.left_out), definition=definition,
    )  # fmt: skip


def _refuse_as_a_whole(root: ET.Element, notes: _Notes, architecture: str) -> None:
    if root.find(f"metadata/{{{NAMESPACE}}}server") is not None:
        notes.refuse("it belongs to a NovaLite appliance")
    if root.get("type") not in ("kvm", "qemu"):
        notes.refuse(f"it is run by {root.get('type')}, not by QEMU")
    if root.findtext("os/type") != "hvm":
        notes.refuse("it is no fully virtual machine")
    found = root.find("os/type")
    if found is not None and found.get("arch", architecture) != architecture:
        notes.refuse(f"it is a machine of {found.get('arch')}, this one is {architecture}")
    if any(root.find(f"{{{_QEMU}}}{tag}") is not None for tag in ("commandline", "override", "capabilities")):
        notes.refuse("it hands options of its own to QEMU (qemu:commandline)")
    if root.find("os/kernel") is not None:
        notes.refuse("it boots a kernel of the machine (os/kernel) instead of its disk")
    if root.find("launchSecurity") is not None:
        notes.refuse("its memory is encrypted (launchSecurity)")
    for tag, what in (("maxMemory", "room for more memory while it runs"), ("idmap", "its own user ids"),
                      ("iothreads", "threads for its disks (iothreads)"), ("cputune", "its shares of the processors"),
                      ("memoryBacking", "how its memory is kept (memoryBacking)"), ("numatune", "its memory nodes"),
                      ("blkiotune", "its share of the disks")):  # fmt: skip
        if root.find(tag) is not None:
            notes.leave(what)


def _vcpus(root: ET.Element, notes: _Notes) -> int:
    element = root.find("vcpu")
    if element is None:
        return 1
    most = int(element.text or "1")
    now = int(element.get("current", str(most)))
    if now != most:
        notes.leave(f"room for {most - now} more processors while it runs")
    return now


def _memory_mib(root: ET.Element, notes: _Notes) -> int:
    element = root.find("memory")
    if element is None:
        return 0
    kib = float(element.text or "0") * _UNITS.get(element.get("unit", "KiB").lower(), 1)
    mib = int(-(-kib // 1024))
    if mib * 1024 != kib:
        notes.leave(f"a piece of a MiB of memory, which becomes {mib} MiB")
    return mib


def _machine(root: ET.Element, notes: _Notes) -> dict[str, str]:
    made: dict[str, str] = {}
    kind, os = root.find("os/type"), root.find("os")
    if kind is not None and kind.get("machine"):
        made["hw_machine_type"] = str(kind.get("machine"))
    loader = root.find("os/loader")
    is_uefi = (os is not None and os.get("firmware") == "efi") or (
        loader is not None and loader.get("type") == "pflash"
    )
    if is_uefi:
        made["hw_firmware_type"] = "uefi"
        secure = root.find("os/firmware/feature[@name='secure-boot']")
        if (loader is not None and loader.get("secure") == "yes") or (
            secure is not None and secure.get("enabled") == "yes"
        ):
            made["os_secure_boot"] = "required"
    elif loader is not None and loader.get("type", "rom") == "rom" and loader.text:
        notes.leave(f"its own firmware {loader.text}")
    if root.find("os/smbios[@mode='sysinfo']") is not None or root.find("sysinfo") is not None:
        notes.leave("what it is told of its machine (sysinfo)")
    clock = root.find("clock")
    if clock is not None and clock.get("offset", "utc") != "utc":
        notes.leave(f"its clock ({clock.get('offset')}), which shows UTC then")
    if root.find("features/hyperv") is not None:
        notes.leave("Hyper-V enlightenments")
    if root.find("features/kvm/hidden[@state='on']") is not None:
        made["img_hide_hypervisor_id"] = "true"
    return made


def _processor(root: ET.Element, notes: _Notes) -> dict[str, str]:
    """The kind of processor where it says more than the default; with KVM that is the machine's own."""
    cpu = root.find("cpu")
    if cpu is None:
        return {}
    made: dict[str, str] = {}
    mode, model = cpu.get("mode", "custom"), cpu.findtext("model", "").strip()
    if mode == "custom" and model:
        made |= {"hw_cpu_mode": "custom", "hw_cpu_model": model}
    elif mode in ("host-model", "maximum") and root.get("type") == "kvm":
        made["hw_cpu_mode"] = mode
    topology = cpu.find("topology")
    if topology is not None and int(topology.get("dies", "1")) == 1:
        for kind in ("sockets", "cores", "threads"):
            made[f"hw_cpu_{kind}"] = topology.get(kind, "1")
    elif topology is not None:
        notes.leave("the dies of its processors")
    if cpu.find("numa") is not None:
        notes.leave("its memory nodes")
    if mode == "custom" and cpu.find("feature") is not None:
        wanted = [f.get("name", "") for f in cpu.findall("feature") if f.get("policy") in ("require", "force")]
        unwanted = [f"-{f.get('name', '')}" for f in cpu.findall("feature") if f.get("policy") in ("disable", "forbid")]
        made["hw_cpu_model_extra_flags"] = ",".join([*wanted, *unwanted])
    return {name: text for name, text in made.items() if text}


def _disks(root: ET.Element, notes: _Notes, size: Size) -> Iterator[ForeignDisk]:
    by_kind = [boot.get("dev") for boot in root.findall("os/boot")]
    seen: set[str] = set()
    for element in root.findall("devices/disk"):
        name = _target(element, "dev")
        if element.get("device", "disk") in ("cdrom", "floppy"):
            source = element.find("source")
            path = "" if source is None else source.get("file") or source.get("dev") or source.get("name") or ""
            notes.leave(f"the drive {name}" + (f" with {path}" if path else ""))
            continue
        disk = _disk(element, name, notes, size)
        if disk is not None and disk.path in seen:
            notes.refuse(f"two of its disks are {disk.path}")
        elif disk is not None:
            seen.add(disk.path)
            yield disk
    if by_kind and by_kind[0] not in ("hd", None):
        notes.leave(f"that it boots from {by_kind[0]} first")


def _target(element: ET.Element, what: str) -> str:
    target = element.find("target")
    return "" if target is None else target.get(what, "")


def _disk(element: ET.Element, name: str, notes: _Notes, size: Size) -> ForeignDisk | None:
    why = _refusal(element, name)
    if why:
        notes.refuse(why)
        return None
    source, driver = element.find("source"), element.find("driver")
    assert source is not None
    path = source.get("file") or source.get("dev") or ""
    form = "raw" if driver is None else driver.get("type", "raw")
    try:
        found = size(path, form)
    except ValueError as error:
        notes.refuse(f"the disk {name}: {error}")
        return None
    serial = element.findtext("serial", "").strip()
    if len(serial) > _LONGEST_SERIAL:
        notes.leave(f"the serial number {serial} of {name}")
    if element.find("iotune") is not None:
        notes.leave(f"the limits of {name}")
    boot = element.find("boot")
    order = int(boot.get("order", "0")) if boot is not None else 0
    read_only = element.find("readonly") is not None
    return ForeignDisk(path, form, name, _target(element, "bus"), found, read_only, order,
                       serial if len(serial) <= _LONGEST_SERIAL else "")  # fmt: skip


def _refusal(element: ET.Element, name: str) -> str:
    """Why the disk cannot be kept, as far as the definition tells."""
    kind, source, driver = element.get("type", "file"), element.find("source"), element.find("driver")
    form = "raw" if driver is None else driver.get("type", "raw")
    if element.get("device", "disk") != "disk":
        return f"the disk {name} is a {element.get('device')} of the machine"
    if kind not in ("file", "block") or source is None:
        protocol = "" if source is None else source.get("protocol") or source.get("pool") or ""
        return f"the disk {name} is of the kind {kind} {protocol}".rstrip() + "; only files and block devices are taken"
    if _target(element, "bus") not in _BUSES or not _DEVICE.fullmatch(name):
        return f"the disk {name} is on the bus {_target(element, 'bus')}, which is not offered"
    if form not in _FORMATS:
        return f"the disk {name} has the format {form}; convert it to qcow2 or raw first"
    if element.find(".//encryption") is not None:
        return f"the disk {name} is encrypted"
    if element.find("shareable") is not None:
        return f"the disk {name} may be shared with other machines"
    if element.find("transient") is not None:
        return f"the disk {name} is thrown away at each stop (transient)"
    if element.find("mirror") is not None:
        return f"the disk {name} is just being copied"
    if source.find("reservations") is not None or source.find("slices") is not None:
        return f"the disk {name} is only a part of what holds it, or is reserved"
    path = source.get("file") or source.get("dev") or ""
    if not path.startswith("/") or (kind == "block") != path.startswith("/dev/"):
        return f"the disk {name} is at '{path}', which is no place for one of its kind"
    return ""


def _cards(root: ET.Element, notes: _Notes) -> Iterator[ForeignCard]:
    for element in root.findall("devices/interface"):
        mac = element.find("mac")
        address = "" if mac is None else mac.get("address", "").lower()
        kind, source, model = element.get("type", ""), element.find("source"), element.find("model")
        if kind in ("hostdev", "vdpa"):
            notes.refuse(f"its card {address} is a device of the machine ({kind})")
            continue
        if kind == "network" and source is not None and source.get("portgroup"):
            notes.leave(f"the port group of {address}")
        for tag, what in (("vlan", "VLAN"), ("bandwidth", "limits"), ("filterref", "filter"), ("virtualport", "port")):
            if element.find(tag) is not None:
                notes.leave(f"the {what} of {address}")
        wanted = "rtl8139" if model is None else model.get("type", "")
        if wanted not in NIC_MODELS:
            notes.refuse(f"its card {address} is a {wanted}, which is not offered")
            continue
        named = ("network", "bridge", "dev")
        place = "" if source is None else next((source.get(each, "") for each in named if source.get(each)), "")
        yield ForeignCard(address, wanted, f"{kind} {place}".strip())


def _devices(
    root: ET.Element, notes: _Notes, disks: tuple[ForeignDisk, ...], cards: tuple[ForeignCard, ...]
) -> dict[str, str]:
    made: dict[str, str] = {}
    for element in root.findall("devices/*"):
        if element.tag in _REFUSED_DEVICES:
            notes.refuse(f"it {_REFUSED_DEVICES[element.tag]}")
        notes.leave(_LEFT_DEVICES.get(element.tag, ""))
    if disks:
        made["hw_disk_bus"] = disks[0].bus
    models = {card.model for card in cards}
    if models:
        made["hw_vif_model"] = cards[0].model
    if len(models) > 1:
        notes.leave(f"that its cards differ: all become {cards[0].model}")
    scsi = root.find("devices/controller[@type='scsi']")
    if scsi is not None and scsi.get("model") in SCSI_MODELS and any(disk.bus == "scsi" for disk in disks):
        made["hw_scsi_model"] = str(scsi.get("model"))
    video = root.find("devices/video/model")
    if video is not None and video.get("type") in VIDEO_MODELS:
        made["hw_video_model"] = str(video.get("type"))
    for graphics in root.findall("devices/graphics"):
        if graphics.get("type") != "vnc":
            notes.leave(f"its {graphics.get('type')} screen; it has one of VNC then")
        elif graphics.get("passwd") or graphics.get("port", "-1") != "-1":
            notes.leave("the port or password of its screen")
    if root.find("devices/input[@type='tablet']") is not None:
        made["hw_pointer_model"] = "usbtablet"
    made |= _trusted_module(root, notes)
    watchdog = root.find("devices/watchdog")
    if watchdog is not None and watchdog.get("action") in ("none", "reset", "poweroff", "pause"):
        made["hw_watchdog_action"] = str(watchdog.get("action"))
    return made


def _trusted_module(root: ET.Element, notes: _Notes) -> dict[str, str]:
    module = root.find("devices/tpm")
    backend = root.find("devices/tpm/backend")
    if module is None or backend is None:
        return {}
    if backend.get("type") != "emulator":
        notes.refuse("its TPM is the machine's")
        return {}
    made = {"hw_tpm_version": backend.get("version", "2.0")}
    return made | ({"hw_tpm_model": str(module.get("model"))} if module.get("model") in ("tpm-tis", "tpm-crb") else {})


def refused(found: ForeignGuest, *why: str) -> ForeignGuest:
    """The same with more refusals."""
    return replace(found, refusals=(*found.refusals, *why))
