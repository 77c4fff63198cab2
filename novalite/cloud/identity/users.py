"""Users: who may log in."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import domains, projects, revocation
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Token, User, new_key
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound


def get(w: Work, user_id: str) -> User:
    found = w.session.get(User, user_id)
    if found is None:
        raise NotFound("user", user_id, message=f"Could not find user: {user_id}.")
    return found


FILTERS = {"name": User.name, "domain_id": User.domain_id, "enabled": User.enabled, "id": User.id}


def find(w: Work, wanted: dict[str, Any]) -> list[User]:
    """Users whose fields equal ``wanted`` (keys of ``FILTERS``)."""
    query = sa.select(User).order_by(User.name, User.id)
    return list(w.session.scalars(query.where(*(FILTERS[name] == value for name, value in wanted.items()))))


def _refuse_taken(w: Work, domain_id: str, name: str, but: str = "") -> None:
    if w.session.scalar(sa.select(User.id).where(User.domain_id == domain_id, User.name == name, User.id != but)):
        raise Conflict(f"Conflict occurred attempting to store user - a user named {name} exists.")


def create(w: Work, name: str, *, password_hash: str = "", domain_id: str = DEFAULT_DOMAIN, **values: Any) -> User:
    """``values``: email, description, enabled, default_project_id, options. The hash comes from ``passwords``."""
    domains.get(w, domain_id)
    if values.get("default_project_id"):
        projects.get(w, values["default_project_id"])
    _refuse_taken(w, domain_id, name)
    made = User(
        id=new_key(), name=name, domain_id=domain_id, password_hash=password_hash, created_at=w.now,
        **{"options": {}, **values},
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def update(w: Work, user_id: str, values: dict[str, Any]) -> User:
    """Change fields; a new ``password_hash`` or disabling ends the user's tokens at once."""
    user = get(w, user_id)
    if "name" in values:
        _refuse_taken(w, user.domain_id, values["name"], user_id)
    if values.get("default_project_id"):
        projects.get(w, values["default_project_id"])
    for name, value in values.items():
        setattr(user, name, value)
    w.session.flush()
    if "password_hash" in values or not user.enabled:
        revocation.end_tokens(w, Token.user_id == user_id)
    revocation.announce(w)
    return user


def remove(w: Work, user_id: str) -> None:
    """Forget a user with roles, credentials and tokens."""
    user = get(w, user_id)
    revocation.end_tokens(w, Token.user_id == user_id)
    w.session.delete(user)
    w.session.flush()
