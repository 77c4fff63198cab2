"""The records of identity: who there is, what they may, and how they prove it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base

DEFAULT_DOMAIN = "default"
Key = sa.String(64)


def new_key() -> str:
    """A random id of 32 hex digits, as identity's ids are everywhere."""
    return uuid4().hex


class Domain(Base):
    __tablename__ = "domains"

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(sa.Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class Project(Base):
    __tablename__ = "projects"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(sa.Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    parent_id: Mapped[str] = mapped_column(Key)
    tags: Mapped[list[str]] = mapped_column(default=list)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


class User(Base):
    """``password_hash`` is Argon2; empty for users who cannot log in with a password."""

    __tablename__ = "users"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str]
    password_hash: Mapped[str] = mapped_column(default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    email: Mapped[str | None]
    description: Mapped[str | None] = mapped_column(sa.Text)
    default_project_id: Mapped[str | None] = mapped_column(Key)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


class Role(Base):
    __tablename__ = "roles"

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None] = mapped_column(sa.Text)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Assignment(Base):
    """A role of a user on a target. ``target_kind`` is project, domain or system; the system's id is ``all``."""

    __tablename__ = "role_assignments"
    __table_args__ = (sa.Index("ix_role_assignments_target", "target_kind", "target_id"),)

    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    target_kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    target_id: Mapped[str] = mapped_column(Key, primary_key=True)
    role_id: Mapped[str] = mapped_column(sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)


class Token(Base):
    """``token_hash`` is SHA-256 in hex: the token itself is told once. ``scope_kind`` is empty (unscoped),
    project, domain or system. A credential's token never has more than the credential's roles, one of a trust
    never more than the trust's."""

    __tablename__ = "tokens"
    __table_args__ = (sa.Index("ix_tokens_user_id", "user_id"), sa.Index("ix_tokens_expires_at", "expires_at"))

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    scope_kind: Mapped[str] = mapped_column(sa.String(16), default="")
    scope_id: Mapped[str] = mapped_column(Key, default="")
    methods: Mapped[list[str]]
    audit_id: Mapped[str] = mapped_column(sa.String(32))
    credential_id: Mapped[str | None] = mapped_column(sa.ForeignKey("application_credentials.id", ondelete="CASCADE"))
    trust_id: Mapped[str | None] = mapped_column(Key)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class ApplicationCredential(Base):
    """A password for a program: one project, some of its maker's roles. ``secret_hash`` is Argon2."""

    __tablename__ = "application_credentials"
    __table_args__ = (sa.UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column(sa.Text)
    secret_hash: Mapped[str]
    role_ids: Mapped[list[str]]
    unrestricted: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
