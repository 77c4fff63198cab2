"""How new servers are asked for."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from novalite.cloud.compute import (
    boot_devices,
    flavors,
    guest_properties,
    keypairs,
    personality,
    server_groups,
    server_quota,
    states,
    tasks,
)
from novalite.cloud.compute.boot_devices import Asked, Layout
from novalite.cloud.compute.servers import TOPIC, Server
from novalite.cloud.hosts import hosts
from novalite.cloud.identity import quotas
from novalite.cloud.network import allocation, auto_topology, ports
from novalite.cloud.tasks import tasks as durable
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound, OverQuota


@dataclass(frozen=True)
class NewServer:
    """A request for ``min_count`` to ``max_count`` servers. ``image_id`` empty: no image is given. ``layout``,
    where the disks are known already, counts instead of it and ``devices``.

    ``networks`` is None, ``auto``, ``none`` or a list of ``ports.NetworkRequest``-like items that
    ``networks.choose`` understands; ``user_data`` is base64 text; ``zone`` may be ``zone[:host[:node]]``; ``import_id``
    names the import that holds the content of ephemeral disks.
    """

    name: str
    flavor_id: str
    image_id: str
    devices: Asked = field(default_factory=Asked)
    layout: Layout | None = None
    networks: Any = None
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    user_data: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    description: str | None = None
    hostname: str = ""
    zone: str = ""
    config_drive: bool = False
    admin_pass: str = ""
    min_count: int = 1
    max_count: int = 1
    scheduler_hints: dict[str, Any] = field(default_factory=dict)
    personality: tuple[dict[str, str], ...] = ()
    disk_config: str = "MANUAL"
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    trusted_image_certificates: list[str] | None = None
    import_id: str = ""


def create(w: Work, new: NewServer, *, boot_seconds: float = 900.0) -> list[Server]:
    """Record new servers with their ports and boot tasks; the guests follow. A boot that takes longer than
    ``boot_seconds`` is undone.

    Raises ``Invalid`` naming the field, ``NotFound``-like errors as ``Invalid`` (Nova's 400 for references
    in a body), ``Conflict`` for networks, ``OverQuota``.
    """
    flavor = _referenced(lambda: flavors.get(w, new.flavor_id), "flavorRef")
    layout = new.layout or boot_devices.resolve(w, new.image_id, new.devices, flavor, count=new.max_count)
    guest_properties.refuse_nonsense(vcpus=flavor.vcpus, ram_mib=flavor.ram_mib, extra_specs=flavor.extra_specs,
                                     image_properties=layout.image.get("properties") or {})  # fmt: skip
    if new.trusted_image_certificates and not layout.image_id:
        raise Invalid("Image certificate validation is not supported when booting from volume.",
                      field="trusted_image_certificates")  # fmt: skip
    key = _referenced(lambda: keypairs.get(w, new.key_name), "key_name") if new.key_name else None
    zone, forced_host = _zone(w, new.zone)
    group = _group(w, new)
    count = _within_quota(w, new, flavor, group)
    wanted = auto_topology.choose(w, new.networks)
    if count > 1 and any(item.port_id or item.fixed_ip for item in wanted):
        raise Invalid("A port or a fixed IP can be given to one server only.", field="max_count")
    reservation_id = f"r-{secrets.token_hex(4)}"
    made = []
    for index in range(count):
        name = new.name if count == 1 else f"{new.name}-{index + 1}"
        server = Server(
            id=new_id(), name=name, hostname=new.hostname or hostname_for(name), description=new.description,
            project_id=w.ctx.project_id, user_id=w.ctx.user_id, vm_state=states.BUILDING,
            task_state=states.SCHEDULING, availability_zone=zone, pinned_zone=zone, forced_host=forced_host,
            flavor=flavor_copy(flavor), vcpus=flavor.vcpus, memory_mib=flavor.ram_mib,
            disk_gib=(flavor.disk_gib if layout.image_id else 0) + flavor.ephemeral_gib, image_id=layout.image_id,
            image=layout.image, root_device_name=boot_devices.root_name(layout),
            key_name=new.key_name, key=key_copy(key), user_data=new.user_data, config_drive=new.config_drive,
            metadata_items=dict(new.metadata), tags=sorted(set(new.tags)), scheduler_hints=dict(new.scheduler_hints),
            personality=list(new.personality), group_id=group.id if group else None, disk_config=new.disk_config,
            access_ip_v4=new.access_ip_v4, access_ip_v6=new.access_ip_v6, reservation_id=reservation_id,
            trusted_image_certificates=new.trusted_image_certificates, launch_index=index, created_at=w.now,
            updated_at=w.now,
        )  # fmt: skip
        w.session.add(server)
        w.session.flush()
        _make_ports(w, server, wanted, new.security_groups)
        boot_devices.record(w, server, layout)
        durable.start(
            w, tasks.Boot(server.id, new.admin_pass, new.import_id), key=tasks.key(server.id), resource_id=server.id,
            project_id=server.project_id, deadline_seconds=boot_seconds,
        )  # fmt: skip
        w.announce(TOPIC, server.id, server.project_id)
        made.append(server)
    return made


def _referenced(find: Any, field_name: str) -> Any:
    try:
        return find()
    except NotFound as error:
        raise Invalid(error.message, field=field_name) from error


def _zone(w: Work, text: str) -> tuple[str, str]:
    zone, _, rest = text.partition(":")
    host = rest.partition(":")[0] or rest.rpartition(":")[2]
    if host and not w.ctx.is_admin:
        raise Invalid("Only an administrator may name the host.", field="availability_zone")
    if host and w.session.scalar(sa.select(hosts.Host.id).where(hosts.Host.name == host)) is None:
        raise Invalid(f"Compute host {host} could not be found.", field="availability_zone")
    if zone and w.session.scalar(sa.select(hosts.Host.id).where(hosts.Host.zone == zone).limit(1)) is None:
        raise Invalid("The requested availability zone is not available", field="availability_zone")
    return zone, host


def _group(w: Work, new: NewServer) -> server_groups.ServerGroup | None:
    wanted = new.scheduler_hints.get("group")
    if not wanted:
        return None
    group: server_groups.ServerGroup = _referenced(lambda: server_groups.get(w, str(wanted)), "os:scheduler_hints")
    return group


def _within_quota(w: Work, new: NewServer, flavor: flavors.Flavor, group: server_groups.ServerGroup | None) -> int:
    project_id = w.ctx.project_id
    limits = quotas.limits(w, project_id)
    per_server = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.ram_mib}
    count = server_quota.fitting(w, project_id, w.ctx.user_id, per_server, least=new.min_count, most=new.max_count)
    if 0 <= limits["metadata_items"] < len(new.metadata):
        raise OverQuota("metadata_items", limit=limits["metadata_items"], used=0, asked=len(new.metadata))
    personality.refuse_beyond_quota(w, project_id, new.personality)
    if group is not None:
        members = (
            sa.select(sa.func.count())
            .select_from(Server)
            .where(Server.group_id == group.id, Server.deleted_at.is_(None))
        )
        there, limit = int(w.session.scalar(members) or 0), limits["server_group_members"]
        if 0 <= limit < there + count:
            raise OverQuota(
                "server_group_members",
                limit=limit,
                used=there,
                asked=count,
                message="Quota exceeded, too many servers in group",
            )
    return count


def _make_ports(w: Work, server: Server, wanted: list[Any], security_groups: tuple[str, ...]) -> None:
    owner = f"compute:{server.availability_zone or 'nova'}"
    new = []
    for position, item in enumerate(wanted):
        if item.port_id:
            ports.bind(
                w, item.port_id, server.id, owner, dns_name=server.hostname, tag=item.tag or "", position=position
            )
            continue
        new.append(
            ports.NewPort(
                network_id=item.network_id,
                fixed_ips=(allocation.Asked(item.fixed_ip),) if item.fixed_ip else None,
                device_id=server.id,
                device_owner=owner,
                security_groups=security_groups or None,
                dns_name=server.hostname,
                tag=item.tag or "",
                position=position,
                is_compute_made=True,
            )
        )
    if new:
        ports.create_many(w, new)


def flavor_copy(flavor: flavors.Flavor) -> dict[str, Any]:
    """What a server keeps of its flavor."""
    return {
        "id": flavor.id, "name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram_mib,
        "disk": flavor.disk_gib, "ephemeral": flavor.ephemeral_gib, "swap": flavor.swap_mib,
        "extra_specs": dict(flavor.extra_specs),
    }  # fmt: skip


def key_copy(key: keypairs.Keypair | None) -> dict[str, str]:
    """What a server keeps of the key pair it is made with."""
    return {} if key is None else {"name": key.name, "type": key.type, "public_key": key.public_key}


def hostname_for(name: str) -> str:
    """A host name from a server's name: lower case letters, digits and hyphens, at most 63 characters."""
    text = re.sub(r"[^a-z0-9-]", "", re.sub(r"[\s_.]", "-", name.lower()))
    return text.strip("-")[:63].strip("-") or "server"
