"""Application credentials: passwords for programs, in one project, with some of their maker's roles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from novalite.cloud.identity import revocation, roles
from novalite.cloud.identity.records import ApplicationCredential, Token, new_key
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class NewCredential:
    """``role_ids`` empty takes all roles of the maker's token. ``secret_hash`` comes from ``passwords``."""

    name: str
    secret_hash: str
    description: str | None = None
    role_ids: tuple[str, ...] = ()
    expires_at: datetime | None = None
    unrestricted: bool = False


def get(w: Work, user_id: str, credential_id: str) -> ApplicationCredential:
    found = w.session.get(ApplicationCredential, credential_id)
    if found is None or found.user_id != user_id:
        raise NotFound(
            "application credential", credential_id,
            message=f"Could not find Application Credential: {credential_id}.",
        )  # fmt: skip
    return found


def find(w: Work, user_id: str, name: str | None = None) -> list[ApplicationCredential]:
    query = sa.select(ApplicationCredential).where(ApplicationCredential.user_id == user_id)
    if name is not None:
        query = query.where(ApplicationCredential.name == name)
    return list(w.session.scalars(query.order_by(ApplicationCredential.name)))


def create(w: Work, new: NewCredential) -> ApplicationCredential:
    """For the caller, in the caller's project. Raises ``Invalid`` for roles the caller lacks there."""
    if not w.ctx.project_id:
        raise Invalid("An application credential needs a token scoped to a project.", field="project_id")
    mine = roles.effective(w, roles.held(w, w.ctx.user_id, "project", w.ctx.project_id))
    allowed = {role.id for role in mine if role.name in w.ctx.roles}
    wanted = set(new.role_ids) or allowed
    if not wanted <= allowed:
        raise Invalid("A credential cannot have roles that its maker lacks in this project.", field="roles")
    if new.expires_at is not None and new.expires_at <= w.now:
        raise Invalid("The credential would have expired already.", field="expires_at")
    if find(w, w.ctx.user_id, new.name):
        raise Conflict(f"An application credential named {new.name} exists.")
    made = ApplicationCredential(
        id=new_key(), user_id=w.ctx.user_id, project_id=w.ctx.project_id, name=new.name,
        description=new.description, secret_hash=new.secret_hash, role_ids=sorted(wanted),
        unrestricted=new.unrestricted, expires_at=new.expires_at, created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def remove(w: Work, user_id: str, credential_id: str) -> None:
    """Forget it; its tokens end."""
    credential = get(w, user_id, credential_id)
    revocation.end_tokens(w, Token.credential_id == credential_id)
    w.session.delete(credential)
    w.session.flush()
