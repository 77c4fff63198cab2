"""The record of what projects let others see and use of theirs."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id

EVERYBODY = "*"


class RbacPolicy(Base):
    """Lets ``target_project`` (``*``: all) use ``object_id`` as ``action`` says."""

    __tablename__ = "rbac_policies"
    __table_args__ = (
        sa.UniqueConstraint("object_id", "action", "target_project"),
        sa.Index("ix_rbac_policies_target_project", "target_project", "object_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    object_type: Mapped[str] = mapped_column(sa.String(32))
    object_id: Mapped[str] = mapped_column(Id)
    action: Mapped[str] = mapped_column(sa.String(32))
    target_project: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
