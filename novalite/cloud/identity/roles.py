"""Roles, what they imply, and who has which on what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import domains, projects, revocation, users
from novalite.cloud.identity.group_records import GroupAssignment, Membership, holdings
from novalite.cloud.identity.records import Assignment, Role, Token, new_key
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, NotFound

BUILT_IN = ("admin", "manager", "member", "reader", "service")
IMPLIES = {"admin": "manager", "manager": "member", "member": "reader"}
SYSTEM = "all"
"""The id of the one system target."""


def with_implied(names: Iterable[str]) -> frozenset[str]:
    """The roles and all that they imply."""
    found: set[str] = set()
    for name in names:
        step: str | None = name
        while step is not None and step not in found:
            found.add(step)
            step = IMPLIES.get(step)
    return frozenset(found)


def get(w: Work, role_id: str) -> Role:
    found = w.session.get(Role, role_id)
    if found is None:
        raise NotFound("role", role_id, message=f"Could not find role: {role_id}.")
    return found


def named(w: Work, name: str) -> Role:
    found = w.session.scalar(sa.select(Role).where(Role.name == name))
    if found is None:
        raise NotFound("role", name, message=f"Could not find role: {name}.")
    return found


def find(w: Work, name: str | None = None) -> list[Role]:
    query = sa.select(Role).order_by(Role.name)
    return list(w.session.scalars(query.where(Role.name == name) if name is not None else query))


def _refuse_taken(w: Work, name: str, but: str = "") -> None:
    if w.session.scalar(sa.select(Role.id).where(Role.name == name, Role.id != but)):
        raise Conflict(f"Conflict occurred attempting to store role - a role named {name} exists.")


def create(w: Work, name: str, **values: Any) -> Role:
    """``values``: description, options."""
    _refuse_taken(w, name)
    made = Role(id=new_key(), name=name, **{"options": {}, **values})
    w.session.add(made)
    w.session.flush()
    return made


def update(w: Work, role_id: str, values: dict[str, Any]) -> Role:
    role = get(w, role_id)
    if "name" in values and values["name"] != role.name:
        _refuse_built_in(role)
        _refuse_taken(w, values["name"], role_id)
    for name, value in values.items():
        setattr(role, name, value)
    w.session.flush()
    revocation.announce(w)
    return role


def _refuse_built_in(role: Role) -> None:
    if role.name in BUILT_IN:
        raise Forbidden(f"The role {role.name} is built in: it cannot be renamed or deleted.")


def remove(w: Work, role_id: str) -> None:
    """Forget a role everywhere; whoever had it is logged out."""
    role = get(w, role_id)
    _refuse_built_in(role)
    holders = sa.select(Assignment.user_id).where(Assignment.role_id == role_id)
    groups = sa.select(GroupAssignment.group_id).where(GroupAssignment.role_id == role_id)
    members = sa.select(Membership.user_id).where(Membership.group_id.in_(groups))
    revocation.end_tokens(w, sa.or_(Token.user_id.in_(holders), Token.user_id.in_(members)))
    w.session.delete(role)
    w.session.flush()


def _check_target(w: Work, user_id: str, kind: str, target_id: str) -> None:
    users.get(w, user_id)
    if kind == "project":
        projects.get(w, target_id)
    elif kind == "domain":
        domains.get(w, target_id)


def grant(w: Work, user_id: str, kind: str, target_id: str, role_id: str) -> None:
    """Give a role; repeating is fine. ``kind`` is project, domain or system."""
    _check_target(w, user_id, kind, target_id)
    get(w, role_id)
    if w.session.get(Assignment, (user_id, kind, target_id, role_id)) is None:
        w.session.add(Assignment(user_id=user_id, target_kind=kind, target_id=target_id, role_id=role_id))
        w.session.flush()
        revocation.announce(w)


def revoke(w: Work, user_id: str, kind: str, target_id: str, role_id: str) -> None:
    """Take a role away and end the tokens that carried it. Raises ``NotFound`` when it was not given."""
    held = check(w, user_id, kind, target_id, role_id)
    w.session.delete(held)
    w.session.flush()
    revocation.end_tokens(w, Token.user_id == user_id, Token.scope_kind == kind, Token.scope_id == target_id)


def check(w: Work, user_id: str, kind: str, target_id: str, role_id: str) -> Assignment:
    """Raises ``NotFound`` when the user does not hold the role there."""
    _check_target(w, user_id, kind, target_id)
    get(w, role_id)
    held = w.session.get(Assignment, (user_id, kind, target_id, role_id))
    if held is None:
        raise NotFound("role assignment", role_id, message=f"Could not find role assignment with role: {role_id}.")
    return held


def held(w: Work, user_id: str, kind: str, target_id: str) -> list[Role]:
    """The roles given there, to the user or to a group that the user is in."""
    mine = holdings(user_id)
    ids = sa.select(mine.c.role_id).where(mine.c.target_kind == kind, mine.c.target_id == target_id)
    return list(w.session.scalars(sa.select(Role).where(Role.id.in_(ids)).order_by(Role.name)))


def held_directly(w: Work, user_id: str, kind: str, target_id: str) -> list[Role]:
    """The roles given to the user alone."""
    ids = sa.select(Assignment.role_id).where(
        Assignment.user_id == user_id, Assignment.target_kind == kind, Assignment.target_id == target_id
    )
    return list(w.session.scalars(sa.select(Role).where(Role.id.in_(ids)).order_by(Role.name)))


def targets(w: Work, user_id: str, kind: str) -> list[str]:
    """The ids of targets of a kind where the user has a role."""
    mine = holdings(user_id)
    query = sa.select(mine.c.target_id).where(mine.c.target_kind == kind).distinct()
    return sorted(w.session.scalars(query))


def effective(w: Work, given: Iterable[Role]) -> list[Role]:
    """The given roles with the implied ones, as records."""
    wanted = with_implied(role.name for role in given)
    return [role for role in find(w) if role.name in wanted]


def assignments(w: Work, wanted: dict[str, str]) -> list[Assignment]:
    """Assignments whose columns equal ``wanted`` (user_id, role_id, target_kind, target_id)."""
    query = sa.select(Assignment).order_by(Assignment.user_id, Assignment.target_kind, Assignment.target_id)
    return list(w.session.scalars(query.filter_by(**wanted)))
