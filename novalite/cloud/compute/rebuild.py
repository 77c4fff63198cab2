"""Asking for a server's disks to be begun anew, with other data for the guest if need be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from novalite.cloud.compute import (
    actions,
    block_devices,
    boot_image,
    keypairs,
    new_servers,
    personality,
    servers,
    tasks,
)
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import quotas
from novalite.cloud.image import images
from novalite.cloud.volume import new_volumes, volumes
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound, OverQuota

KEEP_KEY = ""
"""As ``key_name``: the key stays."""


@dataclass(frozen=True)
class NewBuild:
    """``values`` are columns of the server that change with it; ``key_name`` None takes the key away. ``files``
    as in ``personality``. With ``begins_volumes_anew`` a root disk that is a volume gets the image, else it must
    have been made of it, and stays."""

    image_id: str
    admin_pass: str
    values: dict[str, Any] = field(default_factory=dict)
    key_name: str | None = KEEP_KEY
    files: tuple[dict[str, str], ...] = ()
    preserve_ephemeral: bool = False
    begins_volumes_anew: bool = False


def request(w: Work, server_id: str, new: NewBuild) -> Server:
    """Begin the rebuilding. Raises ``NotFound``, ``Conflict`` when the server is locked or its state does not allow
    it, ``Invalid`` naming the field, ``OverQuota``."""
    server = actions.allowed(w, server_id, "rebuild")
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="server.state")
    ground = _ground(w, server, new)
    _refuse_beyond_quota(w, server, new)
    task = tasks.Rebuild(
        server.id, server.vm_state, new.preserve_ephemeral, server.image_id, dict(server.image), new.admin_pass,
        ground.volume_id, new.image_id,
    )  # fmt: skip
    values = {
        "image_id": ground.image_id, "image": ground.image, "progress": 0, "rescue_image": None,
        "personality": list(new.files), **_key(w, new), **new.values,
    }  # fmt: skip
    return actions.begin(w, server, "rebuild", task, values=values)


def put_back(w: Work, server_id: str, image_id: str | None, image: dict[str, Any]) -> bool:
    """The rebuilding has failed before anything was touched: the server stands on what it stood on."""
    return servers.change(w, server_id, {"image_id": image_id, "image": image}, Server.deleted_at.is_(None))


@dataclass(frozen=True)
class _Ground:
    """What the server is to stand on. ``volume_id`` is the root disk that is to be begun anew from the image."""

    image_id: str | None
    image: dict[str, Any]
    volume_id: str = ""


def _ground(w: Work, server: Server, new: NewBuild) -> _Ground:
    try:
        image = images.get(w, new.image_id)
    except NotFound as error:
        raise Invalid("Cannot find image for rebuild", field="imageRef") from error
    root = block_devices.root_volume(block_devices.of_server(w, server.id))
    if root is None or root.volume_id is None:
        boot_image.refuse_unbootable(
            image, ram_mib=server.memory_mib, disk_gib=server.flavor["disk"], has_drive=True
        )  # fmt: skip
        return _Ground(image.id, boot_image.copy(image))
    if new.values.get("trusted_image_certificates"):
        raise Invalid("Image certificate validation is not supported for volume-backed servers.",
                      field="trusted_image_certificates")  # fmt: skip
    volume = volumes.get(w, root.volume_id)
    if new.begins_volumes_anew:
        volumes.refuse_found(volume, "rebuilt")
        boot_image.refuse_unbootable(image, ram_mib=server.memory_mib, disk_gib=volume.size_gib, opens=True)
        new_volumes.require_encrypted(image, volume.encryption_key_id is not None, "imageRef")
        return _Ground(None, {**boot_image.copy(image), "id": ""}, volume.id)
    if image.id != (volume.image_id or volume.image_metadata.get("image_id")):
        raise Invalid(f"Image {image.id} is unacceptable: Unable to rebuild with a different image for a "
                      "volume-backed server.", field="imageRef")  # fmt: skip
    return _Ground(None, dict(server.image))


def _refuse_beyond_quota(w: Work, server: Server, new: NewBuild) -> None:
    items = new.values.get("metadata_items", {})
    limit = quotas.limits(w, server.project_id)["metadata_items"]
    if 0 <= limit < len(items):
        text = f"Maximum number of metadata items exceeds {limit}"
        raise OverQuota("metadata_items", limit=limit, used=0, asked=len(items), message=text)
    personality.refuse_beyond_quota(w, server.project_id, new.files)


def _key(w: Work, new: NewBuild) -> dict[str, Any]:
    if new.key_name == KEEP_KEY:
        return {}
    if new.key_name is None:
        return {"key_name": None, "key": {}}
    try:
        key = keypairs.get(w, new.key_name)
    except NotFound as error:
        raise Invalid("Invalid key_name provided.", field="key_name") from error
    return {"key_name": key.name, "key": new_servers.key_copy(key)}
