"""Which processors of the host a guest's processors run on."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from novalite.drivers.compute.libvirt.abilities import HostNode
from novalite.drivers.compute.properties import numbers, refused
from novalite.drivers.compute.wishes import Wishes


def pins(vcpus: int, wishes: Wishes, nodes: Sequence[HostNode], taken: frozenset[int]) -> dict[int, str]:
    """The guest's processor -> those of the host, as libvirt writes them. With the policy ``dedicated`` each
    has one to itself; with memory nodes each stays on its node; else none is bound. Raises ``DriverError``
    with code ``guest.refused`` when too few processors are free."""
    cells = wishes.memory.cells
    if not wishes.cpu.dedicated:
        return {vcpu: ",".join(map(str, nodes[n].cpus)) for n, cell in enumerate(cells) for vcpu in cell.vcpus}
    if cells:
        groups = [(cell.vcpus, nodes[n].cpus) for n, cell in enumerate(cells)]
    else:
        groups = [(tuple(range(vcpus)), tuple(cpu for node in _roomiest(nodes, taken) for cpu in node.cpus))]
    found: dict[int, str] = {}
    for wanted, cpus in groups:
        free = [cpu for cpu in cpus if cpu not in taken]
        if len(free) < len(wanted):
            raise refused("hw:cpu_policy", f"{len(wanted)} free processors are needed, {len(free)} are left")
        found |= {vcpu: str(cpu) for vcpu, cpu in zip(wanted, free, strict=False)}
    return found


def _roomiest(nodes: Sequence[HostNode], taken: frozenset[int]) -> list[HostNode]:
    return sorted(nodes, key=lambda node: -sum(cpu not in taken for cpu in node.cpus))


def pinned(domain_xml: str) -> frozenset[int]:
    """The processors of the host that a domain has to itself: those that one of its own is bound to alone."""
    root = ET.fromstring(domain_xml)  # noqa: S314 - comes from the local libvirt
    sets = (numbers("cpuset", pin.get("cpuset", "")) for pin in root.findall("./cputune/vcpupin"))
    return frozenset(cpus[0] for cpus in sets if len(cpus) == 1)
