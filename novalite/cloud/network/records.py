"""The records of the network room: networks, subnets, ports, their addresses, security groups, routers, floating
addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from novalite.cloud.network import address_group_records, qos_records  # noqa: F401 - keys lead there
from novalite.cloud.network.forward_records import FloatingForward
from novalite.cloud.network.rbac_records import RbacPolicy
from novalite.cloud.network.subnet_pool_records import SubnetPool
from novalite.db.records import Base, Id, new_id


class Network(Base):
    """A layer 2 network; ``mtu`` in bytes. ``nat`` has the machine on it, which lets its guests out without a router.
    Routers take gateways and floating addresses from ``is_external`` networks. ``network_type`` is Neutron's: local,
    or flat or vlan (``segmentation_id``) on a ``physical_network``. On a ``lan`` guests take addresses that nobody here
    gave."""

    __tablename__ = "networks"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(sa.String(16), default="ACTIVE")
    is_shared: Mapped[bool] = mapped_column(default=False)
    mtu: Mapped[int] = mapped_column(default=1500)
    nat: Mapped[bool] = mapped_column(default=True)
    is_external: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    admin_state_up: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    port_security: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    network_type: Mapped[str] = mapped_column(sa.String(16), default="local", server_default="local")
    physical_network: Mapped[str | None] = mapped_column(sa.String(64))
    segmentation_id: Mapped[int | None]
    lan: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    dns_domain: Mapped[str] = mapped_column(default="", server_default="")
    availability_zone_hints: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    vlan_transparent: Mapped[bool | None]
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    qos_policy_id: Mapped[str | None] = mapped_column(sa.ForeignKey("qos_policies.id"), index=True)
    is_default: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    subnets: Mapped[list[Subnet]] = relationship(lazy="raise", order_by="(Subnet.created_at, Subnet.id)", viewonly=True)
    grants: Mapped[list[RbacPolicy]] = relationship(
        lazy="raise", primaryjoin="foreign(RbacPolicy.object_id) == Network.id", viewonly=True
    )


class Subnet(Base):
    """A range of a network, of IP version 4 or 6. Addresses are given from its ``pools``. ``dns_servers`` and
    ``host_routes`` (``destination``, ``nexthop``) are told to guests. ``server_ip`` is the address that the network's
    own port has on it, if any. With ``service_types`` only ports with such a ``device_owner`` get addresses."""

    __tablename__ = "subnets"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    cidr: Mapped[str] = mapped_column(sa.String(64))
    ip_version: Mapped[int] = mapped_column(sa.SmallInteger, default=4, server_default="4")
    gateway_ip: Mapped[str | None] = mapped_column(sa.String(64))
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    ipv6_ra_mode: Mapped[str | None] = mapped_column(sa.String(16))
    ipv6_address_mode: Mapped[str | None] = mapped_column(sa.String(16))
    server_ip: Mapped[str] = mapped_column(sa.String(64), default="", server_default="")
    dns_servers: Mapped[list[str]] = mapped_column(default=list)
    host_routes: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    service_types: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    dns_publish_fixed_ip: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    subnetpool_id: Mapped[str | None] = mapped_column(sa.ForeignKey("subnet_pools.id"), index=True)
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    subnetpool: Mapped[SubnetPool | None] = relationship(lazy="raise", viewonly=True)
    pools: Mapped[list[AllocationPool]] = relationship(lazy="raise", order_by="AllocationPool.position", viewonly=True)


class AllocationPool(Base):
    """Addresses of a subnet that ports get, from ``first_ip`` to ``last_ip``, both included."""

    __tablename__ = "allocation_pools"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"), index=True)
    position: Mapped[int] = mapped_column(sa.SmallInteger)
    first_ip: Mapped[str] = mapped_column(sa.String(64))
    last_ip: Mapped[str] = mapped_column(sa.String(64))


class Port(Base):
    """A place on a network. ``device_id`` names what uses it (a server), ``device_owner`` what kind of thing that
    is; ``is_compute_made`` ports go with their server. ``host`` is where it is plugged in. Without ``port_security``
    its guest may send and gets everything. ``address_pairs`` (``ip_address``, ``mac_address``) may be spoken from
    beside its own; ``dhcp_options`` are ``opt_name``, ``opt_value`` and ``ip_version``; ``wiring`` is what its server's
    flavor asks: ``rate`` (of ``RateSpec``) and ``queues``."""

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
    port_security: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    admin_state_up: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    ip_allocation: Mapped[str] = mapped_column(sa.String(16), default="immediate", server_default="immediate")
    address_pairs: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    dhcp_options: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    dns_domain: Mapped[str] = mapped_column(default="", server_default="")
    vnic_type: Mapped[str] = mapped_column(sa.String(32), default="normal", server_default="normal")
    binding_profile: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    propagate_uplink_status: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    wiring: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    qos_policy_id: Mapped[str | None] = mapped_column(sa.ForeignKey("qos_policies.id"), index=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    fixed_ips: Mapped[list[FixedIp]] = relationship(
        lazy="raise", order_by="(FixedIp.position, FixedIp.address, FixedIp.ip_address)", viewonly=True
    )
    groups: Mapped[list[SecurityGroup]] = relationship(
        lazy="raise", secondary="port_security_groups", order_by="SecurityGroup.name", viewonly=True
    )


class FixedIp(Base):
    """An address that is taken. ``address`` is the number of ``ip_address`` among those of its subnet, as
    ``addresses.number`` gives it. Those of a port are in the order of ``position``; without a port it is kept back."""

    __tablename__ = "fixed_ips"
    __table_args__ = (
        sa.UniqueConstraint("subnet_id", "ip_address"),
        sa.Index("ix_fixed_ips_subnet_id_address", "subnet_id", "address"),
        sa.Index("ix_fixed_ips_address", "address"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    subnet_id: Mapped[str] = mapped_column(sa.ForeignKey("subnets.id"))
    port_id: Mapped[str | None] = mapped_column(sa.ForeignKey("ports.id"), index=True)
    ip_address: Mapped[str] = mapped_column(sa.String(64))
    address: Mapped[int] = mapped_column(sa.BigInteger)
    position: Mapped[int] = mapped_column(sa.SmallInteger, default=0, server_default="0")


class PhysicalNetwork(Base):
    """What lies behind an ``interface`` of the machine, by the name that provider networks use for it. Those that
    settings tell are written anew at each start; ``is_lan`` ones the machine itself is on by a bridge."""

    __tablename__ = "physical_networks"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    interface: Mapped[str] = mapped_column(sa.String(64))
    is_lan: Mapped[bool] = mapped_column(default=False)


class NetworkOption(Base):
    """What settings tell of all networks, written down at each start."""

    __tablename__ = "network_options"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    value: Mapped[list[str]]


class SecurityGroup(Base):
    """A named group of ports; what its rules do not let through is dropped. Names may repeat, except that a
    project has one ``default`` group, whose ``default_of`` is the project."""

    __tablename__ = "security_groups"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    default_of: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    stateful: Mapped[bool] = mapped_column(default=True, server_default=sa.text("true"))
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    rules: Mapped[list[SecurityGroupRule]] = relationship(
        lazy="raise",
        order_by="(SecurityGroupRule.created_at, SecurityGroupRule.id)",
        foreign_keys="SecurityGroupRule.group_id",
        viewonly=True,
    )
    grants: Mapped[list[RbacPolicy]] = relationship(
        lazy="raise", primaryjoin="foreign(RbacPolicy.object_id) == SecurityGroup.id", viewonly=True
    )


class SecurityGroupRule(Base):
    """What a group lets through: ``direction`` ingress or egress, ``ethertype`` IPv4 or IPv6. ``protocol`` is a
    name or a number as text, None: all. For ICMP ``port_min`` and ``port_max`` are type and code."""

    __tablename__ = "security_group_rules"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("security_groups.id"), index=True)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    direction: Mapped[str] = mapped_column(sa.String(8))
    ethertype: Mapped[str] = mapped_column(sa.String(8))
    protocol: Mapped[str | None] = mapped_column(sa.String(40))
    port_min: Mapped[int | None]
    port_max: Mapped[int | None]
    remote_prefix: Mapped[str | None] = mapped_column(sa.String(64))
    remote_group_id: Mapped[str | None] = mapped_column(sa.ForeignKey("security_groups.id"), index=True)
    remote_address_group_id: Mapped[str | None] = mapped_column(sa.ForeignKey("address_groups.id"), index=True)
    description: Mapped[str] = mapped_column(default="", server_default="")
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime]


class PortSecurityGroup(Base):
    """Which groups a port is in."""

    __tablename__ = "port_security_groups"

    port_id: Mapped[str] = mapped_column(sa.ForeignKey("ports.id"), primary_key=True)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("security_groups.id"), primary_key=True, index=True)


class Router(Base):
    """Joins networks and leads them to the outside. Its interfaces and its gateway are ports whose device it is;
    ``routes`` are ``destination`` and ``nexthop``."""

    __tablename__ = "routers"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    external_network_id: Mapped[str | None] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    enable_snat: Mapped[bool] = mapped_column(default=True)
    routes: Mapped[list[Any]] = mapped_column(default=list)
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    ports: Mapped[list[Port]] = relationship(
        lazy="raise", primaryjoin="foreign(Port.device_id) == Router.id", order_by="Port.created_at", viewonly=True
    )


class FloatingIp(Base):
    """An address of an external network, which ``router_id`` leads to ``fixed_ip_address`` of ``port_id`` while it
    has one. The port whose device it is keeps the address."""

    __tablename__ = "floating_ips"
    __table_args__ = (sa.UniqueConstraint("port_id", "fixed_ip_address", "network_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    description: Mapped[str] = mapped_column(default="")
    network_id: Mapped[str] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    ip_address: Mapped[str] = mapped_column(sa.String(64), index=True)
    port_id: Mapped[str | None] = mapped_column(sa.ForeignKey("ports.id"), index=True)
    fixed_ip_address: Mapped[str | None] = mapped_column(sa.String(64))
    router_id: Mapped[str | None] = mapped_column(sa.ForeignKey("routers.id"), index=True)
    tags: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    port: Mapped[Port | None] = relationship(lazy="raise", viewonly=True)
    forwards: Mapped[list[FloatingForward]] = relationship(
        lazy="raise", order_by="(FloatingForward.created_at, FloatingForward.id)", viewonly=True
    )
