"""Logging in: from a name and a password, a credential or a token to a new token.

Hashes are checked between units of work, never inside one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from novalite import settings
from novalite.cloud.identity import passwords, projects, roles, tokens, trusts
from novalite.cloud.identity.limiter import LoginLimiter
from novalite.cloud.identity.records import ApplicationCredential, Domain, Project, User
from novalite.cloud.identity.tokens import NO_TOKEN, Grant, Scope
from novalite.context import Context
from novalite.db.work import Database, Work
from novalite.errors import Forbidden, Unauthenticated


@dataclass(frozen=True)
class Named:
    """A user, project or credential as a request names it: by ``id``, or by ``name`` in a domain."""

    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""


@dataclass(frozen=True)
class Proof:
    """Who has proved to be whom: what a new token may at most be. ``until`` caps its life."""

    user_id: str
    methods: tuple[str, ...]
    until: datetime | None = None
    credential_id: str | None = None
    project_id: str = ""


@dataclass(frozen=True)
class Wish:
    """The scope asked for. ``kind`` is project, domain, system, trust, unscoped, or empty: the user's own project."""

    kind: str = ""
    target: Named = Named()


class Logins:
    """Proves users and issues tokens. One per appliance: it holds the limiter."""

    def __init__(self, database: Database, options: settings.Identity) -> None:
        self._database, self._options = database, options
        self._limiter = LoginLimiter(options.lockout_failures, options.lockout_seconds)

    def password(self, who: Named, password: str) -> Proof:
        """Raises ``Unauthenticated``, after equal time and in equal words for wrong names and passwords."""
        with self._database.read(Context()) as w:
            user = _user(w, who)
            user_id, password_hash = (user.id, user.password_hash) if user else ("", "")
        name = f"{who.domain_id or who.domain_name}/{who.id or who.name}".casefold()[:512]
        self._check(name, password_hash, password)
        return Proof(user_id, ("password",))

    def credential(self, which: Named, owner: Named, secret: str) -> Proof:
        """An application credential by id, or by its name and its user."""
        with self._database.read(Context()) as w:
            found = _credential(w, which, owner)
            secret_hash = found.secret_hash if found else ""
            proof = Proof("", ())
            if found is not None:
                until, project_id = found.expires_at, found.project_id
                proof = Proof(found.user_id, ("application_credential",), until, found.id, project_id)
        self._check(f"credential/{which.id or which.name}", secret_hash, secret)
        return proof

    def token(self, token: str) -> Proof:
        """A living token; the new one ends no later, and a credential's token stays with its project."""
        with self._database.read(Context()) as w:
            grant = tokens.resolve(w, token)
            if grant.trust is not None:
                raise Forbidden("A token of a trust gives no other token.")
            methods = tuple(dict.fromkeys((*grant.token.methods, "token")))
            proof = Proof(grant.user.id, methods, grant.token.expires_at)
            if grant.credential is not None:
                credential = grant.credential
                proof = replace(proof, credential_id=credential.id, project_id=credential.project_id)
        return proof

    def _check(self, name: str, secret_hash: str, secret: str) -> None:
        if self._limiter.waits(name):
            raise Unauthenticated("Too many failed logins; wait a while and try again.", code="auth.waiting")
        if not passwords.matches(secret_hash, secret):
            self._limiter.failed(name)
            raise Unauthenticated(NO_TOKEN)
        self._limiter.succeeded(name)

    def issue(self, proof: Proof, wish: Wish, ctx: Context) -> tuple[str, Grant]:
        """A token for the scope wished for. Raises ``Unauthenticated`` when the user has no role there."""
        with self._database.write(ctx) as w:
            user = w.session.get(User, proof.user_id)
            if user is None or not user.enabled:
                raise Unauthenticated(NO_TOKEN)
            if wish.kind == "trust":
                return self._issue_by_trust(w, user, wish.target.id, proof)
            scope = _scope(w, user, wish, proof)
            token = tokens.issue(
                w, user, scope, methods=proof.methods, seconds=self._options.token_seconds, until=proof.until,
                credential_id=proof.credential_id,
            )  # fmt: skip
            return token, tokens.resolve(w, token)

    def _issue_by_trust(self, w: Work, trustee: User, trust_id: str, proof: Proof) -> tuple[str, Grant]:
        """Raises ``Forbidden`` for a trust that is not the trustee's or gives no more."""
        if proof.credential_id is not None:
            raise Unauthenticated(NO_TOKEN)
        trust = trusts.use(w, trust_id, trustee.id)
        user = w.session.get(User, trust.trustor_user_id) if trust.impersonation else trustee
        ends = [moment for moment in (proof.until, trust.expires_at) if moment is not None]
        token = tokens.issue(
            w, user or trustee, Scope("project", trust.project_id), methods=proof.methods,
            seconds=self._options.token_seconds, until=min(ends, default=None), trust_id=trust.id,
        )  # fmt: skip
        return token, tokens.resolve(w, token)

    def log_in(self, name: str, password: str, ctx: Context, *, domain_name: str = "Default") -> tuple[str, Grant]:
        """For people: name and password to a token in the user's own project."""
        proof = self.password(Named(name=name, domain_name=domain_name), password)
        return self.issue(proof, Wish(), ctx)


def _domain_is(column: InstrumentedAttribute[str], named: Named) -> sa.ColumnElement[bool]:
    if named.domain_id:
        return column == named.domain_id
    return column.in_(sa.select(Domain.id).where(Domain.name == named.domain_name))


def _user(w: Work, who: Named) -> User | None:
    if who.id:
        query = sa.select(User).where(User.id == who.id)
    else:
        query = sa.select(User).where(User.name == who.name, _domain_is(User.domain_id, who))
    return w.session.scalar(query.where(User.enabled.is_(True)))


def _credential(w: Work, which: Named, owner: Named) -> ApplicationCredential | None:
    if which.id:
        return w.session.get(ApplicationCredential, which.id)
    user = _user(w, owner)
    return w.session.scalar(
        sa.select(ApplicationCredential).where(
            ApplicationCredential.user_id == (user.id if user else ""), ApplicationCredential.name == which.name
        )
    )


def _scope(w: Work, user: User, wish: Wish, proof: Proof) -> Scope:
    if proof.project_id:
        wanted = _project_id(w, wish.target) if wish.kind == "project" else proof.project_id
        if wanted != proof.project_id or wish.kind not in ("", "project"):
            raise Unauthenticated(NO_TOKEN)
        return Scope("project", proof.project_id)
    if wish.kind == "project":
        return Scope("project", _project_id(w, wish.target))
    if wish.kind == "domain":
        return Scope("domain", _domain_id(w, wish.target))
    if wish.kind == "system":
        return Scope("system", roles.SYSTEM)
    if wish.kind == "unscoped":
        return Scope()
    return _own_scope(w, user)


def _own_scope(w: Work, user: User) -> Scope:
    mine = [project.id for project in projects.of_user(w, user.id)]
    return Scope("project", user.default_project_id) if user.default_project_id in mine else Scope()


def _project_id(w: Work, named: Named) -> str:
    query = sa.select(Project.id)
    if named.id:
        query = query.where(Project.id == named.id)
    else:
        query = query.where(Project.name == named.name, _domain_is(Project.domain_id, named))
    found = w.session.scalar(query)
    if found is None:
        raise Unauthenticated(NO_TOKEN)
    return found


def _domain_id(w: Work, named: Named) -> str:
    query = sa.select(Domain.id).where(Domain.id == named.id if named.id else Domain.name == named.name)
    found = w.session.scalar(query)
    if found is None:
        raise Unauthenticated(NO_TOKEN)
    return found
