"""Rules of security groups: what is checked of a new one, and what ends it. A rule never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

import sqlalchemy as sa

from novalite.cloud.network import protocols, quota, security_groups
from novalite.cloud.network.records import SecurityGroup, SecurityGroupRule
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

_VERSIONS = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True)
class NewRule:
    """A rule to make. ``protocol`` is a name, a number or None for all; for ICMP the ports are type and code. Not
    more than one of ``remote_prefix`` (a CIDR or an address) and ``remote_group_id``."""

    group_id: str
    direction: str
    ethertype: str = "IPv4"
    protocol: str | int | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_prefix: str | None = None
    remote_group_id: str | None = None
    description: str = ""


def create(w: Work, new: NewRule) -> SecurityGroupRule:
    """One rule; see ``create_many``."""
    return create_many(w, [new])[0]


def create_many(w: Work, wanted: Sequence[NewRule]) -> list[SecurityGroupRule]:
    """Rules of one group, all or none. Raises ``Invalid`` for values that do not fit together, ``NotFound`` for
    groups, ``Conflict`` for a rule the group has, ``OverQuota``."""
    if len({new.group_id for new in wanted}) > 1:
        raise Invalid(
            "Multiple security_group_ids found in rules to be created.", code="security_group.not_single_group"
        )
    group = security_groups.get(w, wanted[0].group_id)
    quota.require(w, group.project_id, "security_group_rule", len(wanted))
    rules = [_checked(w, group, new) for new in wanted]
    present = {_meaning(rule): rule.id for rule in group.rules}
    for rule in rules:
        known = present.setdefault(_meaning(rule), rule.id)
        if known != rule.id:
            raise Conflict(
                f"Security group rule already exists. Rule id is {known}.", code="security_group_rule.exists"
            )
    w.session.add_all(rules)
    _changed(w, group)
    return rules


def _checked(w: Work, group: SecurityGroup, new: NewRule) -> SecurityGroupRule:
    protocol = protocols.parse(new.protocol)
    protocols.check_ethertype(protocol, new.ethertype)
    protocols.check_ports(protocol, new.port_min, new.port_max)
    if new.remote_prefix and new.remote_group_id:
        raise Invalid(
            "Only one of remote_ip_prefix or remote_group_id may be provided.",
            code="security_group.multiple_remote_entities",
            field="remote_group_id",
        )
    if new.remote_group_id and new.remote_group_id != group.id:
        security_groups.get(w, new.remote_group_id)
    return SecurityGroupRule(
        id=new_id(),
        group_id=group.id,
        project_id=group.project_id,
        direction=new.direction,
        ethertype=new.ethertype,
        protocol=protocol,
        port_min=new.port_min,
        port_max=new.port_max,
        remote_prefix=_prefix(new),
        remote_group_id=new.remote_group_id or None,
        description=new.description,
        created_at=w.now,
    )


def _prefix(new: NewRule) -> str | None:
    if not new.remote_prefix:
        return None
    try:
        network = ip_network(new.remote_prefix, strict=False)
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


def _meaning(rule: SecurityGroupRule) -> tuple[object, ...]:
    protocol = protocols.number(rule.protocol)
    return (rule.direction, rule.ethertype, protocol, rule.port_min, rule.port_max, normalized(rule.remote_prefix),
            rule.remote_group_id)  # fmt: skip


def _changed(w: Work, group: SecurityGroup) -> None:
    group.updated_at, group.revision = w.now, group.revision + 1
    w.session.flush()
    w.session.expire(group, ["rules"])
    w.announce(security_groups.TOPIC, group.id, group.project_id)


def list_visible(w: Work) -> list[SecurityGroupRule]:
    """Rules of the caller's groups, oldest first; an administrator's list holds those of all projects."""
    query = sa.select(SecurityGroupRule).order_by(SecurityGroupRule.created_at, SecurityGroupRule.id)
    if not w.ctx.is_admin:
        query = query.where(SecurityGroupRule.project_id == w.ctx.project_id)
    return list(w.session.scalars(query))


def get(w: Work, rule_id: str) -> SecurityGroupRule:
    """One rule of the caller's groups."""
    rule = w.session.get(SecurityGroupRule, rule_id)
    if rule is None or not (w.ctx.is_admin or rule.project_id == w.ctx.project_id):
        raise NotFound("security group rule", rule_id, message=f"Security group rule {rule_id} does not exist")
    return rule


def delete(w: Work, rule_id: str) -> None:
    """Take a rule away."""
    rule = get(w, rule_id)
    group = w.session.get_one(SecurityGroup, rule.group_id)
    w.session.expunge(rule)
    w.changed(sa.delete(SecurityGroupRule).where(SecurityGroupRule.id == rule_id))
    _changed(w, group)
