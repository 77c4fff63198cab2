"""What other programs are told of an exported server."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from novalite.cli.ovf import envelope

_OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
_RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"


def _manifest(**properties: str) -> dict[str, Any]:
    cards = [{"network": name} for name in ("lan", "dmz & more", "lan")]
    return {
        "server": {"name": "shop <1>"}, "flavor": {"vcpus": 4, "ram": 2048}, "networks": cards,
        "image": {"properties": properties},
        "disks": [{"size": 10, "virtual_size": 1 << 30}, {"size": 20, "virtual_size": 2 << 30}],
    }  # fmt: skip


def _items(root: ET.Element, kind: int) -> list[dict[str, str]]:
    items = [{child.tag.removeprefix(_RASD): child.text or "" for child in item} for item in root.iter(f"{_OVF}Item")]
    return [item for item in items if item["ResourceType"] == str(kind)]


def test_every_disk_card_and_size_is_told() -> None:
    root = ET.fromstring(envelope(_manifest(), ["a.vmdk", "b.vmdk"]))
    assert [file.get(f"{_OVF}href") for file in root.iter(f"{_OVF}File")] == ["a.vmdk", "b.vmdk"]
    disks = [(disk.get(f"{_OVF}fileRef"), disk.get(f"{_OVF}capacity")) for disk in root.iter(f"{_OVF}Disk")]
    assert disks == [("file0", str(1 << 30)), ("file1", str(2 << 30))]
    assert [item["VirtualQuantity"] for kind in (3, 4) for item in _items(root, kind)] == ["4", "2048"]
    assert [item["HostResource"] for item in _items(root, 17)] == ["ovf:/disk/disk0", "ovf:/disk/disk1"]
    assert {item["Parent"] for item in _items(root, 17)} == {item["InstanceID"] for item in _items(root, 20)}
    assert [item["Connection"] for item in _items(root, 10)] == ["lan", "dmz & more", "lan"]
    assert [each.get(f"{_OVF}name") for each in root.iter(f"{_OVF}Network")] == ["lan", "dmz & more"]
    assert root.findtext(f"{_OVF}VirtualSystem/{_OVF}Name") == "shop <1>"
    numbers = [element.text for element in root.iter(f"{_RASD}InstanceID")]
    assert len(set(numbers)) == len(numbers)
    assert not list(root.iter("{http://www.vmware.com/schema/ovf}Config"))


def test_elements_stand_in_the_order_of_the_schema() -> None:
    root = ET.fromstring(envelope(_manifest(), ["a", "b"]))
    for item in root.iter(f"{_OVF}Item"):
        names = [child.tag for child in item]
        assert names == sorted(names)


def test_uefi_is_told() -> None:
    root = ET.fromstring(envelope(_manifest(hw_firmware_type="uefi"), ["a", "b"]))
    [told] = root.iter("{http://www.vmware.com/schema/ovf}Config")
    assert "efi" in told.attrib.values()
