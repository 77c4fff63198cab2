"""Shelving: a server becomes an image and gives its host's room back, until somebody wants it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import actions, image_tasks, snapshots, states, tasks
from novalite.cloud.compute.servers import Server, change
from novalite.cloud.hosts import hosts
from novalite.cloud.image import made
from novalite.cloud.network import ports
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

COPYING, UPLOADING, OFFLOADING = (
    "shelving_image_pending_upload",
    "shelving_image_uploading",
    "shelving_offloading",
)
_SHELVING = ("shelving", COPYING, UPLOADING)
_SHELVED = (states.SHELVED, states.SHELVED_OFFLOADED)
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Destination:
    """Where an offloaded server shall go. ``zone`` counts only when ``has_zone``; None lets it go anywhere from
    now on. ``host`` empty: any."""

    has_zone: bool = False
    zone: str | None = None
    host: str = ""


def shelve(w: Work, server_id: str) -> Server:
    """Leave the task that makes an image of the server and then lets go of it.

    Raises ``NotFound``, ``Conflict`` when it is locked or its state does not allow it.
    """
    server = actions.allowed(w, server_id, "shelve")
    image_id = ""
    if not snapshots.is_volume_backed(w, server):
        suffix = "-shelved"
        name = server.name[: _LONGEST_NAME - len(suffix)] + suffix
        image_id = snapshots.new_image(w, server, name, {"image_type": "snapshot"}).id
    task = image_tasks.Shelve(server.id, image_id)
    return actions.begin(w, server, "shelve", task, deadline_seconds=snapshots.MOST_SECONDS)


def shelved(w: Work, server_id: str, image_id: str, *, offload: bool) -> None:
    """The server is an image now; with ``offload`` the task that lets go of its host follows. Repeatable."""
    values: dict[str, Any] = {
        "vm_state": states.SHELVED,
        "task_state": OFFLOADING if offload else None,
        "power_state": states.SHUTDOWN,
        "shelved_at": w.now,
        "shelved_image_id": image_id or None,
        "fault": None,
        "progress": 0,
    }
    begun = change(w, server_id, values, Server.deleted_at.is_(None), Server.task_state.in_(_SHELVING))
    if begun and offload:
        server = w.session.get_one(Server, server_id)
        durable.start(
            w, image_tasks.OffloadInTime(server_id), key=tasks.key(server_id), resource_id=server_id,
            project_id=server.project_id,
        )  # fmt: skip


def holds_image(w: Work, server_id: str, image_id: str) -> bool:
    """Whether the server is shelved as this image, which is then all there is of it."""
    server = w.session.get(Server, server_id, populate_existing=True)
    return server is not None and server.shelved_image_id == image_id


def offload(w: Work, server_id: str) -> Server:
    """Leave the task that takes a shelved server's guest away. Raises ``NotFound``, ``Conflict``."""
    server = actions.allowed(w, server_id, "shelveOffload")
    return actions.begin(w, server, "shelveOffload", image_tasks.Offload(server.id))


def long_shelved(w: Work, seconds: float) -> list[str]:
    """Ids of servers that have been shelved for that long and still have a guest."""
    return list(
        w.session.scalars(
            sa.select(Server.id).where(
                Server.deleted_at.is_(None), Server.vm_state == states.SHELVED, Server.task_state.is_(None),
                Server.shelved_at <= w.now - timedelta(seconds=seconds),
            )
        )
    )  # fmt: skip


def offload_in_time(w: Work, server_id: str) -> None:
    """Raises ``Conflict`` when the server does something else by now."""
    server = actions.allowed(w, server_id, "shelveOffload")
    actions.begin(w, server, "shelveOffload", image_tasks.OffloadInTime(server.id))


def offloaded(w: Work, server_id: str) -> None:
    """The server has no guest and no host any more; its ports stay its own. Repeatable."""
    values = {
        "vm_state": states.SHELVED_OFFLOADED,
        "task_state": None,
        "power_state": states.SHUTDOWN,
        "host": None,
        "availability_zone": Server.pinned_zone,
        "fault": None,
    }
    if change(w, server_id, values, Server.deleted_at.is_(None), Server.task_state == OFFLOADING):
        hosts.release(w, server_id)
        ports.set_host(w, server_id, "")
        attachments.move_host(w, server_id, "")


def unshelve(w: Work, server_id: str, to: Destination) -> Server:
    """Leave the task that starts the server again.

    Raises ``NotFound``; ``Conflict`` when the state does not allow it, when a destination is given for a server
    that still has its host, or when host and zone do not go together; ``Invalid`` for an unknown one.
    """
    server = actions.allowed(w, server_id, "unshelve")
    is_offloaded = server.vm_state == states.SHELVED_OFFLOADED
    if (to.has_zone or to.host) and not is_offloaded:
        raise Conflict(
            f'Specifying an availability zone or a host when unshelving server "{server.id}" with status '
            f'"{server.vm_state}" is not supported. The server status must be SHELVED_OFFLOADED.',
            code="server.state",
        )
    image_id = server.shelved_image_id or ""
    values = _destined(w, server, to) if is_offloaded else {}
    if is_offloaded and image_id:
        values["image"] = {**server.image, "root": _root(w, image_id)}
    task = image_tasks.Unshelve(server.id, image_id, is_offloaded)
    return actions.begin(w, server, "unshelve", task, values=values)


def _destined(w: Work, server: Server, to: Destination) -> dict[str, Any]:
    zone = (to.zone or "") if to.has_zone else server.pinned_zone
    if to.has_zone and zone and not _is_available(w, zone):
        raise Invalid("The requested availability zone is not available", field="availability_zone")
    if to.host:
        try:
            host = hosts.by_name(w, to.host)
        except NotFound as error:
            raise Invalid(error.message, field="host") from error
        if zone and host.zone != zone:
            raise Conflict(f'Host "{to.host}" is not in the availability zone "{zone}".', code="host.other_zone")
    return {"pinned_zone": zone, "availability_zone": zone, "forced_host": to.host}


def _is_available(w: Work, zone: str) -> bool:
    there = sa.select(hosts.Host.id).where(hosts.Host.zone == zone, hosts.Host.enabled.is_(True))
    return w.session.scalar(there.limit(1)) is not None


def _root(w: Work, image_id: str) -> dict[str, Any]:
    """What the server's root disk stands on from now on; of an image that is gone only the id is known."""
    image = made.find(w, image_id)
    if image is None or image.status != "active":
        return {"id": image_id, "disk_format": "qcow2", "size": 0, "sha512": ""}
    return {"id": image.id, "disk_format": image.disk_format, "size": image.size, "sha512": image.os_hash_value}


def unshelved(w: Work, server_id: str) -> None:
    """The server is no longer shelved, and its image no longer needed. Repeatable."""
    values = {"shelved_at": None, "shelved_image_id": None, "forced_host": ""}
    if change(w, server_id, values, Server.deleted_at.is_(None), Server.vm_state.not_in(_SHELVED)):
        attachments.move_host(w, server_id, w.session.get_one(Server, server_id).host or "")


def forget_root(w: Work, server_id: str) -> None:
    """The server's root disk has begun from its own image again. Repeatable."""
    server = w.session.get(Server, server_id)
    if server is not None and server.image.get("root"):
        image = {name: value for name, value in server.image.items() if name != "root"}
        change(w, server_id, {"image": image}, Server.deleted_at.is_(None))


def is_lost(w: Work, image_id: str) -> bool:
    """Whether the image that a server consists of is gone."""
    image = made.find(w, image_id) if image_id else None
    return bool(image_id) and (image is None or image.status != "active")
