"""The record of address groups, which rules of security groups name."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from novalite.cloud.network.rbac_records import RbacPolicy
from novalite.db.records import Base, Id, new_id


class AddressGroup(Base):
    """Ranges of IPv4 and IPv6 under one name. ``addresses`` are ranges without host bits."""

    __tablename__ = "address_groups"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    addresses: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    grants: Mapped[list[RbacPolicy]] = relationship(
        lazy="raise", primaryjoin="foreign(RbacPolicy.object_id) == AddressGroup.id", viewonly=True
    )
