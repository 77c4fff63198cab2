"""Security groups: named sets of rules that decide what reaches a port and what leaves it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from novalite.cloud.network import default_rules, grants, protocols, quota
from novalite.cloud.network.address_group_records import AddressGroup
from novalite.cloud.network.records import Port, PortSecurityGroup, SecurityGroup, SecurityGroupRule
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.drivers.network.base import GroupSpec, RuleSpec
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

DEFAULT = "default"
TOPIC = "security_group"
"""What is announced when the rules of a group have changed, or the group is gone."""
PORT_TOPIC = "port_groups"
"""What is announced, with the port's id, when a port is in other groups than before."""
_ICMP_6 = protocols.NUMBERS["ipv6-icmp"]


def ensure_default(w: Work, project_id: str) -> str:
    """The id of the project's default group, made on first sight: everything may leave, and only ports of the
    group itself may come in."""
    query = sa.select(SecurityGroup.id).where(SecurityGroup.project_id == project_id, SecurityGroup.name == DEFAULT)
    found = w.session.scalar(query)
    if found is not None:
        return found
    try:
        with w.session.begin_nested():
            return _insert(w, project_id, DEFAULT, "Default security group", is_default=True).id
    except IntegrityError:
        return w.session.scalars(query).one()


def _insert(
    w: Work, project_id: str, name: str, description: str, *, is_default: bool = False, stateful: bool = True
) -> SecurityGroup:
    group = SecurityGroup(
        id=new_id(),
        project_id=project_id,
        name=name,
        description=description,
        default_of=project_id if is_default else None,
        stateful=stateful,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(group)
    w.session.flush()
    w.session.add_all(default_rules.rules_for(w, group))
    w.session.flush()
    w.announce(TOPIC, group.id, project_id)
    return group


def query_visible(w: Work) -> sa.Select[SecurityGroup]:
    """The caller's groups and those shared with it, with their rules; an administrator's query holds those of all
    projects."""
    parts = selectinload(SecurityGroup.rules), selectinload(SecurityGroup.grants)
    return sa.select(SecurityGroup).where(grants.visible(w, SecurityGroup)).options(*parts)


def list_visible(w: Work) -> list[SecurityGroup]:
    """The caller's groups with their rules, oldest first."""
    return list(w.session.scalars(query_visible(w).order_by(SecurityGroup.created_at, SecurityGroup.id)))


def get(w: Work, group_id: str) -> SecurityGroup:
    """One group with its rules."""
    query = query_visible(w).where(SecurityGroup.id == group_id)
    group = w.session.scalar(query, execution_options={"populate_existing": True})
    if group is None:
        raise NotFound("security group", group_id, message=f"Security group {group_id} does not exist")
    return group


def get_own(w: Work, group_id: str) -> SecurityGroup:
    """One group that the caller may change; its rules are not loaded."""
    query = sa.select(SecurityGroup).where(SecurityGroup.id == group_id, grants.visible(w, SecurityGroup))
    group = w.session.scalar(query)
    if group is None:
        raise NotFound("security group", group_id, message=f"Security group {group_id} does not exist")
    if not w.ctx.is_admin and group.project_id != w.ctx.project_id:
        raise Forbidden("Policy doesn't allow update_security_group to be performed.", rule="update_security_group")
    return group


def find(w: Work, name_or_id: str) -> SecurityGroup:
    """A group of the caller's project by id or by name. Raises ``NotFound``, and ``Conflict`` when several groups
    have the name."""
    own = sa.select(SecurityGroup.id).where(SecurityGroup.project_id == w.ctx.project_id)
    by_id = w.session.scalar(own.where(SecurityGroup.id == name_or_id))
    if by_id is not None:
        return get(w, by_id)
    if name_or_id == DEFAULT:
        return get(w, ensure_default(w, w.ctx.project_id))
    named = w.session.scalars(own.where(SecurityGroup.name == name_or_id).limit(2)).all()
    if not named:
        raise NotFound("security group", name_or_id, message=f"Security group {name_or_id} not found.")
    if len(named) > 1:
        raise _ambiguous(name_or_id)
    return get(w, named[0])


def _ambiguous(name: str) -> Conflict:
    return Conflict(
        f"Multiple security groups found matching '{name}'. Use an ID to be more specific.",
        code="security_group.ambiguous",
    )


def create(w: Work, *, name: str, description: str = "", project_id: str = "", stateful: bool = True) -> SecurityGroup:
    """A group that lets everything out and nothing in. Raises ``Conflict`` for the name of the default group,
    ``OverQuota``."""
    owner = project_id or w.ctx.project_id
    _refuse_default_name(name)
    quota.require(w, owner, "security_group")
    ensure_default(w, owner)
    return get(w, _insert(w, owner, name, description, stateful=stateful).id)


def _refuse_default_name(name: str) -> None:
    if name.lower() == DEFAULT:
        raise Conflict("Default security group already exists.", code="security_group.default_already_exists")


def update(
    w: Work, group_id: str, *, name: str | None = None, description: str | None = None, stateful: bool | None = None
) -> SecurityGroup:
    """Change a group. Raises ``Conflict`` for the default group's name, and for ``stateful`` while ports are in it."""
    get_own(w, group_id)
    group = get(w, group_id)
    if name is not None and name != group.name:
        if group.name == DEFAULT:
            raise Conflict("Updating default security group not allowed.", code="security_group.cannot_update_default")
        _refuse_default_name(name)
        group.name = name
    if stateful is not None and stateful != group.stateful:
        _refuse_in_use(w, group_id)
        group.stateful = stateful
        w.announce(TOPIC, group_id, group.project_id)
    group.description = group.description if description is None else description
    group.updated_at, group.revision = w.now, group.revision + 1
    w.session.flush()
    return group


def delete(w: Work, group_id: str) -> None:
    """Delete a group, and the rules of other groups that named it. Raises ``Conflict`` for the default group and
    while ports are in it."""
    group = get_own(w, group_id)
    if group.name == DEFAULT and not w.ctx.is_admin:
        raise Conflict(
            "Insufficient rights for removing default security group.", code="security_group.cannot_remove_default"
        )
    _refuse_in_use(w, group_id)
    naming = SecurityGroupRule.remote_group_id == group_id
    for other in w.session.scalars(sa.select(SecurityGroupRule.group_id).where(naming).distinct()):
        w.announce(TOPIC, other)
    w.changed(sa.delete(SecurityGroupRule).where(sa.or_(naming, SecurityGroupRule.group_id == group_id)))
    default_rules.forget_group(w, group_id)
    grants.forget(w, group_id)
    w.session.expunge(group)
    w.changed(sa.delete(SecurityGroup).where(SecurityGroup.id == group_id))
    w.announce(TOPIC, group_id, group.project_id)


def _refuse_in_use(w: Work, group_id: str) -> None:
    if w.session.scalar(sa.select(sa.exists().where(PortSecurityGroup.group_id == group_id))):
        raise Conflict(f"Security Group {group_id} in use.", code="security_group.in_use")


def specs(w: Work, ids: Iterable[str] | None = None) -> tuple[GroupSpec, ...]:
    """What the machine is told of these groups, or of all; ids that are none are left out."""
    query = sa.select(SecurityGroup).options(selectinload(SecurityGroup.rules)).order_by(SecurityGroup.id)
    if ids is not None:
        query = query.where(SecurityGroup.id.in_(list(ids)))
    groups = w.session.scalars(query, execution_options={"populate_existing": True}).all()
    ranges = _ranges(w, {rule.remote_address_group_id for group in groups for rule in group.rules})
    return tuple(
        GroupSpec(group.id, tuple(_rule_spec(rule, ranges) for rule in group.rules), group.stateful) for group in groups
    )


def _ranges(w: Work, ids: set[str | None]) -> dict[str, list[str]]:
    """Address group -> its ranges."""
    wanted = [group_id for group_id in ids if group_id]
    if not wanted:
        return {}
    rows = w.session.execute(sa.select(AddressGroup.id, AddressGroup.addresses).where(AddressGroup.id.in_(wanted)))
    return {row.id: row.addresses for row in rows}


def _rule_spec(rule: SecurityGroupRule, ranges: dict[str, list[str]]) -> RuleSpec:
    """Protocol 0 stands for all and ICMP is that of the rule's version, as for Neutron."""
    version = 6 if rule.ethertype == "IPv6" else 4
    protocol = protocols.number(rule.protocol) or None
    remotes: tuple[str, ...] = ()
    if rule.remote_address_group_id:
        named = ranges.get(rule.remote_address_group_id, [])
        remotes = tuple(text for text in named if (":" in text) == (version == 6))
    elif rule.remote_prefix:
        remotes = (str(ip_network(rule.remote_prefix, strict=False)),)
    return RuleSpec(
        inbound=rule.direction == "ingress",
        version=version,
        protocol=_ICMP_6 if version == 6 and protocol in protocols.ICMP else protocol,
        low=rule.port_min,
        high=rule.port_max,
        remotes=remotes,
        remote_group=rule.remote_group_id or "",
        nobody=bool(rule.remote_address_group_id) and not remotes,
    )


def resolve(w: Work, names_or_ids: Iterable[str], project_id: str) -> list[str]:
    """Ids of groups of ``project_id`` given by name or id, without repetitions. Raises ``Invalid``, and
    ``Conflict`` when several groups have a name."""
    ensure_default(w, project_id)
    wanted = list(dict.fromkeys(names_or_ids))
    rows = w.session.execute(
        sa.select(SecurityGroup.id, SecurityGroup.name).where(
            sa.or_(
                sa.and_(SecurityGroup.project_id == project_id, SecurityGroup.name.in_(wanted)),
                sa.and_(
                    SecurityGroup.id.in_(wanted),
                    sa.or_(
                        SecurityGroup.project_id == project_id,
                        grants.granted_to(project_id, SecurityGroup.id, grants.SHARED),
                    ),
                ),
            )
        )
    ).all()
    named: dict[str, list[str]] = {}
    for row in rows:
        named.setdefault(row.name, []).append(row.id)
    known = named | {row.id: [row.id] for row in rows}
    for name in wanted:
        if name not in known:
            raise Invalid(f"Security group {name} not found for project {project_id}.", field="security_groups")
        if len(known[name]) > 1:
            raise _ambiguous(name)
    return list(dict.fromkeys(known[name][0] for name in wanted))


def _ports(w: Work, server_id: str) -> list[Port]:
    query = sa.select(Port).where(Port.device_id == server_id).options(selectinload(Port.fixed_ips))
    found = list(w.session.scalars(query))
    if not found:
        raise NotFound(
            "security group",
            server_id,
            message=f"Security group not found: instance {server_id} is the device of no port.",
        )
    return found


def _memberships(w: Work, ports: list[Port], group_id: str) -> set[str]:
    query = sa.select(PortSecurityGroup.port_id).where(
        PortSecurityGroup.group_id == group_id, PortSecurityGroup.port_id.in_([port.id for port in ports])
    )
    return set(w.session.scalars(query))


def add_to_ports(w: Work, server_id: str, name_or_id: str) -> list[str]:
    """Put every port of the server into the group; the ids of ports that were not in it. Repeating it is allowed.

    Raises ``NotFound`` for an unknown group and a server without ports, ``Conflict`` for an ambiguous name,
    ``Invalid`` for a port without port security or address.
    """
    group = find(w, name_or_id)
    ports = _ports(w, server_id)
    for port in ports:
        if not (port.port_security and port.fixed_ips):
            raise Invalid(
                "Network requires port_security_enabled and subnet associated in order to apply security groups.",
                code="security_group.cannot_be_applied",
                field="name",
            )
    present = _memberships(w, ports, group.id)
    added = [port for port in ports if port.id not in present]
    w.session.add_all(PortSecurityGroup(port_id=port.id, group_id=group.id) for port in added)
    _moved(w, added)
    return [port.id for port in added]


def remove_from_ports(w: Work, server_id: str, name_or_id: str) -> list[str]:
    """Take every port of the server out of the group; their ids. Raises ``NotFound`` for an unknown group and one
    that no port of the server is in."""
    group = find(w, name_or_id)
    ports = _ports(w, server_id)
    present = _memberships(w, ports, group.id)
    if not present:
        raise NotFound(
            "security group",
            name_or_id,
            message=f"Security group {name_or_id} not associated with the instance {server_id}",
        )
    w.changed(
        sa.delete(PortSecurityGroup).where(
            PortSecurityGroup.group_id == group.id, PortSecurityGroup.port_id.in_(present)
        )
    )
    _moved(w, [port for port in ports if port.id in present])
    return sorted(present)


def _moved(w: Work, ports: list[Port]) -> None:
    for port in ports:
        port.updated_at, port.revision = w.now, port.revision + 1
        w.announce(PORT_TOPIC, port.id, port.project_id)
        w.announce("port", port.id, port.project_id)
    w.session.flush()
