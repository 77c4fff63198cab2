"""RBAC policies: what a project lets others see and use of its networks, groups, pools, scopes and QoS policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from novalite.cloud.network import networks, quota, rbac_use
from novalite.cloud.network.address_group_records import AddressGroup
from novalite.cloud.network.grants import EXTERNAL, SHARED, visible
from novalite.cloud.network.qos_records import QosPolicy
from novalite.cloud.network.rbac_records import EVERYBODY, RbacPolicy
from novalite.cloud.network.records import Network, SecurityGroup
from novalite.cloud.network.subnet_pool_records import AddressScope, SubnetPool
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class Kind:
    """What can be shared: its record, in which ways, and what tells whether ``projects`` use it."""

    record: Any
    actions: tuple[str, ...]
    in_use: Callable[[Work, RbacPolicy], bool]


KINDS: Mapping[str, Kind] = {
    "network": Kind(Network, (EXTERNAL, SHARED), rbac_use.network),
    "security_group": Kind(SecurityGroup, (SHARED,), rbac_use.security_group),
    "address_group": Kind(AddressGroup, (SHARED,), rbac_use.address_group),
    "qos_policy": Kind(QosPolicy, (SHARED,), rbac_use.qos_policy),
    "subnetpool": Kind(SubnetPool, (SHARED,), rbac_use.subnet_pool),
    "address_scope": Kind(AddressScope, (SHARED,), rbac_use.address_scope),
}


def query_visible(w: Work) -> sa.Select[RbacPolicy]:
    """The policies that the caller's project made; an administrator sees all."""
    query = sa.select(RbacPolicy)
    return query if w.ctx.is_admin else query.where(RbacPolicy.project_id == w.ctx.project_id)


def list_visible(w: Work) -> list[RbacPolicy]:
    return list(w.session.scalars(query_visible(w).order_by(RbacPolicy.created_at, RbacPolicy.id)))


def get(w: Work, policy_id: str) -> RbacPolicy:
    found = w.session.scalar(query_visible(w).where(RbacPolicy.id == policy_id))
    if found is None:
        raise NotFound("rbac policy", policy_id, message=f"RBAC policy with ID {policy_id} could not be found.")
    return found


def create(
    w: Work, *, object_type: str, object_id: str, action: str, target_project: str, project_id: str = ""
) -> RbacPolicy:
    """Raises ``Invalid`` for a type or an action that is none and for another's object, ``NotFound`` for one the
    caller does not see, ``Conflict`` for what is granted already, ``OverQuota``."""
    kind = KINDS.get(object_type)
    if kind is None:
        raise Invalid(f"Invalid input for object_type. Reason: '{object_type[:80]}' is not a valid RBAC object type.",
                      field="object_type")  # fmt: skip
    if action not in kind.actions:
        raise Invalid(
            f"Invalid action '{action[:80]}' for object type '{object_type}'. Valid actions: "
            f"{', '.join(kind.actions)}", code="invalid_action.for_type", field="action")  # fmt: skip
    owner = project_id or w.ctx.project_id
    _require_own(w, kind, object_type, object_id)
    quota.require(w, owner, "rbac_policy")
    same = (RbacPolicy.object_id == object_id, RbacPolicy.action == action)
    if w.session.scalar(sa.select(RbacPolicy.id).where(*same, RbacPolicy.target_project == target_project)):
        raise Conflict("An RBAC policy already exists with those values.", code="duplicate.rbac_policy")
    made = RbacPolicy(
        id=new_id(), project_id=owner, object_type=object_type, object_id=object_id, action=action,
        target_project=target_project, created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    _follow(w, made)
    return made


def _require_own(w: Work, kind: Kind, name: str, object_id: str) -> None:
    query = sa.select(kind.record.project_id).where(kind.record.id == object_id, visible(w, kind.record))
    owner = w.session.scalar(query)
    if owner is None:
        raise NotFound(name.replace("_", " "), object_id)
    if owner != w.ctx.project_id and not w.ctx.is_admin:
        raise Invalid("Only admins can manipulate policies on objects they do not own",
                      code="invalid_input", field="object_id")  # fmt: skip


def update(w: Work, policy_id: str, target_project: str) -> RbacPolicy:
    """Give it to another project. Raises ``Conflict`` while the one that has it uses the object."""
    policy = get(w, policy_id)
    if policy.target_project == target_project:
        return policy
    _refuse_in_use(w, policy)
    same = (RbacPolicy.object_id == policy.object_id, RbacPolicy.action == policy.action)
    if w.session.scalar(sa.select(RbacPolicy.id).where(*same, RbacPolicy.target_project == target_project)):
        raise Conflict("An RBAC policy already exists with those values.", code="duplicate.rbac_policy")
    policy.target_project = target_project
    w.session.flush()
    _follow(w, policy)
    return policy


def delete(w: Work, policy_id: str) -> None:
    """Take it away. Raises ``Conflict`` while somebody uses the object because of it."""
    policy = get(w, policy_id)
    _refuse_in_use(w, policy)
    w.session.delete(policy)
    w.session.flush()
    _follow(w, policy)


def _refuse_in_use(w: Work, policy: RbacPolicy) -> None:
    if KINDS[policy.object_type].in_use(w, policy):
        raise Conflict(
            f"RBAC policy on object {policy.object_id} cannot be removed because other objects depend on it.",
            code="rbac_policy.in_use",
        )


def _follow(w: Work, policy: RbacPolicy) -> None:
    """A network's record tells what policies for everybody make of it."""
    if policy.object_type != "network":
        return
    query = sa.select(RbacPolicy.action, RbacPolicy.target_project).where(RbacPolicy.object_id == policy.object_id)
    rows = w.session.execute(query).all()
    shared = any(row.action == SHARED and row.target_project == EVERYBODY for row in rows)
    networks.set_reach(w, policy.object_id, shared=shared, external=any(row.action == EXTERNAL for row in rows))
