"""The parts of a domain that flavor and image properties ask for: processors, memory, limits, odd devices."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt

from novalite.drivers.compute.libvirt.elements import sub
from novalite.drivers.compute.libvirt.faults import is_lost, translated
from novalite.drivers.compute.wishes import DeviceWish, NumaCell


@dataclass(frozen=True)
class CpuTuning:
    """``pins`` maps each of the guest's processors to those of the host it may run on."""

    shares: int = 0
    period: int = 0
    quota: int = 0
    pins: Mapping[int, str] | None = None

    def element(self) -> ET.Element | None:
        root = ET.Element("cputune")
        for name, value in (("shares", self.shares), ("period", self.period), ("quota", self.quota)):
            if value:
                sub(root, name, str(value))
        for vcpu, cpus in (self.pins or {}).items():
            sub(root, "vcpupin", vcpu=str(vcpu), cpuset=cpus)
        if self.pins:
            sub(root, "emulatorpin", cpuset=",".join(sorted(set(self.pins.values()))))
        return root if len(root) else None


@dataclass(frozen=True)
class MemoryBacking:
    """``page_kib`` 0 takes ordinary pages."""

    page_kib: int = 0
    locked: bool = False

    def element(self) -> ET.Element | None:
        root = ET.Element("memoryBacking")
        if self.page_kib:
            sub(sub(root, "hugepages"), "page", size=str(self.page_kib), unit="KiB")
        if self.locked:
            sub(root, "locked")
        return root if len(root) else None


def numa_cells(cells: tuple[NumaCell, ...]) -> ET.Element:
    """The guest's own nodes, for ``<cpu>``."""
    root = ET.Element("numa")
    for n, cell in enumerate(cells):
        cpus = ",".join(map(str, cell.vcpus))
        sub(root, "cell", id=str(n), cpus=cpus, memory=str(cell.memory_mib), unit="MiB")
    return root


def numa_tune(count: int) -> ET.Element:
    """Each node of the guest on the host's node of the same number."""
    root = ET.Element("numatune")
    nodes = "0" if count == 1 else f"0-{count - 1}"
    sub(root, "memory", mode="strict", nodeset=nodes)
    for n in range(count):
        sub(root, "memnode", cellid=str(n), mode="strict", nodeset=str(n))
    return root


def disk_limits(limits: tuple[tuple[str, int], ...]) -> ET.Element | None:
    """``<iotune>``; names like ``disk_read_iops_sec``."""
    if not limits:
        return None
    root = ET.Element("iotune")
    for name, value in limits:
        sub(root, name.removeprefix("disk_"), str(value))
    return root


def tune_disk(domain: Any, device: str, limits: tuple[tuple[str, int], ...]) -> None:
    """Give a disk these limits in place of those it has: in the running guest and in its definition. Raises
    ``DriverError`` ``guest.refused``."""
    none = {f"{way}_{kind}{more}": 0 for way in ("total", "read", "write") for kind in ("bytes_sec", "iops_sec")
            for more in ("", "_max")}  # fmt: skip
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    if domain.isActive():
        flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
    try:
        domain.setBlockIoTune(device, none, flags)
        if limits:
            domain.setBlockIoTune(device, dict(limits), flags)
    except libvirt.libvirtError as error:
        if is_lost(error):
            raise
        raise translated("tune_disk", error, "guest.refused") from error


def random_source(devices: DeviceWish) -> ET.Element:
    root = ET.Element("rng", model="virtio")
    if devices.rng_bytes:
        rate = sub(root, "rate", bytes=str(devices.rng_bytes))
        if devices.rng_period:
            rate.set("period", str(devices.rng_period))
    sub(root, "backend", "/dev/urandom", model="random")
    return root


def trusted_module(devices: DeviceWish) -> ET.Element:
    root = ET.Element("tpm", model=devices.tpm_model or "tpm-tis")
    sub(root, "backend", type="emulator", version=devices.tpm_version)
    return root


def watchdog(devices: DeviceWish) -> ET.Element:
    return ET.Element("watchdog", model="i6300esb", action=devices.watchdog)


def more_serial_ports(sockets: Path, count: int) -> list[ET.Element]:
    """The ports after the first, each on a socket of its own."""
    ports = []
    for n in range(1, count):
        root = ET.Element("serial", type="unix")
        sub(root, "source", mode="bind", path=str(sockets / f"serial{n}.sock"))
        sub(root, "target", port=str(n))
        ports.append(root)
    return ports
