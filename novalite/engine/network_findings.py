"""What the machine's networks lack, or have too much, beside the records: sentences for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from novalite.cloud.network import networks, port_views, routing, service_ports
from novalite.db.work import Work
from novalite.engine.flow import Parts


@dataclass(frozen=True)
class Wanted:
    """What should be there. ``networks`` and ``served`` (those with a DHCP server) map ids to names, ``ports`` are
    (network id, port id); ``full`` are subnets without an address for a server, ``cut_off`` networks whose physical
    network no setting names."""

    networks: Mapping[str, str]
    served: Mapping[str, str]
    ports: frozenset[tuple[str, str]]
    routers: frozenset[str]
    full: tuple[tuple[str, str], ...]
    cut_off: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Wrong:
    """As the doctor's ``Finding``."""

    severity: str
    kind: str
    id: str
    what: str
    why: str
    fix: str


def wanted(w: Work) -> Wanted:
    """In a few queries."""
    specs = networks.specs(w)
    return Wanted(
        {spec.id: spec.name for spec in specs},
        {spec.id: spec.name for spec in specs if any(subnet.server_ip and subnet.dhcp for subnet in spec.subnets)},
        frozenset((port.network_id, port.id) for each in port_views.all_specs(w).values() for port in each),
        frozenset(router.id for router in routing.specs(w)),
        tuple((subnet.id, subnet.cidr) for subnet in service_ports.without_server(w)),
        tuple((network.id, network.physical_network or "") for network in networks.cut_off(w)),
    )


def disagreements(parts: Parts, wanted: Wanted) -> Iterator[Wrong]:
    """What is wrong now."""
    report = parts.network.check()
    for problem in report.problems:
        yield Wrong("warning", "network", "", problem, "Found on the machine's network.", "See docs/networking.md.")
    for network_id in sorted(wanted.networks.keys() - set(report.networks)):
        yield Wrong(
            "error", "network", network_id, f"Network {wanted.networks[network_id]} is not there.",
            "Its guests reach nothing.", "It is made again within seconds; look at the log.",
        )  # fmt: skip
    for network_id in sorted(wanted.served.keys() & set(report.networks) - set(report.dhcp_running)):
        yield Wrong(
            "error", "network", network_id, f"Network {wanted.served[network_id]} has no DHCP server.",
            "Guests there get no address.", "It is started again within seconds; look at the log.",
        )  # fmt: skip
    for router_id in sorted(wanted.routers - set(report.routers)):
        yield Wrong(
            "error", "router", router_id, f"Router {router_id} is not there.",
            "Networks that it joins do not reach each other.", "It is made again within seconds; look at the log.",
        )  # fmt: skip
    for network_id, port_id in sorted(set(report.ports) - wanted.ports):
        yield Wrong(
            "error", "port", port_id, f"DHCP knows port {port_id}, which is no port of network {network_id}.",
            "A lease is left over.", "Restart NovaLite.",
        )  # fmt: skip
    yield from _of_records(wanted)


def _of_records(wanted: Wanted) -> Iterator[Wrong]:
    for subnet_id, cidr in wanted.full:
        yield Wrong(
            "warning", "subnet", subnet_id, f"Subnet {cidr} has no DHCP server.",
            "Its allocation pools have no address left for one.", "Delete unused ports, then restart NovaLite.",
        )  # fmt: skip
    for network_id, physical in wanted.cut_off:
        yield Wrong(
            "warning", "network", network_id, f"Network {network_id} leads nowhere.",
            f"No interface is named for its physical network {physical}.", "Set network.physical_networks.",
        )  # fmt: skip
