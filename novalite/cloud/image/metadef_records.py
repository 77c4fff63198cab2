"""Rows of metadata definitions: what properties of images, flavors and volumes mean, for those who show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base

_Name = sa.String(80)


class MetadefNamespace(Base):
    """Names are unique in the whole cloud; ``owner`` is a project id, ``visibility`` public or private."""

    __tablename__ = "metadef_namespaces"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    namespace: Mapped[str] = mapped_column(_Name, unique=True)
    owner: Mapped[str] = mapped_column(sa.String(64))
    visibility: Mapped[str] = mapped_column(sa.String(16), default="private")
    protected: Mapped[bool] = mapped_column(default=False)
    display_name: Mapped[str | None] = mapped_column(_Name)
    description: Mapped[str | None] = mapped_column(sa.String(500))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class MetadefItem(Base):
    """An object, a property or a tag of a namespace (``kind``); ``body`` is what else is said of it."""

    __tablename__ = "metadef_items"

    namespace_number: Mapped[int] = mapped_column(
        sa.ForeignKey("metadef_namespaces.number", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    name: Mapped[str] = mapped_column(_Name, primary_key=True)
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class MetadefAssociation(Base):
    """A namespace is meant for a type of resource; there, its properties begin with ``prefix``."""

    __tablename__ = "metadef_associations"

    namespace_number: Mapped[int] = mapped_column(
        sa.ForeignKey("metadef_namespaces.number", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(_Name, primary_key=True)
    prefix: Mapped[str | None] = mapped_column(_Name)
    properties_target: Mapped[str | None] = mapped_column(_Name)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
