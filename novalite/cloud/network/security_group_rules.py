"""Rules of security groups: made and ended. A rule never changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from novalite.cloud.network import grants, quota, rule_values, security_groups
from novalite.cloud.network.address_group_records import AddressGroup
from novalite.cloud.network.records import SecurityGroup, SecurityGroupRule
from novalite.cloud.network.rule_values import NewRule, normalized
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

__all__ = ["NewRule", "create", "create_many", "delete", "get", "list_visible", "normalized"]


def create(w: Work, new: NewRule) -> SecurityGroupRule:
    """One rule; see ``create_many``."""
    return create_many(w, [new])[0]


def create_many(w: Work, wanted: Sequence[NewRule]) -> list[SecurityGroupRule]:
    """Rules of one group, all or none, in a constant number of statements. Raises ``Invalid`` for values that do not
    fit together, ``NotFound`` for groups, ``Conflict`` for a rule the group has, ``OverQuota``."""
    if len({new.group_id for new in wanted}) > 1:
        raise Invalid(
            "Multiple security_group_ids found in rules to be created.", code="security_group.not_single_group"
        )
    group = security_groups.get_own(w, wanted[0].group_id)
    quota.require(w, group.project_id, "security_group_rule", len(wanted))
    rules = [
        SecurityGroupRule(
            id=new_id(),
            group_id=group.id,
            project_id=group.project_id,
            description=new.description,
            created_at=w.now,
            **rule_values.checked(new),
        )
        for new in wanted
    ]
    _require_remotes(w, group, rules)
    _refuse_known(w, group, rules)
    w.session.add_all(rules)
    _changed(w, group)
    return rules


def _require_remotes(w: Work, group: SecurityGroup, rules: list[SecurityGroupRule]) -> None:
    remote = {rule.remote_group_id for rule in rules} - {None, group.id}
    for missing in remote - _seen(w, SecurityGroup, remote):
        raise NotFound("security group", str(missing), message=f"Security group {missing} does not exist")
    remote = {rule.remote_address_group_id for rule in rules} - {None}
    for missing in remote - _seen(w, AddressGroup, remote):
        raise NotFound("address group", str(missing), message=f"Address group {missing} could not be found.")


def _seen(w: Work, record: type[SecurityGroup] | type[AddressGroup], ids: Iterable[str | None]) -> set[str | None]:
    wanted = list(ids)
    if not wanted:
        return set()
    return set(w.session.scalars(sa.select(record.id).where(record.id.in_(wanted), grants.visible(w, record))))


def _refuse_known(w: Work, group: SecurityGroup, rules: list[SecurityGroupRule]) -> None:
    row = SecurityGroupRule
    query = sa.select(
        row.id, row.direction, row.ethertype, row.protocol, row.port_min, row.port_max, row.remote_prefix,
        row.remote_group_id, row.remote_address_group_id,
    ).where(row.group_id == group.id)  # fmt: skip
    if len(rules) == 1:  # of a group with thousands only the few that may be the same
        query = query.where(row.port_min == rules[0].port_min, row.port_max == rules[0].port_max)
    present = {rule_values.meaning(known): known.id for known in w.session.execute(query)}
    for rule in rules:
        known = present.setdefault(rule_values.meaning(rule), rule.id)
        if known != rule.id:
            raise Conflict(
                f"Security group rule already exists. Rule id is {known}.", code="security_group_rule.exists"
            )


def _changed(w: Work, group: SecurityGroup) -> None:
    group.updated_at, group.revision = w.now, group.revision + 1
    w.session.flush()
    w.session.expire(group, ["rules"])
    w.announce(security_groups.TOPIC, group.id, group.project_id)


def list_visible(w: Work) -> list[SecurityGroupRule]:
    """Rules of the caller's groups, oldest first; an administrator's list holds those of all projects."""
    query = sa.select(SecurityGroupRule).order_by(SecurityGroupRule.created_at, SecurityGroupRule.id)
    return list(w.session.scalars(query.where(_visible(w))))


def _visible(w: Work) -> sa.ColumnElement[bool]:
    if w.ctx.is_admin:
        return sa.true()
    shared = grants.granted(w.ctx, SecurityGroupRule.group_id)
    return sa.or_(SecurityGroupRule.project_id == w.ctx.project_id, shared)


def get(w: Work, rule_id: str) -> SecurityGroupRule:
    """One rule of the caller's groups."""
    rule = w.session.scalar(sa.select(SecurityGroupRule).where(SecurityGroupRule.id == rule_id, _visible(w)))
    if rule is None:
        raise NotFound("security group rule", rule_id, message=f"Security group rule {rule_id} does not exist")
    return rule


def delete(w: Work, rule_id: str) -> None:
    """Take a rule away."""
    rule = get(w, rule_id)
    group = security_groups.get_own(w, rule.group_id)
    w.session.expunge(rule)
    w.changed(sa.delete(SecurityGroupRule).where(SecurityGroupRule.id == rule_id))
    _changed(w, group)
