"""The records of the volume room: volumes, what they are attached to, snapshots, types."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id

ProjectId = sa.String(64)


class QosSpecs(Base):
    """What volumes of a type may do to their storage. ``consumer`` is who sees to it: ``front-end`` (the guest's
    host), ``back-end`` or ``both``."""

    __tablename__ = "qos_specs"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    consumer: Mapped[str] = mapped_column(sa.String(16))
    specs: Mapped[dict[str, str]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class VolumeType(Base):
    """A kind of volume that users choose by name."""

    __tablename__ = "volume_types"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    is_public: Mapped[bool] = mapped_column(default=True)
    extra_specs: Mapped[dict[str, str]] = mapped_column(default=dict)
    qos_specs_id: Mapped[str | None] = mapped_column(sa.ForeignKey("qos_specs.id"), index=True)
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
    ``problem`` tells why the status is an error. ``backend`` keeps it; ``sealed_key`` is what an encrypted one is
    opened with, under the appliance's own key. ``migration_status`` is how its last move to another backend goes or
    went: migrating, completing, success or error."""

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
    backend: Mapped[str] = mapped_column(sa.String(64), default="")
    backup_id: Mapped[str | None] = mapped_column(Id)
    group_id: Mapped[str | None] = mapped_column(sa.ForeignKey("volume_groups.id"), index=True)
    encryption_key_id: Mapped[str | None] = mapped_column(Id)
    sealed_key: Mapped[str] = mapped_column(sa.Text, default="")
    migration_status: Mapped[str | None] = mapped_column(sa.String(16))
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]
    launched_at: Mapped[datetime | None]


class VolumeAttachment(Base):
    """A volume and the server it is, or shall be, attached to. ``status`` is reserved, attaching, attached or
    detaching; ``device`` the name asked for or given (``/dev/vdb``), ``mode`` rw or ro. ``by_compute`` tells that
    Compute made it: only Compute ends it. ``serial`` is what the guest knows the disk by when that is not the volume's
    own: the guest had another volume in its place when it began to use the disk."""

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
    serial: Mapped[str] = mapped_column(sa.String(20), default="")
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
    group_snapshot_id: Mapped[str | None] = mapped_column(sa.ForeignKey("volume_group_snapshots.id"), index=True)
    progress: Mapped[str] = mapped_column(default="")
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class TypeEncryption(Base):
    """How the volumes of a type are encrypted. ``provider`` is luks, ``key_size`` in bits."""

    __tablename__ = "volume_type_encryptions"

    type_id: Mapped[str] = mapped_column(sa.ForeignKey("volume_types.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(Id, default=new_id, unique=True)
    provider: Mapped[str] = mapped_column(sa.String(64))
    control_location: Mapped[str] = mapped_column(sa.String(16))
    cipher: Mapped[str | None] = mapped_column(sa.String(64))
    key_size: Mapped[int | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class GroupType(Base):
    """A kind of group that users choose by name."""

    __tablename__ = "volume_group_types"

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    is_public: Mapped[bool] = mapped_column(default=True)
    group_specs: Mapped[dict[str, str]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class VolumeGroup(Base):
    """Volumes that are acted on together. ``volume_types`` are the ids of those it may hold."""

    __tablename__ = "volume_groups"
    __table_args__ = (sa.Index("ix_volume_groups_project_id_created_at", "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str | None]
    description: Mapped[str | None]
    project_id: Mapped[str] = mapped_column(ProjectId)
    user_id: Mapped[str] = mapped_column(ProjectId)
    status: Mapped[str] = mapped_column(sa.String(32), default="creating")
    group_type_id: Mapped[str] = mapped_column(sa.ForeignKey("volume_group_types.id"), index=True)
    volume_types: Mapped[list[str]] = mapped_column(default=list)
    availability_zone: Mapped[str]
    group_snapshot_id: Mapped[str | None] = mapped_column(Id)
    source_group_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class GroupSnapshot(Base):
    """What all volumes of a group held at one moment."""

    __tablename__ = "volume_group_snapshots"
    __table_args__ = (sa.Index("ix_volume_group_snapshots_project_id_created_at", "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    group_id: Mapped[str] = mapped_column(sa.ForeignKey("volume_groups.id"), index=True)
    group_type_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str | None]
    description: Mapped[str | None]
    project_id: Mapped[str] = mapped_column(ProjectId)
    user_id: Mapped[str] = mapped_column(ProjectId)
    status: Mapped[str] = mapped_column(sa.String(32), default="creating")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class Backup(Base):
    """What a volume held at one moment, kept elsewhere. ``place`` is the store's name of it, ``size_bytes`` what was
    added to the store for it. ``restore_to`` is the volume it is being put into; ``problem`` why it is an error;
    ``by_protection`` says that nobody asked for it but a protection, which bounds how many there are."""

    __tablename__ = "volume_backups"
    __table_args__ = (sa.Index("ix_volume_backups_project_id_created_at", "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    volume_id: Mapped[str] = mapped_column(Id, index=True)
    snapshot_id: Mapped[str | None] = mapped_column(Id)
    parent_id: Mapped[str | None] = mapped_column(Id, index=True)
    name: Mapped[str | None]
    description: Mapped[str | None]
    project_id: Mapped[str] = mapped_column(ProjectId)
    user_id: Mapped[str] = mapped_column(ProjectId)
    status: Mapped[str] = mapped_column(sa.String(32), default="creating")
    size_gib: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    object_count: Mapped[int] = mapped_column(default=0)
    container: Mapped[str] = mapped_column(default="")
    availability_zone: Mapped[str]
    metadata_items: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    volume_facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    restore_to: Mapped[str | None] = mapped_column(Id)
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    by_protection: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    data_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]


class VolumeService(Base):
    """A service of Block Storage that is not as it is by itself: switched off, or frozen (nothing it keeps is
    changed). ``host`` is HOST or HOST@BACKEND."""

    __tablename__ = "volume_services"

    binary: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    host: Mapped[str] = mapped_column(primary_key=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None]
    frozen: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime]


class Message(Base):
    """What a user is told of something that failed after it was promised."""

    __tablename__ = "volume_messages"
    __table_args__ = (sa.Index("ix_volume_messages_project_id_created_at", "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(ProjectId)
    resource_type: Mapped[str] = mapped_column(sa.String(32))
    resource_id: Mapped[str] = mapped_column(Id)
    event_id: Mapped[str] = mapped_column(sa.String(64))
    text: Mapped[str] = mapped_column(sa.Text)
    request_id: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(index=True)
