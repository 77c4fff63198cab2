"""Tokens: opaque, random, stored only as a hash, ended by a delete of their row."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from novalite.cloud.identity import revocation, roles, trusts
from novalite.cloud.identity.records import ApplicationCredential, Domain, Project, Role, Token, User
from novalite.cloud.identity.trusts import Trust
from novalite.context import Context
from novalite.db.work import Work
from novalite.errors import NotFound, Unauthenticated

NO_TOKEN = "The request you have made requires authentication."  # noqa: S105 - a message


@dataclass(frozen=True)
class Scope:
    """``kind`` is empty (unscoped), project, domain or system; the system's id is ``all``."""

    kind: str = ""
    id: str = ""


@dataclass(frozen=True)
class Grant:
    """Everything behind a living token. ``roles`` are as records, implied ones included."""

    ctx: Context
    token: Token
    user: User
    user_domain: Domain
    project: Project | None
    domain: Domain | None
    roles: tuple[Role, ...]
    credential: ApplicationCredential | None = None
    trust: Trust | None = None


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def issue(
    w: Work,
    user: User,
    scope: Scope,
    *,
    methods: tuple[str, ...],
    seconds: int,
    until: datetime | None = None,
    credential_id: str | None = None,
    trust_id: str | None = None,
) -> str:
    """A new token, good for ``seconds`` (at most ``until``); the user's expired ones go.
    Raises ``Unauthenticated`` without a role there."""
    w.changed(sa.delete(Token).where(Token.user_id == user.id, Token.expires_at <= w.now))
    expires_at = w.now + timedelta(seconds=seconds)
    token = secrets.token_urlsafe(32)
    w.session.add(
        Token(
            token_hash=hash_of(token), user_id=user.id, scope_kind=scope.kind, scope_id=scope.id,
            methods=list(methods), audit_id=secrets.token_urlsafe(16), credential_id=credential_id,
            trust_id=trust_id,
            issued_at=w.now, expires_at=min(expires_at, until) if until else expires_at,
        )
    )  # fmt: skip
    w.session.flush()
    resolve(w, token)
    return token


def resolve(w: Work, token: str) -> Grant:
    """What the token stands for now. Raises ``Unauthenticated`` when it, its user, its scope or its last
    role is gone."""
    row = w.session.execute(
        sa.select(Token, User, Domain)
        .join(User, User.id == Token.user_id)
        .join(Domain, Domain.id == User.domain_id)
        .where(
            Token.token_hash == hash_of(token), Token.expires_at > w.now, User.enabled.is_(True),
            Domain.enabled.is_(True),
        )
    ).first()  # fmt: skip
    if row is None:
        raise Unauthenticated(NO_TOKEN)
    found, user, user_domain = row
    project, domain = _scope_records(w, found)
    credential = w.session.get(ApplicationCredential, found.credential_id) if found.credential_id else None
    trust = trusts.living(w, found.trust_id) if found.trust_id else None
    if found.trust_id:
        given = trusts.carried(w, trust) if trust is not None else []
    else:
        given = roles.held(w, user.id, found.scope_kind, found.scope_id) if found.scope_kind else []
    if credential is not None:
        given = _limited(w, given, credential, w.now)
    if found.scope_kind and not given:
        raise Unauthenticated(NO_TOKEN)
    everything = tuple(roles.effective(w, given)) if given else ()
    ctx = Context(
        user_id=user.id, user_name=user.name, project_id=project.id if project else "",
        project_name=project.name if project else "", roles=frozenset(role.name for role in everything),
        system=found.scope_kind == "system", request_id=w.ctx.request_id,
    )  # fmt: skip
    return Grant(ctx, found, user, user_domain, project, domain, everything, credential, trust)


def _limited(w: Work, given: list[Role], credential: ApplicationCredential, now: datetime) -> list[Role]:
    if credential.expires_at is not None and credential.expires_at <= now:
        return []
    return [role for role in roles.effective(w, given) if role.id in credential.role_ids]


def _scope_records(w: Work, token: Token) -> tuple[Project | None, Domain | None]:
    """The project and its domain, or the domain. Raises ``Unauthenticated`` when one is gone or disabled."""
    project = w.session.get(Project, token.scope_id) if token.scope_kind == "project" else None
    domain_id = project.domain_id if project else token.scope_id
    domain = w.session.get(Domain, domain_id) if token.scope_kind in ("project", "domain") else None
    lost_project = token.scope_kind == "project" and (project is None or not project.enabled)
    lost_domain = token.scope_kind in ("project", "domain") and (domain is None or not domain.enabled)
    if lost_project or lost_domain:
        raise Unauthenticated(NO_TOKEN)
    return project, domain


def authenticate(w: Work, token: str) -> Context:
    """Who the token stands for. Raises ``Unauthenticated``."""
    return resolve(w, token).ctx


def end(w: Work, token: str) -> None:
    """Revoke one token. Raises ``NotFound`` when there is none."""
    if not revocation.end_tokens(w, Token.token_hash == hash_of(token)):
        raise NotFound("token", "given", message="Could not find token.")


def prune(w: Work) -> int:
    """Forget tokens that have expired; how many there were."""
    return w.changed(sa.delete(Token).where(Token.expires_at <= w.now))
