"""QoS policies: how much ports may send and get. What is changed reaches guests that run within moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import grants
from novalite.cloud.network.qos_records import BandwidthRule, QosPolicy
from novalite.cloud.network.records import Network, Port
from novalite.cloud.network.security_groups import PORT_TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, NotFound

KIND = "qos_policy"
BANDWIDTH = "bandwidth_limit"


def query_visible(w: Work) -> sa.Select[QosPolicy]:
    """The caller's policies and those shared with it, with their rules; an administrator sees all."""
    parts = selectinload(QosPolicy.rules), selectinload(QosPolicy.grants)
    return sa.select(QosPolicy).where(grants.visible(w, QosPolicy)).options(*parts)


def list_visible(w: Work) -> list[QosPolicy]:
    return list(w.session.scalars(query_visible(w).order_by(QosPolicy.created_at, QosPolicy.id)))


def get(w: Work, policy_id: str) -> QosPolicy:
    query = query_visible(w).where(QosPolicy.id == policy_id)
    found = w.session.scalar(query, execution_options={"populate_existing": True})
    if found is None:
        raise NotFound("qos policy", policy_id, message=f"QoS policy {policy_id} could not be found.")
    return found


def get_own(w: Work, policy_id: str) -> QosPolicy:
    """One that the caller may change."""
    found = get(w, policy_id)
    if not w.ctx.is_admin and found.project_id != w.ctx.project_id:
        raise Forbidden("Policy doesn't allow update_policy to be performed.", rule="update_policy")
    return found


def checked(w: Work, policy_id: str | None) -> str | None:
    """The id of a policy that the caller may put on a port or a network. Raises ``NotFound``."""
    return get(w, policy_id).id if policy_id else None


def default(w: Work, project_id: str) -> str | None:
    """The id of the policy that the project's new networks have."""
    return w.session.scalar(sa.select(QosPolicy.id).where(QosPolicy.default_of == project_id))


def create(
    w: Work, *, name: str, description: str = "", shared: bool = False, is_default: bool = False, project_id: str = ""
) -> QosPolicy:
    """A policy that limits nothing yet. Raises ``Conflict`` for a second default of the project."""
    owner = project_id or w.ctx.project_id
    made = QosPolicy(
        id=new_id(), project_id=owner, name=name, description=description, created_at=w.now, updated_at=w.now
    )
    w.session.add(made)
    w.session.flush()
    _share(w, made, {"shared": shared, "is_default": is_default})
    return get(w, made.id)


def _share(w: Work, policy: QosPolicy, changes: Mapping[str, Any]) -> None:
    if "is_default" in changes:
        other = default(w, policy.project_id)
        if changes["is_default"] and other not in (None, policy.id):
            raise Conflict(f"A default QoS policy exists for project {policy.project_id}.",
                           code="qos_policy.default_already_exists")  # fmt: skip
        policy.default_of = policy.project_id if changes["is_default"] else None
    if changes.get("shared"):
        grants.open_to_all(w, KIND, policy.id, policy.project_id)
    elif "shared" in changes:
        grants.close(w, policy.id)
    w.session.flush()


def update(w: Work, policy_id: str, changes: Mapping[str, Any]) -> QosPolicy:
    """Set ``name``, ``description``, ``shared`` and ``is_default``."""
    policy = get_own(w, policy_id)
    policy.name = changes.get("name", policy.name)
    policy.description = changes.get("description", policy.description)
    _share(w, policy, changes)
    policy.updated_at, policy.revision = w.now, policy.revision + 1
    w.session.flush()
    return get(w, policy_id)


def delete(w: Work, policy_id: str) -> None:
    """Raises ``Conflict`` while a port or a network has it."""
    policy = get_own(w, policy_id)
    records: tuple[tuple[str, Any], ...] = (("network", Network), ("port", Port))
    for kind, record in records:
        user = w.session.scalar(sa.select(record.id).where(record.qos_policy_id == policy_id).limit(1))
        if user is not None:
            raise Conflict(f"QoS Policy {policy_id} is used by {kind} {user}.", code="qos_policy.in_use")
    grants.forget(w, policy_id)
    w.changed(sa.delete(BandwidthRule).where(BandwidthRule.policy_id == policy_id))
    w.session.expunge(policy)
    w.changed(sa.delete(QosPolicy).where(QosPolicy.id == policy_id))


def add_rule(w: Work, policy_id: str, *, max_kbps: int, max_burst_kbps: int = 0, direction: str = "egress") -> (
    BandwidthRule
):  # fmt: skip
    """Limit one direction. Raises ``Conflict`` when the policy does already."""
    policy = get_own(w, policy_id)
    _refuse_second(policy, direction, "")
    made = BandwidthRule(
        id=new_id(), policy_id=policy_id, direction=direction, max_kbps=max_kbps, max_burst_kbps=max_burst_kbps,
        created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    _changed(w, policy)
    return made


def _refuse_second(policy: QosPolicy, direction: str, rule_id: str) -> None:
    for rule in policy.rules:
        if rule.direction == direction and rule.id != rule_id:
            raise Conflict(
                f"Rule {BANDWIDTH} conflicts with rule {rule.id} which already exists in QoS Policy {policy.id}.",
                code="qos_rules.conflict",
            )


def get_rule(w: Work, rule_id: str, policy_id: str = "") -> BandwidthRule:
    """A rule of a policy that the caller may see; ``policy_id`` empty: of any."""
    query = sa.select(BandwidthRule).join(QosPolicy).where(BandwidthRule.id == rule_id, grants.visible(w, QosPolicy))
    found = w.session.scalar(query.where(QosPolicy.id == policy_id) if policy_id else query)
    if found is None:
        where = f" for QoS policy {policy_id}" if policy_id else ""
        raise NotFound(
            "qos rule", rule_id, message=f"QoS rule of type {BANDWIDTH} with ID {rule_id}{where} could not be found."
        )
    return found


def update_rule(w: Work, rule_id: str, changes: Mapping[str, Any], policy_id: str = "") -> BandwidthRule:
    rule = get_rule(w, rule_id, policy_id)
    policy = get_own(w, rule.policy_id)
    _refuse_second(policy, changes.get("direction", rule.direction), rule_id)
    for name, value in changes.items():
        setattr(rule, name, value)
    _changed(w, policy)
    return rule


def delete_rule(w: Work, rule_id: str, policy_id: str = "") -> None:
    rule = get_rule(w, rule_id, policy_id)
    policy = get_own(w, rule.policy_id)
    w.session.delete(rule)
    _changed(w, policy)


def _changed(w: Work, policy: QosPolicy) -> None:
    policy.updated_at, policy.revision = w.now, policy.revision + 1
    w.session.flush()
    tell(w, sa.func.coalesce(Port.qos_policy_id, Network.qos_policy_id) == policy.id)


def tell(w: Work, which: sa.ColumnElement[bool]) -> None:
    """The machine is to look at the limits of these plugged ports (and their networks) again."""
    query = sa.select(Port.id, Port.project_id).join(Network, Network.id == Port.network_id)
    for row in w.session.execute(query.where(which, Port.host != "")):
        w.announce(PORT_TOPIC, row.id, row.project_id)


def put_on_network(w: Work, network_id: str, policy_id: str | None) -> None:
    """Let ports of the network without a policy of their own have this one. Raises ``NotFound``."""
    wanted = checked(w, policy_id)
    w.changed(sa.update(Network).where(Network.id == network_id).values(qos_policy_id=wanted))
    tell(w, sa.and_(Network.id == network_id, Port.qos_policy_id.is_(None)))
