"""Asking for a server to be booted from another image beside its own disks, and back."""

from __future__ import annotations

from typing import Any

from novalite.cloud.compute import actions, boot_image, tasks
from novalite.cloud.compute.servers import Server
from novalite.cloud.image import images
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

_BUSES = ("virtio", "scsi", "sata", "ide", "usb")
_PLACED = {"hw_rescue_bus", "hw_rescue_device"}


def request(
    w: Work, server_id: str, *, image_id: str, default_image_id: str, admin_pass: str, volumes_too: bool
) -> Server:
    """Begin the rescue from ``image_id``, or the default, or the server's own image as it is now. Servers that boot
    from a volume are rescued with ``volumes_too``, and only from images that say where their disk stands.

    Raises ``NotFound``, ``Conflict`` when the server is locked or its state does not allow it, ``Invalid`` when it
    cannot be rescued or the image is of no use.
    """
    server = actions.allowed(w, server_id, "rescue")
    if not server.host:
        raise Conflict(f"Instance {server.id} is not ready", code="server.state")
    image = _image(w, server, image_id or default_image_id)
    if not server.image_id and not (volumes_too and image.get("id") and image["properties"].keys() >= _PLACED):
        raise Invalid(
            f"Instance {server.id} cannot be rescued: Cannot rescue a volume-backed instance",
            field="rescue_image_ref",
        )
    return actions.begin(w, server, "rescue", tasks.Rescue(server.id, admin_pass), values={"rescue_image": image})


def _image(w: Work, server: Server, wanted: str) -> dict[str, Any]:
    image = server.image
    if wanted:
        try:
            found = images.get(w, wanted)
        except NotFound as error:
            raise _unsupported(wanted) from error
        boot_image.refuse_unbootable(found, ram_mib=server.memory_mib, disk_gib=0, field="rescue_image_ref")
        image = boot_image.copy(found)
    if image["properties"].get("hw_rescue_bus", "virtio") not in _BUSES:
        raise _unsupported(image["id"])
    return image


def leave(w: Work, server_id: str) -> Server:
    """Begin to boot the server from its own disk again. Errors as those of every action."""
    server = actions.allowed(w, server_id, "unrescue")
    return actions.begin(w, server, "unrescue", tasks.Unrescue(server.id), values={"rescue_image": None})


def _unsupported(image_id: str) -> Invalid:
    return Invalid(f"Requested rescue image '{image_id}' is not supported", field="rescue_image_ref")
