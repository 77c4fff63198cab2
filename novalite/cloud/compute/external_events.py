"""What other services tell about servers, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from novalite.cloud.compute import progress, tasks
from novalite.cloud.compute.image_tasks import ExtendVolume, LookAt
from novalite.cloud.compute.servers import change
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments
from novalite.db.work import Work

NETWORK_CHANGED, VOLUME_EXTENDED, POWER_UPDATE = "network-changed", "volume-extended", "power-update"
_POWER_TAGS = ("POWER_ON", "POWER_OFF")


@dataclass(frozen=True)
class Event:
    """``tag`` names what it is about: a port, a volume, ``POWER_ON`` or ``POWER_OFF``."""

    server_id: str
    name: str
    tag: str = ""


def happened(w: Work, event: Event) -> None:
    """Let what has happened to a server on a host take effect. What the rest of the product reads afresh each time
    (cards, for instance) needs nothing."""
    if event.name == NETWORK_CHANGED:
        change(w, event.server_id, {})
    elif event.name == VOLUME_EXTENDED and _is_plugged_in(w, event):
        _start(w, event.server_id, ExtendVolume(event.server_id, event.tag))
    elif event.name == POWER_UPDATE and event.tag in _POWER_TAGS:
        _start(w, event.server_id, LookAt(event.server_id))


def _is_plugged_in(w: Work, event: Event) -> bool:
    """Whether this cloud attached the volume: what users note by hand about servers concerns no server."""
    found = attachments.between(w, event.tag, event.server_id)
    return found is not None and found.by_compute


def _start(w: Work, server_id: str, task: durable.Kind) -> None:
    server = progress.find(w, server_id)
    if server is not None:
        durable.start(w, task, key=tasks.key(server_id), resource_id=server_id, project_id=server.project_id)
