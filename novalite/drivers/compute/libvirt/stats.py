"""A guest's live figures and the host's facts."""

from __future__ import annotations

import os
import socket
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt

from novalite.drivers.compute.base import Diagnostics, Power
from novalite.drivers.compute.libvirt.places import QemuUser

_WANTED = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
_NIC_FIGURES = {"octets": "bytes", "packets": "pkts", "errors": "errs", "drop": "drop"}


def diagnostics(connection: Any, domain: Any, power: Power, booted_at: float) -> Diagnostics:
    """``booted_at`` in seconds since 1970."""
    [(_, raw)] = connection.domainListGetStats([domain], _WANTED)
    vcpus = range(raw.get("vcpu.maximum", 0))
    maximum = raw.get("balloon.maximum", 0)
    unused = raw.get("balloon.usable", raw.get("balloon.unused"))
    used = raw.get("balloon.current", maximum) - unused if unused is not None else raw.get("balloon.rss", 0)
    return Diagnostics(
        power=power,
        uptime_seconds=max(0, int(time.time() - booted_at)),
        cpu_times_ns=tuple(raw.get(f"vcpu.{n}.time", 0) for n in vcpus if f"vcpu.{n}.state" in raw),
        memory_maximum_mib=maximum // 1024,
        memory_used_mib=max(0, used) // 1024,
        disks=tuple(_disk(raw, f"block.{n}") for n in range(raw.get("block.count", 0))),
        nics=_nics(domain, raw),
    )


def _disk(raw: dict[str, Any], key: str) -> dict[str, int | str]:
    return {
        "device": raw.get(f"{key}.name", ""),
        "read_bytes": raw.get(f"{key}.rd.bytes", 0),
        "read_requests": raw.get(f"{key}.rd.reqs", 0),
        "write_bytes": raw.get(f"{key}.wr.bytes", 0),
        "write_requests": raw.get(f"{key}.wr.reqs", 0),
        "errors_count": raw.get(f"{key}.errors", 0),
    }


def _nics(domain: Any, raw: dict[str, Any]) -> tuple[dict[str, int | str], ...]:
    macs = dict(interfaces(domain.XMLDesc()))
    nics = []
    for n in range(raw.get("net.count", 0)):
        figures: dict[str, int | str] = {"mac_address": macs.get(raw.get(f"net.{n}.name", ""), "")}
        for direction in ("rx", "tx"):
            for ours, theirs in _NIC_FIGURES.items():
                figures[f"{direction}_{ours}"] = raw.get(f"net.{n}.{direction}.{theirs}", 0)
        nics.append(figures)
    return tuple(nics)


def interfaces(domain_xml: str) -> list[tuple[str, str]]:
    """(tap, MAC address) of each network card of a domain."""
    root = ET.fromstring(domain_xml)  # noqa: S314 - comes from the local libvirt
    found = []
    for nic in root.findall("./devices/interface"):
        target, mac = nic.find("target"), nic.find("mac")
        found.append(
            (target.get("dev", "") if target is not None else "", mac.get("address", "") if mac is not None else "")
        )
    return found


@dataclass(frozen=True)
class Capabilities:
    """What libvirt says about the host once. ``emulator`` is QEMU's path."""

    architecture: str
    cpu_model: str
    vendor: str
    user: QemuUser
    emulator: str
    has_kvm: bool
    machine_types: tuple[str, ...]


def capabilities(connection: Any) -> Capabilities:
    root = ET.fromstring(connection.getCapabilities())  # noqa: S314 - comes from the local libvirt
    architecture = root.findtext("./host/cpu/arch", os.uname().machine)
    guest = root.find(f"./guest/arch[@name='{architecture}']")
    domains = {d.get("type") for d in guest.findall("domain")} if guest is not None else set()
    machines = list(guest.findall("machine")) if guest is not None else []
    return Capabilities(
        architecture=architecture,
        cpu_model=root.findtext("./host/cpu/model", ""),
        vendor=root.findtext("./host/cpu/vendor", ""),
        user=_qemu_user(root),
        emulator=(guest.findtext("emulator") if guest is not None else None) or f"qemu-system-{architecture}",
        has_kvm="kvm" in domains,
        machine_types=tuple(dict.fromkeys(m.text for m in machines if m.text and ("-" not in m.text))),
    )


def _qemu_user(root: ET.Element) -> QemuUser:
    """Whom libvirt runs guests as: the base label of its DAC security model."""
    for model in root.findall("./host/secmodel"):
        if model.findtext("model") == "dac":
            uid, _, gid = model.findtext("baselabel", "").partition(":")
            return QemuUser(int(uid.lstrip("+")), int(gid.lstrip("+")))
    return QemuUser(os.geteuid(), os.getegid())


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def uptime_seconds() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def host_ip() -> str:
    """The address this machine speaks from; choosing a route sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
