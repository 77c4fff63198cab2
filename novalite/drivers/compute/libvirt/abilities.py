"""What this host can give a guest, as libvirt tells it, and the same as traits for the scheduler."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Any

import libvirt

_MACHINES = {"x86_64": ("pc", "q35"), "aarch64": ("virt",)}
_BUSES = {
    "virtio": "COMPUTE_STORAGE_BUS_VIRTIO",
    "scsi": "COMPUTE_STORAGE_BUS_SCSI",
    "sata": "COMPUTE_STORAGE_BUS_SATA",
    "ide": "COMPUTE_STORAGE_BUS_IDE",
    "usb": "COMPUTE_STORAGE_BUS_USB",
}
_VIDEOS = {
    "vga": "COMPUTE_GRAPHICS_MODEL_VGA",
    "cirrus": "COMPUTE_GRAPHICS_MODEL_CIRRUS",
    "vmvga": "COMPUTE_GRAPHICS_MODEL_VMVGA",
    "qxl": "COMPUTE_GRAPHICS_MODEL_QXL",
    "virtio": "COMPUTE_GRAPHICS_MODEL_VIRTIO",
    "bochs": "COMPUTE_GRAPHICS_MODEL_BOCHS",
    "none": "COMPUTE_GRAPHICS_MODEL_NONE",
}
_NICS = ("VIRTIO", "E1000", "E1000E", "RTL8139", "NE2K_PCI", "PCNET", "VMXNET3")
_TPMS = {
    "1.2": "COMPUTE_SECURITY_TPM_1_2",
    "2.0": "COMPUTE_SECURITY_TPM_2_0",
    "tpm-tis": "COMPUTE_SECURITY_TPM_TIS",
    "tpm-crb": "COMPUTE_SECURITY_TPM_CRB",
}
_ALWAYS = (
    "COMPUTE_NET_ATTACH_INTERFACE",
    "COMPUTE_VOLUME_ATTACH",
    "COMPUTE_VOLUME_EXTEND",
    "COMPUTE_RESCUE_BFV",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
)


@dataclass(frozen=True)
class HostNode:
    """One memory node of the host. ``pages`` maps a page size in KiB to how many there are."""

    cpus: tuple[int, ...] = ()
    pages: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Abilities:
    """Empty sets mean that libvirt does not tell: then nothing is refused beforehand."""

    buses: frozenset[str] = frozenset()
    videos: frozenset[str] = frozenset()
    tpms: frozenset[str] = frozenset()
    cpu_modes: frozenset[str] = frozenset()
    cpu_models: tuple[str, ...] = ()
    uefi: bool = False
    secure_boot: bool = False
    nodes: tuple[HostNode, ...] = (HostNode(),)

    @property
    def huge_pages(self) -> dict[int, int]:
        """Pages of each size but the ordinary, on all nodes."""
        found: dict[int, int] = {}
        for node in self.nodes:
            for size in sorted(node.pages)[1:]:
                found[size] = found.get(size, 0) + node.pages[size]
        return found


def ask(connection: Any, architecture: str, virt_type: str) -> Abilities:
    """Two or three questions; the answers hold until libvirtd restarts."""
    nodes = _nodes(ET.fromstring(connection.getCapabilities()))  # noqa: S314 - comes from the local libvirt
    roots = [
        root
        for machine in _MACHINES.get(architecture, ())
        if (root := _domain_capabilities(connection, architecture, machine, virt_type)) is not None
    ]
    return Abilities(
        buses=_values(roots, "./devices/disk/enum[@name='bus']/value"),
        videos=_values(roots, "./devices/video/enum[@name='modelType']/value"),
        tpms=_tpms(roots),
        cpu_modes=frozenset(
            mode.get("name", "") for root in roots for mode in root.findall("./cpu/mode[@supported='yes']")
        ),
        cpu_models=tuple(sorted(_values(roots, "./cpu/mode[@name='custom']/model[@usable='yes']"))),
        uefi="efi" in _values(roots, "./os/enum[@name='firmware']/value"),
        secure_boot="yes" in _values(roots, "./os/loader/enum[@name='secure']/value"),
        nodes=nodes,
    )


def _domain_capabilities(connection: Any, architecture: str, machine: str, virt_type: str) -> ET.Element | None:
    try:
        text = connection.getDomainCapabilities(None, architecture, machine, virt_type)
    except libvirt.libvirtError:
        return None
    return ET.fromstring(text)  # noqa: S314 - comes from the local libvirt


def _values(roots: list[ET.Element], path: str) -> frozenset[str]:
    return frozenset(value.text or "" for root in roots for value in root.findall(path))


def _tpms(roots: list[ET.Element]) -> frozenset[str]:
    """Models and versions, where the program that plays the device is there."""
    if "emulator" not in _values(roots, "./devices/tpm/enum[@name='backendModel']/value"):
        return frozenset()
    models = _values(roots, "./devices/tpm/enum[@name='model']/value")
    return models | _values(roots, "./devices/tpm/enum[@name='backendVersion']/value")


def _nodes(root: ET.Element) -> tuple[HostNode, ...]:
    nodes = []
    for cell in root.findall("./host/topology/cells/cell"):
        pages = {int(p.get("size", "0")): int(p.text or "0") for p in cell.findall("pages")}
        nodes.append(HostNode(tuple(int(cpu.get("id", "0")) for cpu in cell.findall("./cpus/cpu")), pages))
    return tuple(nodes) or (HostNode(),)


def traits(abilities: Abilities) -> tuple[str, ...]:
    """As os-traits names them."""
    found = {*_ALWAYS, *(f"COMPUTE_NET_VIF_MODEL_{model}" for model in _NICS)}
    found |= {name for bus, name in _BUSES.items() if bus in abilities.buses}
    found |= {name for video, name in _VIDEOS.items() if video in abilities.videos}
    found |= {name for kind, name in _TPMS.items() if kind in abilities.tpms}
    if abilities.secure_boot:
        found.add("COMPUTE_SECURITY_UEFI_SECURE_BOOT")
    return tuple(sorted(found))
