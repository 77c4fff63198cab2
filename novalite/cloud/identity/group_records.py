"""The records of groups, and what users hold by them beside what is given to them directly."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.identity.records import Assignment, Key
from novalite.db.records import Base


class Group(Base):
    __tablename__ = "groups"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(sa.Text, default="")


class Membership(Base):
    """A user in a group."""

    __tablename__ = "group_members"
    __table_args__ = (sa.Index("ix_group_members_user_id", "user_id"),)

    group_id: Mapped[str] = mapped_column(sa.ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)


class GroupAssignment(Base):
    """A role of a group on a target, as ``Assignment`` is one of a user."""

    __tablename__ = "group_role_assignments"
    __table_args__ = (sa.Index("ix_group_role_assignments_target", "target_kind", "target_id"),)

    group_id: Mapped[str] = mapped_column(sa.ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    target_kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    target_id: Mapped[str] = mapped_column(Key, primary_key=True)
    role_id: Mapped[str] = mapped_column(sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)


def holdings(user_id: str) -> Any:
    """A subquery of what a user holds, directly and by groups: target_kind, target_id, role_id."""
    direct = sa.select(Assignment.target_kind, Assignment.target_id, Assignment.role_id)
    by_group = sa.select(GroupAssignment.target_kind, GroupAssignment.target_id, GroupAssignment.role_id).join(
        Membership, Membership.group_id == GroupAssignment.group_id
    )
    return sa.union(
        direct.where(Assignment.user_id == user_id), by_group.where(Membership.user_id == user_id)
    ).subquery()  # fmt: skip
