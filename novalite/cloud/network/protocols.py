"""IP protocols by the names that rules of security groups may use, and what each says of ports."""

from __future__ import annotations

from novalite.errors import Invalid

NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0,
    "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136,
    "vrrp": 112,
}  # fmt: skip
_ANY = ("", "any", "-1")
WITH_PORTS = frozenset({NUMBERS[name] for name in ("tcp", "udp", "udplite", "sctp", "dccp")})
ICMP = frozenset({NUMBERS["icmp"], NUMBERS["ipv6-icmp"]})
_ONLY_IPV6 = frozenset({NUMBERS[name] for name in ("ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts", "ipv6-route")})


def parse(value: str | int | None) -> str | None:
    """The protocol as a rule keeps it: a name, a number as text, or None for all. Raises ``Invalid``."""
    if value is None or str(value).lower() in _ANY:
        return None
    text = str(value).lower()
    if text in NUMBERS or (text.isascii() and text.isdecimal() and int(text) <= 255):
        return text
    raise Invalid(
        f"Security group rule protocol {str(value)[:40]} not supported. Only protocol values {sorted(NUMBERS)} and "
        "integer representations [0 to 255] are supported.",
        code="security_group_rule.invalid_protocol",
        field="protocol",
    )


def number(protocol: str | None) -> int | None:
    """The number of a protocol as ``parse`` gives it; None: all."""
    if protocol is None:
        return None
    return NUMBERS[protocol] if protocol in NUMBERS else int(protocol)


def check_ethertype(protocol: str | None, ethertype: str) -> None:
    """Raises ``Invalid`` for a protocol that only the other version of IP has."""
    if ethertype == "IPv4" and number(protocol) in _ONLY_IPV6:
        raise Invalid(
            f"Invalid ethertype {ethertype} for protocol {protocol}.",
            code="security_group.ethertype_conflict_with_protocol",
            field="ethertype",
        )


def check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    """Raises ``Invalid`` unless ``low`` and ``high`` are what the protocol can have: a range of ports, or type and
    code of ICMP."""
    if low is None and high is None:
        return
    found = number(protocol)
    if found is None:
        raise _wrong("Must also specify protocol if port range is given.", "protocol_required_with_ports")
    if found in ICMP:
        _check_icmp(low, high)
    elif found in WITH_PORTS:
        _check_range(low, high)
    else:
        raise _wrong(
            f"Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP.",
            "invalid_protocol_for_port",
        )


def _wrong(message: str, code: str) -> Invalid:
    return Invalid(message, code=f"security_group.{code}", field="port_range_min")


def _check_icmp(type_: int | None, code: int | None) -> None:
    for name, field, value in (("type", "port-range-min", type_), ("code", "port-range-max", code)):
        if value is not None and not 0 <= value <= 255:
            raise _wrong(f"Invalid value for ICMP {name} ({field}) {value}. It must be 0 to 255.", "invalid_icmp_value")
    if type_ is None:
        raise _wrong(
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.",
            "missing_icmp_type",
        )


def _check_range(low: int | None, high: int | None) -> None:
    for value in (low, high):
        if value is not None and not 1 <= value <= 65535:
            raise _wrong(f"Invalid value for port {value}", "invalid_port_value")
    if low is None or high is None or low > high:
        raise _wrong("For TCP/UDP protocols, port_range_min must be <= port_range_max", "invalid_port_range")
