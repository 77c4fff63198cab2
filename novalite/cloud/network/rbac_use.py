"""Who uses what an RBAC policy gives: while somebody does, and has it by no other policy, it stays."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from novalite.cloud.network.address_group_records import AddressGroup
from novalite.cloud.network.grants import EXTERNAL
from novalite.cloud.network.qos_records import QosPolicy
from novalite.cloud.network.rbac_records import EVERYBODY, RbacPolicy
from novalite.cloud.network.records import (
    FloatingIp,
    Network,
    Port,
    PortSecurityGroup,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from novalite.cloud.network.subnet_pool_records import AddressScope, SubnetPool
from novalite.db.work import Work


def _needs(policy: RbacPolicy, project: Any, owner: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Whether a thing of ``project`` is there because of ``policy`` alone."""
    other = aliased(RbacPolicy)
    also = sa.exists().where(
        other.object_id == policy.object_id,
        other.action == policy.action,
        other.id != policy.id,
        sa.or_(other.target_project == EVERYBODY, other.target_project == project),
    )
    found = [project.not_in(("", owner)), ~also]
    if policy.target_project != EVERYBODY:
        found.append(project == policy.target_project)
    return tuple(found)


def _owner(w: Work, record: Any, policy: RbacPolicy) -> str:
    return w.session.scalar(sa.select(record.project_id).where(record.id == policy.object_id)) or ""


def _any(w: Work, *uses: sa.Exists) -> bool:
    return bool(w.session.scalar(sa.select(sa.or_(*uses))))


def network(w: Work, policy: RbacPolicy) -> bool:
    owner, id_ = _owner(w, Network, policy), policy.object_id
    if policy.action == EXTERNAL:
        return _any(
            w,
            sa.exists().where(Router.external_network_id == id_, *_needs(policy, Router.project_id, owner)),
            sa.exists().where(FloatingIp.network_id == id_, *_needs(policy, FloatingIp.project_id, owner)),
        )
    return _any(w, sa.exists().where(Port.network_id == id_, *_needs(policy, Port.project_id, owner)))


def security_group(w: Work, policy: RbacPolicy) -> bool:
    needs = _needs(policy, Port.project_id, _owner(w, SecurityGroup, policy))
    member = sa.and_(PortSecurityGroup.port_id == Port.id, PortSecurityGroup.group_id == policy.object_id)
    return _any(w, sa.exists().where(member, *needs))


def address_group(w: Work, policy: RbacPolicy) -> bool:
    needs = _needs(policy, SecurityGroupRule.project_id, _owner(w, AddressGroup, policy))
    return _any(w, sa.exists().where(SecurityGroupRule.remote_address_group_id == policy.object_id, *needs))


def qos_policy(w: Work, policy: RbacPolicy) -> bool:
    owner, id_ = _owner(w, QosPolicy, policy), policy.object_id
    return _any(
        w,
        sa.exists().where(Port.qos_policy_id == id_, *_needs(policy, Port.project_id, owner)),
        sa.exists().where(Network.qos_policy_id == id_, *_needs(policy, Network.project_id, owner)),
    )


def subnet_pool(w: Work, policy: RbacPolicy) -> bool:
    needs = _needs(policy, Subnet.project_id, _owner(w, SubnetPool, policy))
    return _any(w, sa.exists().where(Subnet.subnetpool_id == policy.object_id, *needs))


def address_scope(w: Work, policy: RbacPolicy) -> bool:
    needs = _needs(policy, SubnetPool.project_id, _owner(w, AddressScope, policy))
    return _any(w, sa.exists().where(SubnetPool.address_scope_id == policy.object_id, *needs))
