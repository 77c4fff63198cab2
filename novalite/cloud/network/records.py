"""The records of the network room: networks, subnets, ports, their addresses, security groups."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from novalite.db.records import Base, Id, new_id


class Network(Base):
    """A layer 2 network. ``status`` is ACTIVE once the host has been told of it; ``mtu`` in bytes."""

    __tablename__ = "networks"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(sa.String(16), default="ACTIVE")
    is_shared: Mapped[bool] = mapped_column(default=False)
    mtu: Mapped[int] = mapped_column(default=1500)
    nat: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    subnets: Mapped[list[Subnet]] = relationship(lazy="raise", order_by="Subnet.created_at", viewonly=True)


class Subnet(Base):
    """An IPv4 range of a network. Addresses are given from ``pool_first`` to ``pool_last``, both included, as
    32-bit numbers. ``dns_servers`` are told to guests."""

    __tablename__ = "subnets"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    cidr: Mapped[str] = mapped_column(sa.String(64))
    gateway_ip: Mapped[str] = mapped_column(sa.String(64))
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    pool_first: Mapped[int] = mapped_column(sa.BigInteger)
    pool_last: Mapped[int] = mapped_column(sa.BigInteger)
    dns_servers: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)


class Port(Base):
    """A place on a network. ``device_id`` names what uses it (a server), ``device_owner`` what kind of thing that
    is; ``is_compute_made`` ports go with their server. ``host`` is where it is plugged in."""

    __tablename__ = "ports"
    __table_args__ = (sa.UniqueConstraint("network_id", "mac_address"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id"))
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    mac_address: Mapped[str] = mapped_column(sa.String(17))
    device_id: Mapped[str] = mapped_column(default="", index=True)
    device_owner: Mapped[str] = mapped_column(default="")
    host: Mapped[str] = mapped_column(default="")
    dns_name: Mapped[str] = mapped_column(default="")
    tag: Mapped[str] = mapped_column(sa.String(60), default="")
    position: Mapped[int] = mapped_column(default=0)
    is_compute_made: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    fixed_ips: Mapped[list[FixedIp]] = relationship(lazy="raise", order_by="FixedIp.address", viewonly=True)
    groups: Mapped[list[SecurityGroup]] = relationship(
        lazy="raise", secondary="port_security_groups", order_by="SecurityGroup.name", viewonly=True
    )


class FixedIp(Base):
    """An address that is taken. ``address`` is the 32-bit number of ``ip_address``; without a port it is
    kept back (a gateway inside the pool)."""

    __tablename__ = "fixed_ips"
    __table_args__ = (sa.UniqueConstraint("subnet_id", "ip_address"), sa.UniqueConstraint("subnet_id", "address"))

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"))
    port_id: Mapped[str | None] = mapped_column(sa.ForeignKey("ports.id"), index=True)
    ip_address: Mapped[str] = mapped_column(sa.String(64))
    address: Mapped[int] = mapped_column(sa.BigInteger)


class SecurityGroup(Base):
    """A named group of ports. Each project has ``default``; groups do not filter yet."""

    __tablename__ = "security_groups"
    __table_args__ = (sa.UniqueConstraint("project_id", "name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    rules: Mapped[list[SecurityGroupRule]] = relationship(
        lazy="raise", order_by="SecurityGroupRule.direction", viewonly=True
    )


class SecurityGroupRule(Base):
    """What a group lets through: ``direction`` ingress or egress, ``ethertype`` IPv4 or IPv6."""

    __tablename__ = "security_group_rules"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("security_groups.id"), index=True)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    direction: Mapped[str] = mapped_column(sa.String(8))
    ethertype: Mapped[str] = mapped_column(sa.String(8))
    created_at: Mapped[datetime]


class PortSecurityGroup(Base):
    """Which groups a port is in."""

    __tablename__ = "port_security_groups"

    port_id: Mapped[str] = mapped_column(sa.ForeignKey("ports.id"), primary_key=True)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("security_groups.id"), primary_key=True, index=True)
