"""SSH key pairs of users. Private keys are never kept."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.paging import Page, page_of
from novalite.db.records import Base
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound, OverQuota


class Keypair(Base):
    """``type`` is ssh or x509; ``public_key`` the key in its usual text form."""

    __tablename__ = "keypairs"
    __table_args__ = (sa.UniqueConstraint("user_id", "name"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str]
    type: Mapped[str] = mapped_column(sa.String(16), default="ssh")
    public_key: Mapped[str] = mapped_column(sa.Text)
    fingerprint: Mapped[str]
    created_at: Mapped[datetime]


def get(w: Work, name: str, *, user_id: str = "") -> Keypair:
    """A key pair of ``user_id`` (default: the caller)."""
    owner = user_id or w.ctx.user_id
    pair = w.session.scalar(sa.select(Keypair).where(Keypair.user_id == owner, Keypair.name == name))
    if pair is None:
        raise NotFound("keypair", name, message=f"Keypair {name} not found for user {owner}")
    return pair


def list_of(w: Work, page: Page, *, user_id: str = "") -> list[Keypair]:
    """A page of a user's key pairs by name; the marker is a name."""
    mine = Keypair.user_id == (user_id or w.ctx.user_id)
    return page_of(
        w, sa.select(Keypair).where(mine), Keypair, page, {"name": Keypair.name}, default=("name",),
        identity=Keypair.name, visible=mine,
    )  # fmt: skip


def add(w: Work, *, name: str, type: str, public_key: str, fingerprint: str, limit: int, user_id: str = "") -> Keypair:
    """Keep a public key. Raises ``Conflict`` for a taken name, ``OverQuota`` beyond ``limit`` (-1: none)."""
    owner = user_id or w.ctx.user_id
    names = set(w.session.scalars(sa.select(Keypair.name).where(Keypair.user_id == owner)))
    if name in names:
        raise Conflict(f"Key pair '{name}' already exists.", code="keypair.exists")
    if 0 <= limit <= len(names):
        raise OverQuota(
            "key_pairs", limit=limit, used=len(names), asked=1, message="Quota exceeded, too many key pairs."
        )
    pair = Keypair(
        user_id=owner, name=name, type=type, public_key=public_key, fingerprint=fingerprint, created_at=w.now
    )
    w.session.add(pair)
    w.session.flush()
    return pair


def remove(w: Work, name: str, *, user_id: str = "") -> None:
    w.session.delete(get(w, name, user_id=user_id))
