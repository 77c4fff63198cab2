"""The records of where subnets come from: pools of ranges, the scopes in which addresses are unique, and the networks
made for projects that asked for any."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from novalite.cloud.network.rbac_records import RbacPolicy
from novalite.db.records import Base, Id, new_id


class AddressScope(Base):
    """Within it the ranges of pools do not overlap."""

    __tablename__ = "address_scopes"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str]
    ip_version: Mapped[int]
    created_at: Mapped[datetime]

    grants: Mapped[list[RbacPolicy]] = relationship(
        lazy="raise", primaryjoin="foreign(RbacPolicy.object_id) == AddressScope.id", viewonly=True
    )


class SubnetPool(Base):
    """Ranges of one IP version to make subnets of. Lengths are of prefixes; ``default_quota`` is in addresses
    (IPv4) or /64 ranges (IPv6) for each project, None: no limit."""

    __tablename__ = "subnet_pools"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    ip_version: Mapped[int]
    prefixes: Mapped[list[str]] = mapped_column(default=list)
    default_prefixlen: Mapped[int]
    min_prefixlen: Mapped[int]
    max_prefixlen: Mapped[int]
    default_quota: Mapped[int | None]
    is_default: Mapped[bool] = mapped_column(default=False)
    address_scope_id: Mapped[str | None] = mapped_column(sa.ForeignKey("address_scopes.id"), index=True)
    tags: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    grants: Mapped[list[RbacPolicy]] = relationship(
        lazy="raise", primaryjoin="foreign(RbacPolicy.object_id) == SubnetPool.id", viewonly=True
    )


class AutoTopology(Base):
    """The network and the router that were made for a project."""

    __tablename__ = "auto_topologies"

    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    network_id: Mapped[str] = mapped_column(Id)
    router_id: Mapped[str] = mapped_column(Id)
