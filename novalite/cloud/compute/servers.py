"""Servers: the record, how one is found, and what of it users change at any time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute import (
    states,
)
from novalite.cloud.identity import quotas
from novalite.db.records import Base, Id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound, OverQuota

TOPIC = "server"


class Server(Base):
    """One server. ``flavor`` and ``image`` are copies taken at creation: a server outlives both.

    ``availability_zone`` is that of its host, ``pinned_zone`` the one asked for.
    ``revision`` grows with every change of the row. ``locked_by`` is empty, ``owner`` or ``admin``.
    ``old_vm_state`` is what a resized or rescued server goes back to; ``rescue_image`` the copy of the image it
    is rescued from, while it is.
    """

    __tablename__ = "servers"
    __table_args__ = (
        sa.Index("ix_servers_project_id_deleted_at_created_at", "project_id", "deleted_at", "created_at", "id"),
        sa.Index("ix_servers_deleted_at_created_at", "deleted_at", "created_at", "id"),
        sa.Index("ix_servers_host_deleted_at", "host", "deleted_at"),
        sa.Index("ix_servers_project_id_updated_at", "project_id", "updated_at"),
        sa.Index("ix_servers_project_id_deleted_at_name", "project_id", "deleted_at", "name", "id"),
        sa.Index("ix_servers_group_id", "group_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    hostname: Mapped[str]
    description: Mapped[str | None]
    project_id: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    vm_state: Mapped[str] = mapped_column(sa.String(32), default=states.BUILDING)
    task_state: Mapped[str | None] = mapped_column(sa.String(32), default=states.SCHEDULING)
    power_state: Mapped[int] = mapped_column(default=states.NOSTATE)
    progress: Mapped[int] = mapped_column(default=0)
    fault: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    host: Mapped[str | None]
    availability_zone: Mapped[str] = mapped_column(default="")
    pinned_zone: Mapped[str] = mapped_column(default="")
    forced_host: Mapped[str] = mapped_column(default="")
    flavor: Mapped[dict[str, Any]]
    vcpus: Mapped[int]
    memory_mib: Mapped[int]
    disk_gib: Mapped[int]
    image_id: Mapped[str | None] = mapped_column(Id)
    image: Mapped[dict[str, Any]]
    key_name: Mapped[str | None]
    key: Mapped[dict[str, str]]
    user_data: Mapped[str | None] = mapped_column(sa.Text)
    config_drive: Mapped[bool] = mapped_column(default=False)
    metadata_items: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    tags: Mapped[list[str]] = mapped_column(default=list)
    scheduler_hints: Mapped[dict[str, Any]] = mapped_column(default=dict)
    personality: Mapped[list[Any]] = mapped_column(default=list)
    group_id: Mapped[str | None] = mapped_column(Id)
    disk_config: Mapped[str] = mapped_column(sa.String(8), default="MANUAL")
    access_ip_v4: Mapped[str] = mapped_column(sa.String(64), default="")
    access_ip_v6: Mapped[str] = mapped_column(sa.String(64), default="")
    locked_by: Mapped[str] = mapped_column(sa.String(16), default="")
    locked_reason: Mapped[str | None]
    reservation_id: Mapped[str] = mapped_column(sa.String(64))
    launch_index: Mapped[int] = mapped_column(default=0)
    root_device_name: Mapped[str] = mapped_column(sa.String(32), default="/dev/vda")
    guest_password: Mapped[str] = mapped_column(sa.Text, default="")
    old_vm_state: Mapped[str | None] = mapped_column(sa.String(32))
    rescue_image: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    shelved_at: Mapped[datetime | None]
    shelved_image_id: Mapped[str | None] = mapped_column(Id)
    soft_deleted_at: Mapped[datetime | None]
    trusted_image_certificates: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    launched_at: Mapped[datetime | None]
    terminated_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    @property
    def status(self) -> str:
        return states.status(self.vm_state, self.task_state)

    @property
    def instance_name(self) -> str:
        """The name operators see at the hypervisor's side."""
        return f"instance-{self.id[:8]}"


def get(w: Work, server_id: str, *, deleted: bool = False) -> Server:
    """A server of the caller's project (of any for admins). Raises ``NotFound`` for others' too."""
    server = w.session.get(Server, server_id)
    hidden = server is None or (server.deleted_at is not None and not deleted)
    if hidden or server is None or (server.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("server", server_id, message=f"Instance {server_id} could not be found.")
    return server


def change(w: Work, server_id: str, values: dict[str, Any], *where: Any) -> bool:
    """Compare-and-set on one server: write ``values`` if all of ``where`` holds; announces the change."""
    hit = w.changed(
        sa.update(Server)
        .where(Server.id == server_id, *where)
        .values(**values, updated_at=w.now, revision=Server.revision + 1)
    )
    if hit:
        row = w.session.get(Server, server_id, populate_existing=True)
        w.announce(TOPIC, server_id, row.project_id if row else "")
    return bool(hit)


def rename(w: Work, server_id: str, values: dict[str, Any]) -> Server:
    """Change what a user may at any time: ``name``, ``description``, ``access_ip_v4/6``, ``hostname`` ..."""
    server = get(w, server_id)
    refuse_if_locked(w, server)
    change(w, server_id, values)
    return server


def pin(w: Work, server_id: str, zone: str | None) -> None:
    """Tie the server to the zone it is in, or to none. Raises ``Conflict`` for any other zone."""
    server = get(w, server_id)
    refuse_if_locked(w, server)
    wanted = zone or ""
    if wanted == server.pinned_zone:
        return
    if wanted and server.pinned_zone:
        raise Conflict(
            f"Cannot change pinned availability zone from '{server.pinned_zone}' to '{wanted}'.",
            hint="Unpin the server first by setting pinned_availability_zone to null.",
        )
    if wanted and wanted != server.availability_zone:
        raise Conflict(f"Server can only be pinned to its current availability zone '{server.availability_zone}'.")
    change(w, server_id, {"pinned_zone": wanted})


def set_metadata(w: Work, server_id: str, items: dict[str, str]) -> Server:
    """Replace the metadata; the caller has merged. Raises ``OverQuota`` beyond the project's limit."""
    server = get(w, server_id)
    refuse_if_locked(w, server)
    limit = quotas.limits(w, server.project_id)["metadata_items"]
    if 0 <= limit < len(items):
        raise OverQuota(
            "metadata_items",
            limit=limit,
            used=len(server.metadata_items),
            asked=len(items),
            message="Maximum number of metadata items exceeds " + str(limit),
        )
    change(w, server_id, {"metadata_items": items})
    return server


def refuse_if_locked(w: Work, server: Server) -> None:
    """Raises ``Conflict`` when the server is locked against the caller."""
    if server.locked_by and not w.ctx.is_admin:
        raise Conflict(f"Instance {server.id} is locked", code="server.locked", hint="Unlock it first.")
