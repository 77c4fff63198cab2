"""Groups of users: who is in them, and the roles that all of them have by that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import domains, projects, revocation, roles, users
from novalite.cloud.identity.group_records import Group, GroupAssignment, Membership
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Role, Token, User, new_key
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound


def get(w: Work, group_id: str) -> Group:
    found = w.session.get(Group, group_id)
    if found is None:
        raise NotFound("group", group_id, message=f"Could not find group: {group_id}.")
    return found


def find(w: Work, wanted: Mapping[str, str], *, user_id: str = "") -> list[Group]:
    """Groups whose columns equal ``wanted`` (name, domain_id); those of one user where one is named."""
    query = sa.select(Group).order_by(Group.name, Group.id).filter_by(**wanted)
    if user_id:
        query = query.join(Membership, Membership.group_id == Group.id).where(Membership.user_id == user_id)
    return list(w.session.scalars(query))


def create(w: Work, name: str, *, domain_id: str = DEFAULT_DOMAIN, description: str = "") -> Group:
    """Raises ``NotFound`` for the domain, ``Conflict`` for a name that is taken there."""
    domains.get(w, domain_id)
    _refuse_taken(w, name, domain_id)
    made = Group(id=new_key(), name=name, domain_id=domain_id, description=description)
    w.session.add(made)
    w.session.flush()
    return made


def update(w: Work, group_id: str, values: Mapping[str, Any]) -> Group:
    """Change ``name`` and ``description``."""
    group = get(w, group_id)
    if "name" in values:
        _refuse_taken(w, values["name"], group.domain_id, group_id)
    for name, value in values.items():
        setattr(group, name, value)
    w.session.flush()
    return group


def _refuse_taken(w: Work, name: str, domain_id: str, but: str = "") -> None:
    taken = sa.select(Group.id).where(Group.name == name, Group.domain_id == domain_id, Group.id != but)
    if w.session.scalar(taken):
        raise Conflict(f"Conflict occurred attempting to store group - Duplicate entry found with name {name}.")


def remove(w: Work, group_id: str) -> None:
    """Forget a group; its members lose what they had by it."""
    group = get(w, group_id)
    _end_tokens(w, group_id)
    w.session.delete(group)
    w.session.flush()


def _end_tokens(w: Work, group_id: str, *where: sa.ColumnElement[bool]) -> None:
    members = sa.select(Membership.user_id).where(Membership.group_id == group_id)
    revocation.end_tokens(w, Token.user_id.in_(members), *where)


def add_user(w: Work, group_id: str, user_id: str) -> None:
    """Repeating is fine."""
    get(w, group_id)
    users.get(w, user_id)
    if w.session.get(Membership, (group_id, user_id)) is None:
        w.session.add(Membership(group_id=group_id, user_id=user_id))
        w.session.flush()
        revocation.announce(w)


def check_user(w: Work, group_id: str, user_id: str) -> Membership:
    """Raises ``NotFound`` when the user is not in the group."""
    get(w, group_id)
    users.get(w, user_id)
    found = w.session.get(Membership, (group_id, user_id))
    if found is None:
        raise NotFound("user", user_id, message=f"User {user_id} is not found in group {group_id}.")
    return found


def remove_user(w: Work, group_id: str, user_id: str) -> None:
    """Take a user out and end the user's tokens. Raises as ``check_user``."""
    w.session.delete(check_user(w, group_id, user_id))
    w.session.flush()
    revocation.end_tokens(w, Token.user_id == user_id)


def members(w: Work, group_id: str) -> list[User]:
    get(w, group_id)
    query = sa.select(User).join(Membership, Membership.user_id == User.id).where(Membership.group_id == group_id)
    return list(w.session.scalars(query.order_by(User.name, User.id)))


def _check_target(w: Work, group_id: str, kind: str, target_id: str) -> None:
    get(w, group_id)
    if kind == "project":
        projects.get(w, target_id)
    elif kind == "domain":
        domains.get(w, target_id)


def grant(w: Work, group_id: str, kind: str, target_id: str, role_id: str) -> None:
    """Give a role to all members; repeating is fine. ``kind`` is project, domain or system."""
    _check_target(w, group_id, kind, target_id)
    roles.get(w, role_id)
    if w.session.get(GroupAssignment, (group_id, kind, target_id, role_id)) is None:
        w.session.add(GroupAssignment(group_id=group_id, target_kind=kind, target_id=target_id, role_id=role_id))
        w.session.flush()
        revocation.announce(w)


def revoke(w: Work, group_id: str, kind: str, target_id: str, role_id: str) -> None:
    """Take a role away and end the members' tokens that carried it. Raises as ``check``."""
    w.session.delete(check(w, group_id, kind, target_id, role_id))
    w.session.flush()
    _end_tokens(w, group_id, Token.scope_kind == kind, Token.scope_id == target_id)


def check(w: Work, group_id: str, kind: str, target_id: str, role_id: str) -> GroupAssignment:
    """Raises ``NotFound`` when the group does not hold the role there."""
    _check_target(w, group_id, kind, target_id)
    roles.get(w, role_id)
    found = w.session.get(GroupAssignment, (group_id, kind, target_id, role_id))
    if found is None:
        raise NotFound("role assignment", role_id, message=f"Could not find role assignment with role: {role_id}.")
    return found


def held(w: Work, group_id: str, kind: str, target_id: str) -> list[Role]:
    """The roles given to the group there."""
    _check_target(w, group_id, kind, target_id)
    ids = sa.select(GroupAssignment.role_id).where(
        GroupAssignment.group_id == group_id, GroupAssignment.target_kind == kind,
        GroupAssignment.target_id == target_id,
    )  # fmt: skip
    return list(w.session.scalars(sa.select(Role).where(Role.id.in_(ids)).order_by(Role.name)))


def assignments(w: Work, wanted: Mapping[str, str]) -> list[GroupAssignment]:
    """Those whose columns equal ``wanted`` (group_id, role_id, target_kind, target_id)."""
    query = sa.select(GroupAssignment).order_by(
        GroupAssignment.group_id, GroupAssignment.target_kind, GroupAssignment.target_id
    )
    return list(w.session.scalars(query.filter_by(**wanted)))


def ids_of_members(w: Work, group_ids: set[str]) -> dict[str, list[str]]:
    """User ids by group."""
    found: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
    query = sa.select(Membership).where(Membership.group_id.in_(group_ids)).order_by(Membership.user_id)
    for row in w.session.scalars(query):
        found[row.group_id].append(row.user_id)
    return found
