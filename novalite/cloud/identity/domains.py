"""Domains: the namespaces of users and projects."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import quotas, revocation
from novalite.cloud.identity.group_records import Group, GroupAssignment
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Assignment, Domain, Project, Token, User, new_key
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, NotFound


def get(w: Work, domain_id: str) -> Domain:
    found = w.session.get(Domain, domain_id)
    if found is None:
        raise NotFound("domain", domain_id, message=f"Could not find domain: {domain_id}.")
    return found


def find(w: Work, *, name: str | None = None, enabled: bool | None = None) -> list[Domain]:
    query = sa.select(Domain).order_by(Domain.name)
    if name is not None:
        query = query.where(Domain.name == name)
    if enabled is not None:
        query = query.where(Domain.enabled.is_(enabled))
    return list(w.session.scalars(query))


def _refuse_taken(w: Work, name: str, but: str = "") -> None:
    if w.session.scalar(sa.select(Domain.id).where(Domain.name == name, Domain.id != but)):
        raise Conflict(f"Conflict occurred attempting to store domain - a domain named {name} exists.")


def create(w: Work, name: str, *, description: str = "", enabled: bool = True, domain_id: str = "") -> Domain:
    _refuse_taken(w, name)
    made = Domain(id=domain_id or new_key(), name=name, description=description, enabled=enabled, created_at=w.now)
    w.session.add(made)
    w.session.flush()
    return made


def update(w: Work, domain_id: str, values: dict[str, Any]) -> Domain:
    """Change ``name``, ``description``, ``enabled``; disabling ends the tokens of all its users and projects."""
    domain = get(w, domain_id)
    if domain_id == DEFAULT_DOMAIN and values.get("enabled") is False:
        raise Forbidden("The default domain cannot be disabled: nobody could log in to enable it again.")
    if "name" in values:
        _refuse_taken(w, values["name"], domain_id)
    for name, value in values.items():
        setattr(domain, name, value)
    w.session.flush()
    if not domain.enabled:
        _end_tokens(w, domain_id)
    return domain


def _end_tokens(w: Work, domain_id: str) -> None:
    users = sa.select(User.id).where(User.domain_id == domain_id)
    projects = sa.select(Project.id).where(Project.domain_id == domain_id)
    revocation.end_tokens(
        w,
        sa.or_(Token.user_id.in_(users), Token.scope_id.in_(projects), Token.scope_id == domain_id),
    )


def remove(w: Work, domain_id: str) -> None:
    """Forget an empty, disabled domain. Raises ``Forbidden`` otherwise."""
    domain = get(w, domain_id)
    if domain_id == DEFAULT_DOMAIN or domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    for record in (User, Project):
        if w.session.scalar(sa.select(record.id).where(record.domain_id == domain_id).limit(1)):
            raise Forbidden("Cannot delete a domain that still has users or projects.")
    for given in (Assignment, GroupAssignment):
        w.changed(sa.delete(given).where(given.target_kind == "domain", given.target_id == domain_id))
    w.changed(sa.delete(Group).where(Group.domain_id == domain_id))
    quotas.reset(w, quotas.of_domain(domain_id))
    _end_tokens(w, domain_id)
    w.session.delete(domain)
