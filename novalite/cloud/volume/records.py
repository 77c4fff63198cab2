"""The records of the volume room: volumes, what they are attached to, snapshots, types."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id

ProjectId = sa.String(64)


class VolumeType(Base):
    """A kind of volume that users choose by name."""

    __tablename__ = "volume_types"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    is_public: Mapped[bool] = mapped_column(default=True)
    extra_specs: Mapped[dict[str, str]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class VolumeTypeAccess(Base):
    """A project that sees a type which is not public."""

    __tablename__ = "volume_type_access"

    type_id: Mapped[str] = mapped_column(sa.ForeignKey("volume_types.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ProjectId, primary_key=True)


class Volume(Base):
    """One volume. ``location`` is where its driver keeps the data (``path``, ``format``), empty until it has
    some. ``image_metadata`` is what is known of the image it was made of, as texts. ``previous_status`` is what
    an action that goes on began from; ``target_gib`` the size it grows to meanwhile, which quotas count already.
    ``problem`` tells why the status is an error."""

    __tablename__ = "volumes"
    __table_args__ = (
        sa.Index("ix_volumes_project_id_created_at", "project_id", "created_at", "id"),
        sa.Index("ix_volumes_created_at", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str | None]
    description: Mapped[str | None]
    project_id: Mapped[str] = mapped_column(ProjectId)
    user_id: Mapped[str] = mapped_column(ProjectId)
    status: Mapped[str] = mapped_column(sa.String(32), default="creating")
    previous_status: Mapped[str] = mapped_column(sa.String(32), default="")
    size_gib: Mapped[int]
    target_gib: Mapped[int] = mapped_column(default=0)
    availability_zone: Mapped[str]
    bootable: Mapped[bool] = mapped_column(default=False)
    multiattach: Mapped[bool] = mapped_column(default=False)
    read_only: Mapped[bool | None]
    metadata_items: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    image_metadata: Mapped[dict[str, str]] = mapped_column(default=dict)
    image_id: Mapped[str | None] = mapped_column(Id)
    snapshot_id: Mapped[str | None] = mapped_column(Id)
    source_volume_id: Mapped[str | None] = mapped_column(Id, index=True)
    type_id: Mapped[str | None] = mapped_column(sa.ForeignKey("volume_types.id"), index=True)
    host: Mapped[str] = mapped_column(default="")
    location: Mapped[dict[str, Any]] = mapped_column(default=dict)
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]
    launched_at: Mapped[datetime | None]


class VolumeAttachment(Base):
    """A volume and the server it is, or shall be, attached to. ``status`` is reserved, attaching, attached or
    detaching; ``device`` the name asked for or given (``/dev/vdb``), ``mode`` rw or ro. ``by_compute`` tells that
    Compute made it: only Compute ends it."""

    __tablename__ = "volume_attachments"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    volume_id: Mapped[str] = mapped_column(sa.ForeignKey("volumes.id", ondelete="CASCADE"), index=True)
    server_id: Mapped[str | None] = mapped_column(Id, index=True)
    project_id: Mapped[str] = mapped_column(ProjectId)
    status: Mapped[str] = mapped_column(sa.String(16), default="reserved")
    mode: Mapped[str] = mapped_column(sa.String(2), default="rw")
    device: Mapped[str] = mapped_column(default="")
    host: Mapped[str] = mapped_column(default="")
    connector: Mapped[dict[str, Any]] = mapped_column(default=dict)
    by_compute: Mapped[bool] = mapped_column(default=True)
    attached_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class Snapshot(Base):
    """What a volume held at one moment. ``size_gib`` is the volume's size then; ``progress`` what was
    said of it."""

    __tablename__ = "volume_snapshots"
    __table_args__ = (sa.Index("ix_volume_snapshots_project_id_created_at", "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    volume_id: Mapped[str] = mapped_column(sa.ForeignKey("volumes.id"), index=True)
    name: Mapped[str | None]
    description: Mapped[str | None]
    project_id: Mapped[str] = mapped_column(ProjectId)
    user_id: Mapped[str] = mapped_column(ProjectId)
    status: Mapped[str] = mapped_column(sa.String(32), default="creating")
    size_gib: Mapped[int]
    metadata_items: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    progress: Mapped[str] = mapped_column(default="")
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]
