"""The records of ports that lead elsewhere: of floating addresses, and of the machine itself."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id


class FloatingForward(Base):
    """Ports ``external_first`` to ``external_last`` of a floating address lead to ports from ``internal_first`` on of
    an address of a port; ``router_id`` is the router that does it."""

    __tablename__ = "floating_forwards"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    floating_id: Mapped[str] = mapped_column(sa.ForeignKey("floating_ips.id"), index=True)
    port_id: Mapped[str] = mapped_column(sa.ForeignKey("ports.id"), index=True)
    router_id: Mapped[str] = mapped_column(sa.ForeignKey("routers.id"), index=True)
    protocol: Mapped[str] = mapped_column(sa.String(8))
    external_first: Mapped[int]
    external_last: Mapped[int]
    fixed_ip_address: Mapped[str] = mapped_column(sa.String(64))
    internal_first: Mapped[int]
    description: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class HostForward(Base):
    """A port of the machine leads to ``guest_port`` of an address of a server's port: directly, or through a port of
    the gateway of ``router_id``, chosen for it (``router_port``)."""

    __tablename__ = "host_forwards"
    __table_args__ = (
        sa.UniqueConstraint("protocol", "host_port"),
        sa.UniqueConstraint("router_id", "protocol", "router_port"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    protocol: Mapped[str] = mapped_column(sa.String(8))
    host_port: Mapped[int]
    port_id: Mapped[str] = mapped_column(sa.ForeignKey("ports.id"), index=True)
    fixed_ip_address: Mapped[str] = mapped_column(sa.String(64))
    guest_port: Mapped[int]
    router_id: Mapped[str | None] = mapped_column(sa.ForeignKey("routers.id"), index=True)
    router_port: Mapped[int | None]
    created_at: Mapped[datetime]
