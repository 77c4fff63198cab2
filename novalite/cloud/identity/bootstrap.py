"""What identity needs before anybody can log in."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.identity import domains, passwords, projects, roles, users
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Domain, Project, Role, User
from novalite.db.work import Work

ADMIN = "admin"


def has_admin(w: Work) -> bool:
    """Whether the first user was made already: then no new password is needed."""
    return bool(w.session.scalar(sa.select(User.id).where(User.name == ADMIN, User.domain_id == DEFAULT_DOMAIN)))


def first_admin(w: Work, password: str) -> User:
    """The default domain, the built-in roles, the project and the user ``admin``. Repeating changes nothing,
    the password of an admin who exists included."""
    if w.session.get(Domain, DEFAULT_DOMAIN) is None:
        domains.create(w, "Default", description="The default domain", domain_id=DEFAULT_DOMAIN)
    there = {role.name for role in roles.find(w)}
    for name in roles.BUILT_IN:
        if name not in there:
            roles.create(w, name)
    project = w.session.scalar(
        sa.select(Project).where(Project.name == ADMIN, Project.domain_id == DEFAULT_DOMAIN)
    ) or projects.create(w, ADMIN, description="The first administrator's project")
    user = w.session.scalar(sa.select(User).where(User.name == ADMIN, User.domain_id == DEFAULT_DOMAIN))
    if user is None:
        user = users.create(w, ADMIN, password_hash=passwords.make_hash(password), default_project_id=project.id)
        _grant_all(w, user, project)
    return user


def _grant_all(w: Work, user: User, project: Project) -> None:
    by_name: dict[str, Role] = {role.name: role for role in roles.find(w)}
    for name in ("admin", "member", "reader"):
        roles.grant(w, user.id, "project", project.id, by_name[name].id)
    roles.grant(w, user.id, "system", roles.SYSTEM, by_name["admin"].id)
