"""What RBAC policies mean: which objects of others a project sees, and which it may use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from novalite.cloud.network.rbac_records import EVERYBODY, RbacPolicy
from novalite.context import Context
from novalite.db.work import Work

SHARED, EXTERNAL = "access_as_shared", "access_as_external"


def granted(ctx: Context, object_id: Any, *actions: str) -> sa.ColumnElement[bool]:
    """Whether an RBAC policy gives the caller's project the object; ``actions`` empty: in any way."""
    return granted_to(ctx.project_id, object_id, *actions)


def granted_to(project_id: str, object_id: Any, *actions: str) -> sa.ColumnElement[bool]:
    """The same for any project."""
    found = sa.exists().where(RbacPolicy.object_id == object_id, RbacPolicy.target_project.in_((EVERYBODY, project_id)))
    return found.where(RbacPolicy.action.in_(actions)) if actions else found


def visible(w: Work, record: Any) -> sa.ColumnElement[bool]:
    """Whether the caller may see a row of ``record``: its own, what is granted; an administrator sees all."""
    if w.ctx.is_admin:
        return sa.true()
    return sa.or_(record.project_id == w.ctx.project_id, granted(w.ctx, record.id))


def is_shared(grants: Iterable[RbacPolicy], ctx: Context) -> bool:
    """Whether an object with these ``grants`` is shared with the caller's project."""
    return any(grant.action == SHARED and grant.target_project in (EVERYBODY, ctx.project_id) for grant in grants)


def open_to_all(w: Work, kind: str, object_id: str, project_id: str, action: str = SHARED) -> None:
    """Let every project use the object; repeating it is allowed."""
    known = sa.select(RbacPolicy.id).where(*_to_all(object_id, action))
    if w.session.scalar(known) is None:
        w.session.add(
            RbacPolicy(
                project_id=project_id, object_type=kind, object_id=object_id, action=action,
                target_project=EVERYBODY, created_at=w.now,
            )
        )  # fmt: skip
        w.session.flush()


def close(w: Work, object_id: str, action: str = SHARED, *, everybody_only: bool = True) -> None:
    """The other way round; policies that name projects stay when only everybody's is meant."""
    which = (RbacPolicy.object_id == object_id, RbacPolicy.action == action)
    w.changed(sa.delete(RbacPolicy).where(*(_to_all(object_id, action) if everybody_only else which)))


def _to_all(object_id: str, action: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        RbacPolicy.object_id == object_id, RbacPolicy.action == action, RbacPolicy.target_project == EVERYBODY,
    )  # fmt: skip


def forget(w: Work, object_id: str) -> None:
    """The object is going: nobody has anything of it any more."""
    w.changed(sa.delete(RbacPolicy).where(RbacPolicy.object_id == object_id))
