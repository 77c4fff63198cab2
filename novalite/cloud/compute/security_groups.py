"""Security groups as Compute spoke of them: of servers, and with rules in its own older words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa

from novalite.cloud.compute.servers import change, get
from novalite.cloud.network import security_group_rules, security_groups
from novalite.cloud.network.records import SecurityGroup, SecurityGroupRule
from novalite.cloud.network.security_group_rules import NewRule
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

_PORTS = {"TCP": (1, 65535), "UDP": (1, 65535), "ICMP": (-1, 255)}
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class OldRule:
    """A rule as it was asked for; nothing of it is checked yet. ``source_group_id`` None: ``cidr`` counts."""

    group_id: str
    protocol: Any = None
    from_port: Any = None
    to_port: Any = None
    cidr: Any = None
    source_group_id: str | None = None


def add(w: Work, server_id: str, name: str) -> None:
    """Put all cards of a server into a group. Raises ``NotFound``, ``Conflict`` for a name that several have."""
    server = get(w, server_id)
    security_groups.add_to_ports(w, server.id, name)
    change(w, server.id, {})


def remove(w: Work, server_id: str, name: str) -> None:
    """Take all cards of a server out of a group. Raises ``NotFound``, ``Conflict``."""
    server = get(w, server_id)
    security_groups.remove_from_ports(w, server.id, name)
    change(w, server.id, {})


def create(w: Work, name: str, description: str) -> SecurityGroup:
    """Raises ``Invalid``, ``OverQuota``."""
    with _invalid():
        return security_groups.create(w, name=name, description=description)


def update(w: Work, group_id: str, name: str, description: str) -> SecurityGroup:
    """Raises ``Invalid``, ``NotFound``."""
    with _invalid():
        return security_groups.update(w, group_id, name=name, description=description)


def delete(w: Work, group_id: str) -> None:
    """Raises ``Invalid`` for a group in use and the default one, ``NotFound``."""
    with _invalid():
        security_groups.delete(w, group_id)


@contextmanager
def _invalid() -> Iterator[None]:
    """What the network service tells as a conflict is a bad request for Compute."""
    try:
        yield
    except Conflict as error:
        raise Invalid(error.message, code=error.code, hint=error.hint) from error


def names_of(w: Work, group_ids: Iterable[str]) -> dict[str, SecurityGroup]:
    """Groups that rules name, by id, whoever owns them; one query."""
    wanted = set(group_ids)
    if not wanted:
        return {}
    found = w.session.scalars(sa.select(SecurityGroup).where(SecurityGroup.id.in_(wanted)))
    return {group.id: group for group in found}


def create_rule(w: Work, old: OldRule) -> SecurityGroupRule:
    """Let something in. Raises ``Invalid``, ``NotFound`` for groups, ``OverQuota``."""
    group = security_groups.get(w, old.group_id)
    if old.source_group_id:
        security_groups.get(w, old.source_group_id)
    protocol, low, high = _protocol(old)
    cidr = None if old.source_group_id else _range(old.cidr)
    with _invalid():
        return security_group_rules.create(
            w,
            NewRule(
                group.id, "ingress", "IPv6" if cidr and ":" in cidr else "IPv4", protocol, low, high, cidr,
                old.source_group_id,
            ),
        )  # fmt: skip


def delete_rule(w: Work, rule_id: str) -> None:
    """Raises ``NotFound``."""
    rule = security_group_rules.get(w, rule_id)
    if rule.direction != "ingress":
        raise NotFound("security group rule", rule_id, message=f"Security group rule {rule_id} does not exist")
    security_group_rules.delete(w, rule_id)


def _protocol(old: OldRule) -> tuple[str | None, int | None, int | None]:
    """Protocol and ports, or type and code; a rule for a group may leave them out."""
    protocol, low, high = old.protocol, old.from_port, old.to_port
    if not protocol or low is None or high is None:
        if old.source_group_id is None:
            raise Invalid("Not enough parameters to build a valid rule.", field="ip_protocol")
        return (str(protocol).lower() if protocol else None), None, None
    name = str(protocol).upper()
    if name not in _PORTS:
        raise Invalid(f"Invalid IP protocol {str(protocol)[:50]}.", field="ip_protocol")
    first, last = _number(name, low, "from_port"), _number(name, high, "to_port")
    least, most = _PORTS[name]
    if not (least <= first <= most and least <= last <= most) or (name != "ICMP" and first > last):
        raise Invalid(f"Invalid port range {first}:{last}.", field="from_port")
    if name == "ICMP":
        return "icmp", None if first == -1 else first, None if last == -1 else last
    return name.lower(), first, last


def _number(protocol: str, value: Any, field: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        what = "Type and Code must be integers for ICMP protocol type"
        raise Invalid(what if protocol == "ICMP" else "To and From ports must be integers", field=field) from error


def _range(cidr: Any) -> str:
    if not cidr:
        return ANYWHERE
    text = unquote(str(cidr))
    try:
        found = ip_network(text, strict=False)
    except ValueError as error:
        raise Invalid(f"Invalid cidr {text[:64]}.", field="cidr") from error
    if "/" not in text:
        raise Invalid(f"Invalid cidr {text[:64]}.", field="cidr")
    if found.prefixlen == 0 and text.partition("/")[0] not in ("0.0.0.0", "::"):  # noqa: S104 - an address of a rule
        raise Invalid(f"Bad prefix for network in cidr {text}", field="cidr")
    return text
