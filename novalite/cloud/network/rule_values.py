"""What a rule of a security group says, and whether its parts fit together."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from novalite.cloud.network import protocols, ranges
from novalite.errors import Invalid

_VERSIONS = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True)
class NewRule:
    """A rule to make. ``protocol`` is a name, a number or None for all; for ICMP the ports are type and code. Not
    more than one of ``remote_prefix`` (a CIDR or an address), ``remote_group_id`` and ``remote_address_group_id``."""

    group_id: str
    direction: str
    ethertype: str = "IPv4"
    protocol: str | int | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None
    description: str = ""


def checked(new: NewRule) -> dict[str, Any]:
    """The rule's columns. Raises ``Invalid`` for values that do not fit together."""
    protocol = protocols.parse(new.protocol)
    protocols.check_ethertype(protocol, new.ethertype)
    protocols.check_ports(protocol, new.port_min, new.port_max)
    if sum(map(bool, (new.remote_prefix, new.remote_group_id, new.remote_address_group_id))) > 1:
        raise Invalid(
            "Only one of remote_ip_prefix, remote_group_id or remote_address_group_id may be provided.",
            code="security_group.multiple_remote_entities",
            field="remote_group_id",
        )
    return {
        "direction": new.direction,
        "ethertype": new.ethertype,
        "protocol": protocol,
        "port_min": new.port_min,
        "port_max": new.port_max,
        "remote_prefix": _prefix(new),
        "remote_group_id": new.remote_group_id or None,
        "remote_address_group_id": new.remote_address_group_id or None,
    }


def _prefix(new: NewRule) -> str | None:
    if not new.remote_prefix:
        return None
    try:
        network = ranges.read_range(new.remote_prefix)
    except ValueError:
        raise Invalid(
            f"Invalid input for remote_ip_prefix. Reason: '{new.remote_prefix[:80]}' is not a valid IP subnet.",
            field="remote_ip_prefix",
        ) from None
    if network.version != _VERSIONS[new.ethertype]:
        raise Invalid(
            f"Conflicting value ethertype {new.ethertype} for CIDR {new.remote_prefix}",
            code="security_group_rule.parameter_conflict",
            field="ethertype",
        )
    return new.remote_prefix if "/" in new.remote_prefix else str(network)


def normalized(prefix: str | None) -> str | None:
    """The range a remote prefix stands for, without host bits."""
    return None if prefix is None else str(ip_network(prefix, strict=False))


def meaning(rule: Any) -> tuple[object, ...]:
    """What two rules have in common that let the same through. ``rule`` is a record or a row of its columns."""
    return (rule.direction, rule.ethertype, protocols.number(rule.protocol), rule.port_min, rule.port_max,
            normalized(rule.remote_prefix), rule.remote_group_id, rule.remote_address_group_id)  # fmt: skip
