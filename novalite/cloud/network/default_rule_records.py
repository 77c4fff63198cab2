"""The record of the rules that new security groups begin with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id

OWN_GROUP = "PARENT"
"""As a remote group: the one that the rule is made in."""


class DefaultRule(Base):
    """Like a rule of a security group. ``in_default`` and ``in_others`` say in which new groups it is made."""

    __tablename__ = "default_security_group_rules"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    direction: Mapped[str] = mapped_column(sa.String(8))
    ethertype: Mapped[str] = mapped_column(sa.String(8))
    protocol: Mapped[str | None] = mapped_column(sa.String(40))
    port_min: Mapped[int | None]
    port_max: Mapped[int | None]
    remote_prefix: Mapped[str | None] = mapped_column(sa.String(64))
    remote_group_id: Mapped[str | None] = mapped_column(Id)
    remote_address_group_id: Mapped[str | None] = mapped_column(Id)
    description: Mapped[str] = mapped_column(default="")
    in_default: Mapped[bool] = mapped_column(default=False)
    in_others: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


def first_rules() -> list[dict[str, Any]]:
    """What a new installation has: everything may leave; into a default group only its own members' packets come."""
    same = {"description": "", "in_default": True, "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return [
        {"id": new_id(), "direction": direction, "ethertype": ethertype, "in_others": direction == "egress",
         "remote_group_id": OWN_GROUP if direction == "ingress" else None, **same}
        for direction in ("egress", "ingress")
        for ethertype in ("IPv4", "IPv6")
    ]  # fmt: skip


@sa.event.listens_for(DefaultRule.__table__, "after_create")
def _fill(table: sa.Table, connection: sa.Connection, **_: Any) -> None:
    """As the migration does that makes the table."""
    connection.execute(sa.insert(table), first_rules())
