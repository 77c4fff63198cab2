"""Texts of rules that other services once fetched from here. They are kept, and decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.identity.records import Key, new_key
from novalite.db.records import Base
from novalite.db.work import Work
from novalite.errors import NotFound


class PolicyBlob(Base):
    """``type`` is the media type of ``blob``."""

    __tablename__ = "policy_blobs"

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    type: Mapped[str]
    blob: Mapped[str] = mapped_column(sa.Text)


def get(w: Work, policy_id: str) -> PolicyBlob:
    found = w.session.get(PolicyBlob, policy_id)
    if found is None:
        raise NotFound("policy", policy_id, message=f"Could not find policy: {policy_id}.")
    return found


def find(w: Work, type: str | None = None) -> list[PolicyBlob]:
    query = sa.select(PolicyBlob).order_by(PolicyBlob.id)
    return list(w.session.scalars(query if type is None else query.where(PolicyBlob.type == type)))


def create(w: Work, *, type: str, blob: str) -> PolicyBlob:
    made = PolicyBlob(id=new_key(), type=type, blob=blob)
    w.session.add(made)
    w.session.flush()
    return made


def change(w: Work, policy_id: str, values: Mapping[str, Any]) -> PolicyBlob:
    """``values``: type, blob."""
    found = get(w, policy_id)
    for name, value in values.items():
        setattr(found, name, value)
    w.session.flush()
    return found


def remove(w: Work, policy_id: str) -> None:
    w.session.delete(get(w, policy_id))
    w.session.flush()
