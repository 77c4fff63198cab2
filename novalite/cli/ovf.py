"""The description of a server that other programs read: an OVF envelope, as VirtualBox and VMware expect it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

_OVF = "http://schemas.dmtf.org/ovf/envelope/1"
_CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
_RASD, _VSSD = f"{_CIM}/CIM_ResourceAllocationSettingData", f"{_CIM}/CIM_VirtualSystemSettingData"
_VMW = "http://www.vmware.com/schema/ovf"
_STREAMED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
_CPU, _MEMORY, _CARD, _DISK, _SATA = 3, 4, 10, 17, 20
_LINUX_64 = 101
_PREFIXES = {"ovf": _OVF, "rasd": _RASD, "vssd": _VSSD, "vmw": _VMW}


def envelope(manifest: Mapping[str, Any], files: Sequence[str]) -> bytes:
    """``files`` are the names of the manifest's disks in the archive, in their order."""
    for prefix, uri in _PREFIXES.items():
        ET.register_namespace(prefix, uri)
    root = ET.Element(_ovf("Envelope"))
    _disks(root, manifest["disks"], files)
    networks = _section(root, "NetworkSection", "The networks that the cards were on")
    for name in dict.fromkeys(card["network"] for card in manifest["networks"]):
        ET.SubElement(networks, _ovf("Network"), {_ovf("name"): name})
    name = manifest["server"]["name"]
    system = _section(root, "VirtualSystem", "A server", id=name)
    _text(system, _ovf("Name"), name)
    kind = _section(system, "OperatingSystemSection", "What runs in it", id=str(_LINUX_64))
    _text(kind, _ovf("Description"), "Linux 64-bit")
    _hardware(system, manifest)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))


def _ovf(name: str) -> str:
    return f"{{{_OVF}}}{name}"


def _section(parent: ET.Element, name: str, info: str, **attributes: str) -> ET.Element:
    made = ET.SubElement(parent, _ovf(name), {_ovf(key): value for key, value in attributes.items()})
    _text(made, _ovf("Info"), info)
    return made


def _text(parent: ET.Element, name: str, text: object) -> None:
    ET.SubElement(parent, name).text = str(text)


def _disks(root: ET.Element, disks: Sequence[Mapping[str, Any]], files: Sequence[str]) -> None:
    references = ET.SubElement(root, _ovf("References"))
    for number, (disk, name) in enumerate(zip(disks, files, strict=True)):
        told = {"id": f"file{number}", "href": name, "size": str(disk["size"])}
        ET.SubElement(references, _ovf("File"), {_ovf(key): value for key, value in told.items()})
    section = _section(root, "DiskSection", "Its disks")
    for number, disk in enumerate(disks):
        told = {"diskId": f"disk{number}", "fileRef": f"file{number}", "capacity": str(disk["virtual_size"]),
                "format": _STREAMED}  # fmt: skip
        ET.SubElement(section, _ovf("Disk"), {_ovf(key): value for key, value in told.items()})


def _hardware(system: ET.Element, manifest: Mapping[str, Any]) -> None:
    hardware = _section(system, "VirtualHardwareSection", "What it needs")
    described = ET.SubElement(hardware, _ovf("System"))
    for key, value in (("ElementName", "Virtual Hardware Family"), ("InstanceID", 0),
                       ("VirtualSystemIdentifier", manifest["server"]["name"]),
                       ("VirtualSystemType", "vmx-13 virtualbox-2.2")):  # fmt: skip
        _text(described, f"{{{_VSSD}}}{key}", value)
    flavor = manifest["flavor"]
    items: list[dict[str, object]] = [
        {"Description": "Number of virtual CPUs", "ElementName": f"{flavor['vcpus']} virtual CPUs", "InstanceID": 1,
         "ResourceType": _CPU, "VirtualQuantity": flavor["vcpus"]},
        {"AllocationUnits": "byte * 2^20", "Description": "Memory size", "ElementName": f"{flavor['ram']} MB of memory",
         "InstanceID": 2, "ResourceType": _MEMORY, "VirtualQuantity": flavor["ram"]},
        {"Address": 0, "Description": "SATA controller", "ElementName": "SATA controller", "InstanceID": 3,
         "ResourceSubType": "AHCI", "ResourceType": _SATA},
    ]  # fmt: skip
    items += [
        {"AddressOnParent": number, "ElementName": f"Disk {number}", "HostResource": f"ovf:/disk/disk{number}",
         "InstanceID": 4 + number, "Parent": 3, "ResourceType": _DISK}
        for number in range(len(manifest["disks"]))
    ]  # fmt: skip
    items += [
        {"AutomaticAllocation": "true", "Connection": card["network"], "ElementName": f"Network card {number}",
         "InstanceID": 100 + number, "ResourceSubType": "E1000", "ResourceType": _CARD}
        for number, card in enumerate(manifest["networks"])
    ]  # fmt: skip
    for item in items:
        element = ET.SubElement(hardware, _ovf("Item"))
        for key in sorted(item):  # the schema wants them in this order
            _text(element, f"{{{_RASD}}}{key}", item[key])
    if manifest["image"]["properties"].get("hw_firmware_type") == "uefi":
        firmware = {_ovf("required"): "false", f"{{{_VMW}}}key": "firmware", f"{{{_VMW}}}value": "efi"}
        ET.SubElement(hardware, f"{{{_VMW}}}Config", firmware)
