"""Asking for a server's disks to be begun anew, with other data for the guest if need be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from novalite.cloud.compute import actions, boot_image, keypairs, personality, servers, tasks
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import quotas
from novalite.cloud.image import images
from novalite.cloud.image.records import Image
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound, OverQuota

KEEP_KEY = ""
"""As ``key_name``: the key stays."""


@dataclass(frozen=True)
class NewBuild:
    """``values`` are columns of the server that change with it; ``key_name`` None takes the key away. ``files``
    as in ``personality``."""

    image_id: str
    admin_pass: str
    values: dict[str, Any] = field(default_factory=dict)
    key_name: str | None = KEEP_KEY
    files: tuple[dict[str, str], ...] = ()
    preserve_ephemeral: bool = False


def request(w: Work, server_id: str, new: NewBuild) -> Server:
    """Begin the rebuilding. Raises ``NotFound``, ``Conflict`` when the server is locked or its state does not allow
    it, ``Invalid`` naming the field, ``OverQuota``."""
    server = actions.allowed(w, server_id, "rebuild")
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="server.state")
    image = _image(w, server, new)
    _refuse_beyond_quota(w, server, new)
    task = tasks.Rebuild(
        server.id, server.vm_state, new.preserve_ephemeral, server.image_id, dict(server.image), new.admin_pass
    )
    values = {
        "image_id": image.id, "image": boot_image.copy(image), "progress": 0, "rescue_image": None,
        "personality": list(new.files), **_key(w, new), **new.values,
    }  # fmt: skip
    return actions.begin(w, server, "rebuild", task, values=values)


def put_back(w: Work, server_id: str, image_id: str | None, image: dict[str, Any]) -> bool:
    """The rebuilding has failed before anything was touched: the server stands on what it stood on."""
    return servers.change(w, server_id, {"image_id": image_id, "image": image}, Server.deleted_at.is_(None))


def _image(w: Work, server: Server, new: NewBuild) -> Image:
    if not server.image_id:
        raise Invalid(
            f"Image {new.image_id} is unacceptable: Unable to rebuild with a different image for a volume-backed "
            "server.",
            field="imageRef",
        )
    try:
        image = images.get(w, new.image_id)
    except NotFound as error:
        raise Invalid("Cannot find image for rebuild", field="imageRef") from error
    boot_image.refuse_unbootable(image, ram_mib=server.memory_mib, disk_gib=server.flavor["disk"])
    return image


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
    return {"key_name": key.name, "key": servers.key_copy(key)}
