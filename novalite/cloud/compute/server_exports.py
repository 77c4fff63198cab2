"""Servers on their way out: the record of each export, and the images that hold its disks until they are fetched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute import actions, server_manifest, snapshots
from novalite.cloud.compute.carrying_tasks import ExportServer
from novalite.cloud.compute.servers import Server
from novalite.cloud.image import made
from novalite.cloud.image.images import NewImage
from novalite.cloud.image.records import Image
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import volumes
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound

MAKING, READY, FAILED = "making", "ready", "failed"
QCOW2, OVA = "qcow2", "ova"
FORMATS = (QCOW2, OVA)
KEPT = timedelta(hours=24)
"""How long an export is kept that nobody has fetched and ended."""
_DISK_FORMATS = {QCOW2: "qcow2", OVA: "vmdk"}


class ServerExport(Base):
    """One export. ``manifest`` is whole once it is ready; ``disks`` are what is to be copied: ``image_id`` and what
    ``server_manifest.Disk`` holds. The images belong to the project and are hidden."""

    __tablename__ = "server_exports"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    server_id: Mapped[str] = mapped_column(Id)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    format: Mapped[str] = mapped_column(sa.String(16))
    status: Mapped[str] = mapped_column(sa.String(16), default=MAKING)
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    manifest: Mapped[dict[str, Any]]
    disks: Mapped[list[Any]]
    task_id: Mapped[str] = mapped_column(Id)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)

    @property
    def disk_format(self) -> str:
        """Of its images."""
        return _DISK_FORMATS[self.format]

    @property
    def image_ids(self) -> list[str]:
        return [disk["image_id"] for disk in self.disks]


def begin(w: Work, server_id: str, form: str) -> ServerExport:
    """Copy a server's disks, as it goes on. Raises ``NotFound``, ``Conflict`` when its state does not allow it,
    ``OverQuota`` for images."""
    server = actions.allowed(w, server_id, "createImage")
    extension = _DISK_FORMATS[form]
    export = ServerExport(
        id=new_id(), server_id=server.id, project_id=w.ctx.project_id, format=form, status=MAKING,
        manifest=server_manifest.of_server(w, server), disks=[], task_id="", created_at=w.now, expires_at=w.now + KEPT,
    )  # fmt: skip
    found = server_manifest.disks(w, server, extension=extension)
    volumes.refuse_encrypted(w, [disk.volume_id for disk in found], "exported")
    for number, disk in enumerate(found):
        image = made.create(w, _hidden(server, export.id, number), project_id=w.ctx.project_id)
        told = {"role": disk.role, "file": disk.file, "name": disk.name, "volume_id": disk.volume_id,
                "facts": dict(disk.facts or {}), "image_id": image.id}  # fmt: skip
        export.disks = [*export.disks, told]
    task = actions.leave(w, server, "createImage", ExportServer(server.id, export.id),
                         deadline_seconds=snapshots.MOST_SECONDS)  # fmt: skip
    export.task_id = task.id
    w.session.add(export)
    w.session.flush()
    return export


def _hidden(server: Server, export_id: str, number: int) -> NewImage:
    return NewImage(name=f"export of {server.name[:200]}, disk {number}", visibility="private", os_hidden=True,
                    properties={"novalite_export": export_id})  # fmt: skip


def find(w: Work, export_id: str) -> ServerExport | None:
    return w.session.get(ServerExport, export_id, populate_existing=True)


def get(w: Work, export_id: str) -> ServerExport:
    """One of the caller's project (of any for admins). Raises ``NotFound``."""
    found = find(w, export_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("export", export_id, message=f"There is no export {export_id}.")
    return found


def list_visible(w: Work) -> list[ServerExport]:
    """The caller's project's, newest first."""
    query = sa.select(ServerExport).where(ServerExport.project_id == w.ctx.project_id)
    return list(w.session.scalars(query.order_by(ServerExport.created_at.desc(), ServerExport.id)))


def ready(w: Work, export_id: str) -> bool:
    """Every disk is copied: the manifest is completed. False when nobody wants it any more."""
    export = find(w, export_id)
    if export is None:
        return False
    found = {image.id: image for image in w.session.scalars(sa.select(Image).where(Image.id.in_(export.image_ids)))}
    if any(image_id not in found or found[image_id].status != "active" for image_id in export.image_ids):
        return False
    told = [_told(disk, found[disk["image_id"]]) for disk in export.disks]
    export.manifest = {**export.manifest, "disks": told}
    export.status, export.expires_at = READY, w.now + KEPT
    return True


def _told(disk: dict[str, Any], image: Image) -> dict[str, Any]:
    known = server_manifest.Disk(disk["role"], disk["file"], disk["name"], disk["volume_id"], disk["facts"])
    return known.told(size=image.size or 0, virtual_size=image.virtual_size or 0, sha512=image.os_hash_value or "",
                      disk_format=image.disk_format or "")  # fmt: skip


def failed(w: Work, export_id: str, why: str) -> None:
    """It is told for as long as a good one is kept."""
    still = sa.update(ServerExport).where(ServerExport.id == export_id, ServerExport.status == MAKING)
    w.changed(still.values(status=FAILED, problem=why[:2000], expires_at=w.now + KEPT))


def clear(w: Work, export: ServerExport) -> list[str]:
    """Forget its images, and keep itself until their bytes are gone, which the caller removes; their ids. Repeatable.
    Raises ``Conflict`` while it is being made: its task ends first."""
    if export.status == MAKING and _is_live(w, export.task_id):
        durable.cancel_key(w, f"server:{export.server_id}", kinds=(ExportServer.kind,))
        raise Conflict(f"Export {export.id} is still being made; it has been called off.", code="export.making",
                       hint="Ask again in a moment.")  # fmt: skip
    return [image_id for image_id in export.image_ids if made.forget(w, image_id)]


def end(w: Work, export: ServerExport) -> list[str]:
    """Forget it with its images; ids of those whose bytes the caller removes then. Raises as ``clear``."""
    gone = clear(w, export)
    w.session.delete(export)
    w.session.flush()
    return gone


def _is_live(w: Work, task_id: str) -> bool:
    task = w.session.get(durable.Task, task_id)
    return task is not None and task.state not in durable.ENDED


def late(w: Work) -> Sequence[ServerExport]:
    """Those that nobody has ended in time, but for what is still being made."""
    found = w.session.scalars(sa.select(ServerExport).where(ServerExport.expires_at < w.now))
    return [export for export in found if not _is_live(w, export.task_id)]
