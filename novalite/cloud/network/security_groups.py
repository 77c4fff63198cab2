"""Security groups: each project's ``default``. They are listed and named; packets are not filtered by them yet."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import selectinload

from novalite.cloud.network.records import SecurityGroup, SecurityGroupRule
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

DEFAULT = "default"


def ensure_default(w: Work, project_id: str) -> str:
    """The id of the project's default group, made on first sight. Its rules say what is true: all passes."""
    query = sa.select(SecurityGroup.id).where(SecurityGroup.project_id == project_id, SecurityGroup.name == DEFAULT)
    found = w.session.scalar(query)
    if found is not None:
        return found
    try:
        with w.session.begin_nested():
            return _make_default(w, project_id)
    except IntegrityError:
        return w.session.scalars(query).one()


def _make_default(w: Work, project_id: str) -> str:
    group = SecurityGroup(
        id=new_id(),
        project_id=project_id,
        name=DEFAULT,
        description="Default security group",
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(group)
    w.session.flush()
    w.session.add_all(
        SecurityGroupRule(
            group_id=group.id, project_id=project_id, direction=direction, ethertype="IPv4", created_at=w.now
        )
        for direction in ("egress", "ingress")
    )
    w.session.flush()
    return group.id


def list_visible(w: Work) -> list[SecurityGroup]:
    """The caller's groups with their rules; an administrator's list holds those of all projects."""
    query = sa.select(SecurityGroup).options(selectinload(SecurityGroup.rules)).order_by(SecurityGroup.created_at)
    if not w.ctx.is_admin:
        query = query.where(SecurityGroup.project_id == w.ctx.project_id)
    return list(w.session.scalars(query))


def get(w: Work, group_id: str) -> SecurityGroup:
    """One group with its rules."""
    group = w.session.get(SecurityGroup, group_id, options=[selectinload(SecurityGroup.rules)])
    if group is None or not (w.ctx.is_admin or group.project_id == w.ctx.project_id):
        raise NotFound("security group", group_id, message=f"Security group {group_id} does not exist")
    return group


def resolve(w: Work, names_or_ids: Iterable[str], project_id: str) -> list[str]:
    """Ids of groups of ``project_id`` given by name or id, without repetitions. Raises ``Invalid``."""
    ensure_default(w, project_id)
    wanted = list(dict.fromkeys(names_or_ids))
    rows = w.session.execute(
        sa.select(SecurityGroup.id, SecurityGroup.name).where(
            SecurityGroup.project_id == project_id, sa.or_(SecurityGroup.name.in_(wanted), SecurityGroup.id.in_(wanted))
        )
    ).all()
    known = {row.id: row.id for row in rows} | {row.name: row.id for row in rows}
    for name in wanted:
        if name not in known:
            raise Invalid(f"Security group {name} not found for project {project_id}.", field="security_groups")
    return list(dict.fromkeys(known[name] for name in wanted))
