"""Projects: what resources belong to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import domains, quotas, revocation
from novalite.cloud.identity.group_records import GroupAssignment, holdings
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Assignment, Project, Token, User, new_key
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound


def get(w: Work, project_id: str) -> Project:
    found = w.session.get(Project, project_id)
    if found is None:
        raise NotFound("project", project_id, message=f"Could not find project: {project_id}.")
    return found


def refuse_unknown(w: Work, project_id: str, field: str = "project_id") -> None:
    """Raises ``Invalid`` for what is no project: a word about it would be kept for nobody."""
    if w.session.get(Project, project_id) is None:
        raise Invalid(f"Project ID {project_id[:100]} is not a valid project.", field=field)


FILTERS = {
    "name": Project.name, "domain_id": Project.domain_id, "enabled": Project.enabled,
    "parent_id": Project.parent_id, "id": Project.id,
}  # fmt: skip


def find(w: Work, wanted: dict[str, Any], *, tags: Iterable[str] = ()) -> list[Project]:
    """Projects whose fields equal ``wanted`` (keys of ``FILTERS``) and that carry all of ``tags``."""
    query = sa.select(Project).order_by(Project.name, Project.id)
    query = query.where(*(FILTERS[name] == value for name, value in wanted.items()))
    asked = set(tags)
    return [project for project in w.session.scalars(query) if asked <= set(project.tags)]


def of_user(w: Work, user_id: str) -> list[Project]:
    """The enabled projects a user has a role in."""
    found = holdings(user_id)
    mine = sa.select(found.c.target_id).where(found.c.target_kind == "project")
    return list(
        w.session.scalars(
            sa.select(Project).where(Project.id.in_(mine), Project.enabled.is_(True)).order_by(Project.name)
        )
    )


def _refuse_taken(w: Work, domain_id: str, name: str, but: str = "") -> None:
    taken = sa.select(Project.id).where(Project.domain_id == domain_id, Project.name == name, Project.id != but)
    if w.session.scalar(taken):
        raise Conflict(
            "Conflict occurred attempting to store project - it is not permitted to have two projects with "
            f"the same name in the same domain: {name}."
        )


def create(w: Work, name: str, *, domain_id: str = DEFAULT_DOMAIN, parent_id: str = "", **values: Any) -> Project:
    """``values``: description, enabled, tags, options. Raises ``Conflict`` when the name is taken."""
    domains.get(w, domain_id)
    if parent_id and parent_id != domain_id and get(w, parent_id).domain_id != domain_id:
        raise Invalid("A project and its parent must be in one domain.", field="parent_id")
    _refuse_taken(w, domain_id, name)
    made = Project(
        id=new_key(), name=name, domain_id=domain_id, parent_id=parent_id or domain_id, created_at=w.now,
        **{"tags": [], "options": {}, **values},
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def update(w: Work, project_id: str, values: dict[str, Any]) -> Project:
    """Change ``name``, ``description``, ``enabled``, ``tags``, ``options``; disabling ends its tokens."""
    project = get(w, project_id)
    if "name" in values:
        _refuse_taken(w, project.domain_id, values["name"], project_id)
    for name, value in values.items():
        setattr(project, name, value)
    w.session.flush()
    if not project.enabled:
        revocation.end_tokens(w, Token.scope_kind == "project", Token.scope_id == project_id)
    revocation.announce(w)
    return project


def remove(w: Work, project_id: str) -> None:
    """Forget a project, its roles, its limits and its tokens. What it owns elsewhere stays, reachable for admins."""
    project = get(w, project_id)
    if w.session.scalar(sa.select(Project.id).where(Project.parent_id == project_id).limit(1)):
        raise Forbidden("Cannot delete a project that has children.")
    for record in (Assignment, GroupAssignment):
        w.changed(sa.delete(record).where(record.target_kind == "project", record.target_id == project_id))
    quotas.reset(w, project_id)
    quotas.reset_users(w, project_id)
    w.changed(sa.update(User).where(User.default_project_id == project_id).values(default_project_id=None))
    revocation.end_tokens(w, Token.scope_kind == "project", Token.scope_id == project_id)
    w.session.delete(project)
    w.session.flush()
