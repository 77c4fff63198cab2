"""The rules that new security groups begin with, as the administrator wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from novalite.cloud.network import rule_values
from novalite.cloud.network.address_group_records import AddressGroup
from novalite.cloud.network.default_rule_records import OWN_GROUP, DefaultRule
from novalite.cloud.network.records import SecurityGroup, SecurityGroupRule
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound

if TYPE_CHECKING:
    from novalite.cloud.network.rule_values import NewRule


def list_all(w: Work) -> list[DefaultRule]:
    return list(w.session.scalars(sa.select(DefaultRule).order_by(DefaultRule.created_at, DefaultRule.id)))


def get(w: Work, rule_id: str) -> DefaultRule:
    found = w.session.get(DefaultRule, rule_id)
    if found is None:
        raise NotFound("default security group rule", rule_id,
                       message=f"Default Security group rule {rule_id} does not exist")  # fmt: skip
    return found


def create(w: Work, new: NewRule, *, in_default: bool = False, in_others: bool = True) -> DefaultRule:
    """One more; groups that are there stay as they are. ``remote_group_id`` may be ``PARENT``. Raises ``Invalid`` as
    rules of groups do, ``Conflict`` for one that is there."""
    values = rule_values.checked(new)
    _require_remotes(w, values["remote_group_id"], values["remote_address_group_id"])
    made = DefaultRule(id=new_id(), in_default=in_default, in_others=in_others, created_at=w.now,
                       description=new.description, **values)  # fmt: skip
    for other in list_all(w):
        if rule_values.meaning(other) == rule_values.meaning(made):
            raise Conflict(f"Default Security group rule already exists. Rule id is {other.id}.",
                           code="default_security_group_rule.exists")  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def _require_remotes(w: Work, group_id: str | None, address_group_id: str | None) -> None:
    if group_id not in (None, OWN_GROUP) and w.session.get(SecurityGroup, group_id) is None:
        raise NotFound("security group", str(group_id), message=f"Security group {group_id} does not exist")
    if address_group_id is not None and w.session.get(AddressGroup, address_group_id) is None:
        raise NotFound("address group", address_group_id,
                       message=f"Address group {address_group_id} could not be found.")  # fmt: skip


def forget_group(w: Work, group_id: str) -> None:
    """A security group is going: no new group begins with a rule that names it."""
    w.changed(sa.delete(DefaultRule).where(DefaultRule.remote_group_id == group_id))


def delete(w: Work, rule_id: str) -> None:
    w.session.delete(get(w, rule_id))
    w.session.flush()


def rules_for(w: Work, group: SecurityGroup) -> list[SecurityGroupRule]:
    """What a new group begins with."""
    wanted = DefaultRule.in_default if group.default_of else DefaultRule.in_others
    return [
        SecurityGroupRule(
            id=new_id(),
            group_id=group.id,
            project_id=group.project_id,
            direction=rule.direction,
            ethertype=rule.ethertype,
            protocol=rule.protocol,
            port_min=rule.port_min,
            port_max=rule.port_max,
            remote_prefix=rule.remote_prefix,
            remote_group_id=group.id if rule.remote_group_id == OWN_GROUP else rule.remote_group_id,
            remote_address_group_id=rule.remote_address_group_id,
            description=rule.description,
            created_at=w.now,
        )
        for rule in w.session.scalars(sa.select(DefaultRule).where(wanted).order_by(DefaultRule.created_at))
    ]
