"""Rows of images, their tags and their members."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id

ProjectId = sa.String(64)


class Image(Base):
    """``size`` and ``virtual_size`` in bytes (None until there are bytes), ``min_disk`` in GiB, ``min_ram``
    in MiB, ``checksum`` MD5 and ``os_hash_value`` SHA-512 in hex; ``owner`` is a project id."""

    __tablename__ = "images"
    __table_args__ = (
        sa.Index("ix_images_owner", "owner"),
        sa.Index("ix_images_created_at", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    name: Mapped[str | None]
    owner: Mapped[str] = mapped_column(ProjectId)
    status: Mapped[str] = mapped_column(sa.String(16), default="queued")
    visibility: Mapped[str] = mapped_column(sa.String(16), default="shared")
    protected: Mapped[bool] = mapped_column(default=False)
    os_hidden: Mapped[bool] = mapped_column(default=False)
    disk_format: Mapped[str | None] = mapped_column(sa.String(16))
    container_format: Mapped[str | None] = mapped_column(sa.String(16))
    size: Mapped[int | None] = mapped_column(sa.BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(sa.BigInteger)
    checksum: Mapped[str | None] = mapped_column(sa.String(32))
    os_hash_value: Mapped[str | None] = mapped_column(sa.String(128))
    min_disk: Mapped[int] = mapped_column(default=0)
    min_ram: Mapped[int] = mapped_column(default=0)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    by_protection: Mapped[bool] = mapped_column(default=False, server_default=sa.text("false"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def os_hash_algo(self) -> str | None:
        return "sha512" if self.os_hash_value else None


class ImageKey(Base):
    """What an image of an encrypted volume is opened with: ``sealed_key`` under the appliance's own key."""

    __tablename__ = "image_keys"

    image_id: Mapped[str] = mapped_column(sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    key_id: Mapped[str] = mapped_column(Id)
    sealed_key: Mapped[str] = mapped_column(sa.Text, default="")


class ImageTag(Base):
    __tablename__ = "image_tags"

    image_id: Mapped[str] = mapped_column(sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)


class ImageMember(Base):
    """A project a shared image is offered to. ``status`` is pending, accepted or rejected."""

    __tablename__ = "image_members"

    image_id: Mapped[str] = mapped_column(sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(ProjectId, primary_key=True)
    status: Mapped[str] = mapped_column(sa.String(16), default="pending")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
