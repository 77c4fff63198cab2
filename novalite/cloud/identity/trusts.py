"""Trusts: a user lets another act with some of the own roles in a project, in the own name or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.identity import projects, revocation, roles, users
from novalite.cloud.identity.records import Key, Role, Token, User, new_key
from novalite.db.records import Base
from novalite.db.work import Work
from novalite.errors import Forbidden, Invalid, NotFound


class Trust(Base):
    """``impersonation``: tokens are the trustor's and not the trustee's. ``remaining_uses`` is how many tokens it
    still gives; None is no bound."""

    __tablename__ = "trusts"
    __table_args__ = (
        sa.Index("ix_trusts_trustor", "trustor_user_id"),
        sa.Index("ix_trusts_trustee", "trustee_user_id"),
    )

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    trustor_user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    trustee_user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    impersonation: Mapped[bool]
    role_ids: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    remaining_uses: Mapped[int | None]
    created_at: Mapped[datetime]


@dataclass(frozen=True)
class NewTrust:
    """``role_ids`` are what the trustee gets; the trustor must hold each of them in the project."""

    trustor_user_id: str
    trustee_user_id: str
    project_id: str
    impersonation: bool
    role_ids: tuple[str, ...]
    expires_at: datetime | None = None
    remaining_uses: int | None = None


def _missing(trust_id: str) -> NotFound:
    return NotFound("trust", trust_id, message=f"Could not find trust: {trust_id}.")


def get(w: Work, trust_id: str) -> Trust:
    """Raises ``NotFound`` also for one that has expired or given all its tokens."""
    found = w.session.get(Trust, trust_id)
    if found is None or (found.expires_at is not None and found.expires_at <= w.now) or found.remaining_uses == 0:
        raise _missing(trust_id)
    return found


def find(w: Work, *, trustor_user_id: str = "", trustee_user_id: str = "") -> list[Trust]:
    """Those that still hold, of a trustor or of a trustee; all of them when neither is named."""
    query = sa.select(Trust).where(
        sa.or_(Trust.expires_at.is_(None), Trust.expires_at > w.now),
        sa.or_(Trust.remaining_uses.is_(None), Trust.remaining_uses > 0),
    )  # fmt: skip
    if trustor_user_id:
        query = query.where(Trust.trustor_user_id == trustor_user_id)
    if trustee_user_id:
        query = query.where(Trust.trustee_user_id == trustee_user_id)
    return list(w.session.scalars(query.order_by(Trust.created_at, Trust.id)))


def create(w: Work, new: NewTrust) -> Trust:
    """Raises ``NotFound`` for the trustee or the project, ``Forbidden`` for roles the trustor lacks there, and
    ``Invalid`` for a time that has passed."""
    users.get(w, new.trustee_user_id)
    projects.get(w, new.project_id)
    if not new.role_ids:
        raise Forbidden("At least one role should be specified.")
    held = {role.id for role in _held(w, new.trustor_user_id, new.project_id)}
    if not set(new.role_ids) <= held:
        raise Forbidden("A trust gives no roles that its maker lacks in the project.")
    if new.expires_at is not None and new.expires_at <= w.now:
        raise Invalid("The trust would have expired already.", field="expires_at")
    w.changed(sa.delete(Trust).where(Trust.expires_at <= w.now))
    made = Trust(
        id=new_key(), trustor_user_id=new.trustor_user_id, trustee_user_id=new.trustee_user_id,
        project_id=new.project_id, impersonation=new.impersonation, role_ids=sorted(set(new.role_ids)),
        expires_at=new.expires_at, remaining_uses=new.remaining_uses, created_at=w.now,
    )  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def remove(w: Work, trust_id: str) -> None:
    """Forget a trust; its tokens end."""
    found = get(w, trust_id)
    revocation.end_tokens(w, Token.trust_id == trust_id)
    w.session.delete(found)
    w.session.flush()


def given(w: Work, trust: Trust) -> list[Role]:
    """The roles of the trust, as records."""
    return list(w.session.scalars(sa.select(Role).where(Role.id.in_(trust.role_ids)).order_by(Role.name)))


def carried(w: Work, trust: Trust) -> list[Role]:
    """What of the trust's roles the trustor still holds: all that its tokens carry. None when either of the two
    users is disabled."""
    both = sa.select(User.id).where(User.id.in_((trust.trustor_user_id, trust.trustee_user_id)), User.enabled)
    if len(set(w.session.scalars(both))) < len({trust.trustor_user_id, trust.trustee_user_id}):
        return []
    return [role for role in _held(w, trust.trustor_user_id, trust.project_id) if role.id in trust.role_ids]


def living(w: Work, trust_id: str) -> Trust | None:
    """What a token of the trust may go on with: also one that has given its last token."""
    found = w.session.get(Trust, trust_id)
    return None if found is None or (found.expires_at is not None and found.expires_at <= w.now) else found


def use(w: Work, trust_id: str, trustee_user_id: str) -> Trust:
    """The trust for one more token of the trustee. Raises ``Forbidden`` for everybody else, and when it has given
    its last: counted by a guarded update, so that racing logins never get more."""
    found = w.session.get(Trust, trust_id)
    if found is None or found.trustee_user_id != trustee_user_id:
        raise Forbidden("This trust is none of yours.")
    left = sa.or_(Trust.remaining_uses.is_(None), Trust.remaining_uses > 0)
    unexpired = sa.or_(Trust.expires_at.is_(None), Trust.expires_at > w.now)
    one_less = sa.update(Trust).where(Trust.id == trust_id, left, unexpired)
    if not w.changed(one_less.values(remaining_uses=Trust.remaining_uses - 1)):
        raise Forbidden("This trust gives no more tokens.")
    w.session.refresh(found)
    return found


def _held(w: Work, user_id: str, project_id: str) -> list[Role]:
    return roles.effective(w, roles.held(w, user_id, "project", project_id))
