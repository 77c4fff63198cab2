"""The records of QoS: policies, and the limits they set."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from novalite.cloud.network.rbac_records import RbacPolicy
from novalite.db.records import Base, Id, new_id


class QosPolicy(Base):
    """What ports that name it, or whose network does, may use. ``default_of`` is the project whose new networks
    have it."""

    __tablename__ = "qos_policies"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    default_of: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    tags: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=0)

    rules: Mapped[list[BandwidthRule]] = relationship(
        lazy="raise", order_by="(BandwidthRule.created_at, BandwidthRule.id)", viewonly=True
    )
    grants: Mapped[list[RbacPolicy]] = relationship(
        lazy="raise", primaryjoin="foreign(RbacPolicy.object_id) == QosPolicy.id", viewonly=True
    )


class BandwidthRule(Base):
    """``direction`` egress is from the guest, ingress towards it. Kbit/s, and kbit of burst (0: as the rate asks)."""

    __tablename__ = "qos_bandwidth_rules"
    __table_args__ = (sa.UniqueConstraint("policy_id", "direction"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    policy_id: Mapped[str] = mapped_column(sa.ForeignKey("qos_policies.id"), index=True)
    direction: Mapped[str] = mapped_column(sa.String(8))
    max_kbps: Mapped[int]
    max_burst_kbps: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
