"""A copy becomes a new server, or a new volume, in one action."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import boot_devices, boot_image, new_servers, protection
from novalite.cloud.compute.block_devices import BACKUP, IMAGE, LOCAL
from novalite.cloud.compute.block_devices import VOLUME as VOLUME_DISK
from novalite.cloud.compute.boot_devices import Layout
from novalite.cloud.compute.device_requests import DeviceRequest
from novalite.cloud.compute.new_servers import NewServer
from novalite.cloud.compute.protection_records import SERVER, VOLUME, ProtectionRun
from novalite.cloud.compute.servers import Server, change
from novalite.cloud.image import images
from novalite.cloud.network.networks import NetworkRequest
from novalite.cloud.network.records import Port, PortSecurityGroup
from novalite.cloud.volume import backups, usage
from novalite.db.work import Work


@dataclass(frozen=True)
class Restored:
    """The new server or volume."""

    resource_type: str
    resource_id: str
    name: str


def facts(w: Work, server: Server) -> dict[str, Any]:
    """What a new server must be given to be like this one; its disk is the copy's."""
    query = sa.select(Port.id, Port.network_id, Port.tag).where(Port.device_id == server.id)
    cards = w.session.execute(query.order_by(Port.position, Port.created_at, Port.id)).all()
    on_cards = PortSecurityGroup.port_id.in_([card.id for card in cards])
    groups = w.session.scalars(sa.select(PortSecurityGroup.group_id).where(on_cards).distinct())
    return {
        "name": server.name, "flavor_id": server.flavor["id"], "networks": [[one.network_id, one.tag] for one in cards],
        "security_groups": sorted(groups), "key_name": server.key_name, "key": dict(server.key),
        "user_data": server.user_data, "config_drive": server.config_drive, "metadata": dict(server.metadata_items),
        "tags": list(server.tags), "description": server.description, "zone": server.pinned_zone,
        "memory_mib": server.memory_mib,
    }  # fmt: skip


def restore(w: Work, resource_id: str, name: str, *, run_id: str = "", boot_seconds: float = 900.0) -> Restored:
    """Of the newest copy, unless a run is named. Raises ``NotFound``, ``Conflict`` for a run without a copy, and what
    the making of a server or volume raises."""
    run = protection.restorable(w, resource_id, run_id)
    if run.resource_type == VOLUME:
        _, volume = backups.restore(w, run.copy_id or "", name=name)
        return Restored(VOLUME, volume.id, name)
    if run.volumes:
        whole = sum(int(each["size_gib"]) for each in run.volumes)
        usage.require(w, w.ctx.project_id, volumes=len(run.volumes), gigabytes=whole)
        boot_seconds += protection.MOST_SECONDS
    [server] = new_servers.create(w, _request(run, name, _layout(w, run)), boot_seconds=boot_seconds)
    # A server has a copy of its key, and may outlive it: so the new one gets that of the old.
    change(w, server.id, {"key_name": run.facts["key_name"], "key": run.facts["key"]})
    return Restored(SERVER, server.id, name)


def _layout(w: Work, run: ProtectionRun) -> Layout | None:
    """The disks of a server that had volumes: those that are made of their backups, where they were."""
    if not run.volumes:
        return None
    devices = [
        DeviceRequest(
            BACKUP, VOLUME_DISK, each["backup_id"], size=each["size_gib"], disk_bus=each["disk_bus"],
            boot_index=each["boot_index"], device_name=str(each["device_name"] or "").removeprefix("/dev/"),
            delete_on_termination=each["delete_on_termination"], tag=each["tag"],
        )
        for each in run.volumes
    ]  # fmt: skip
    if run.image_id is None:
        root = backups.get(w, run.backup_ids[0])
        return Layout(None, boot_devices.facts_of(root.volume_facts.get("image_metadata") or {}), tuple(devices))
    image = images.get(w, run.image_id)
    own = DeviceRequest(IMAGE, LOCAL, image.id, boot_index=0, delete_on_termination=True)
    return Layout(image.id, boot_image.copy(image), (own, *devices))


def _request(run: ProtectionRun, name: str, layout: Layout | None) -> NewServer:
    told = run.facts
    wanted = [NetworkRequest(network_id=network_id, tag=tag) for network_id, tag in told["networks"]]
    return NewServer(
        name=name, flavor_id=told["flavor_id"], image_id=run.image_id or "", layout=layout, networks=wanted or "none",
        security_groups=tuple(told["security_groups"]), user_data=told["user_data"], metadata=told["metadata"],
        tags=tuple(told["tags"]), description=told["description"], zone=told["zone"],
        config_drive=told["config_drive"], admin_pass=secrets.token_urlsafe(9),
    )  # fmt: skip
