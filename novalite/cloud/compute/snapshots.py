"""Images of servers: snapshots that users ask for, and backups of which the oldest go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from novalite.cloud.compute import actions, block_devices, image_tasks
from novalite.cloud.compute.servers import Server, change
from novalite.cloud.compute.volume_images import snapshot_volumes, volume_mapping
from novalite.cloud.identity import quotas
from novalite.cloud.image import made
from novalite.cloud.image.images import NewImage
from novalite.cloud.image.records import Image
from novalite.db.work import Work
from novalite.errors import Forbidden, Invalid

PENDING, COPYING, UPLOADING, BACKING_UP = (
    "image_snapshot_pending",
    "image_snapshot",
    "image_uploading",
    "image_backup",
)
MOST_SECONDS = 4 * 3600
"""How long it may take to copy a disk and to keep the copy."""

_DOING = (PENDING, COPYING, UPLOADING, BACKING_UP)
_NOT_INHERITED = frozenset(
    {
        "bittorrent",
        "block_device_mapping",
        "cache_in_nova",
        "cinder_encryption_key_deletion_policy",
        "cinder_encryption_key_id",
        "img_block_device_mapping",
        "img_mappings",
        "img_signature",
        "img_signature_certificate_uuid",
        "img_signature_hash_method",
        "img_signature_key_type",
        "mappings",
        "protection",
    }
)
_NOT_INHERITED_PREFIX = "os_glance"


def create_image(
    w: Work, server_id: str, name: str, metadata: Mapping[str, str], *, by_protection: bool = False
) -> Image:
    """A queued image of the server's root disk; a task fills it while the server goes on. Of a server whose root
    disk is a volume all volumes become snapshots instead, which the image names.

    Raises ``NotFound``, ``Conflict`` when the server's state does not allow it, ``Invalid`` for too many properties
    or a volume whose status does not allow it, ``OverQuota`` for snapshots.
    """
    server = actions.allowed(w, server_id, "createImage")
    rows = block_devices.of_server(w, server.id)
    if block_devices.root_volume(rows) is None:
        image = new_image(w, server, name, {"image_type": "snapshot", **metadata}, by_protection=by_protection)
        task: image_tasks.CreateImage | image_tasks.CreateVolumeImage = image_tasks.CreateImage(server.id, image.id)
    else:
        snapshots = snapshot_volumes(w, name, rows)
        described = volume_mapping(server, rows, snapshots)
        image = new_image(w, server, name, {**metadata, **described}, is_of_volumes=True)
        task = image_tasks.CreateVolumeImage(server.id, image.id, tuple(snapshots.values()))
    actions.begin(w, server, "createImage", task, deadline_seconds=MOST_SECONDS)
    return image


def create_backup(
    w: Work, server_id: str, name: str, metadata: Mapping[str, str], *, backup_type: str, rotation: int
) -> Image:
    """The same; when it is done only the newest ``rotation`` images of ``backup_type`` stay, this one included.

    Raises as ``create_image``.
    """
    server = actions.allowed(w, server_id, "createBackup")
    if is_volume_backed(w, server):
        raise Invalid("Backup is not supported for volume-backed instances.", field="createBackup")
    image = new_image(w, server, name, {"image_type": "backup", **metadata, "backup_type": backup_type})
    task = image_tasks.CreateBackup(server.id, image.id, backup_type, rotation)
    actions.begin(w, server, "createBackup", task, deadline_seconds=MOST_SECONDS)
    return image


def is_volume_backed(w: Work, server: Server) -> bool:
    return block_devices.root_volume(block_devices.of_server(w, server.id)) is not None


def new_image(
    w: Work, server: Server, name: str, properties: Mapping[str, str], *, is_of_volumes: bool = False,
    by_protection: bool = False,
) -> Image:  # fmt: skip
    """The record of an image to be made of the server: what it was made of hands its properties down."""
    told = {} if is_of_volumes else _origin(w, server)
    is_foreign = w.ctx.project_id != server.project_id
    if is_foreign:
        told["instance_owner"] = server.project_id
    new = NewImage(
        name=name,
        visibility="shared" if is_foreign else "private",
        min_disk=max(int(server.image.get("min_disk") or 0), int(server.flavor["disk"])),
        min_ram=int(server.image.get("min_ram") or 0),
        properties={**_inherited(server.image), **told, **properties},
        by_protection=by_protection,
    )
    return made.create(w, new, project_id=server.project_id)


def _origin(w: Work, server: Server) -> dict[str, str]:
    return {
        "instance_uuid": server.id,
        "user_id": w.ctx.user_id,
        "owner_id": server.project_id,
        "image_location": "snapshot",
        "image_state": "available",
        "base_image_ref": server.image_id or "",
    }


def _inherited(image: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value)
        for name, value in image.get("properties", {}).items()
        if name not in _NOT_INHERITED and not name.startswith(_NOT_INHERITED_PREFIX)
    }


def check_metadata(w: Work, items: Mapping[str, str]) -> None:
    """Before 2.39 Compute counted an image's metadata. Raises ``Forbidden`` beyond the project's limit."""
    limit = quotas.limits(w, w.ctx.project_id)["metadata_items"]
    if 0 <= limit < len(items):
        raise Forbidden("Image metadata limit exceeded", code="quota.exceeded", limit=limit)


def ended(w: Work, server_id: str) -> None:
    """The server does nothing any more; its state is what it was."""
    change(w, server_id, {"task_state": None}, Server.deleted_at.is_(None), Server.task_state.in_(_DOING))


def superseded(w: Work, server_id: str, image_id: str, backup_type: str, rotation: int) -> list[str]:
    """Ids of the backups that the newest one, ``image_id``, leaves over, oldest last."""
    newest = made.find(w, image_id)
    if newest is None:
        return []
    found = made.of_server(w, server_id, image_type="backup", backup_type=backup_type)
    return [image.id for image in found if image.status == "active" and image.owner == newest.owner][rotation:]
