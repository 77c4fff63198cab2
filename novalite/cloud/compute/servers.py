"""Servers: the record, how one is found, and how new ones are asked for."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute import (
    boot_devices,
    flavors,
    guest_properties,
    keypairs,
    migrations,
    personality,
    server_groups,
    states,
    tasks,
)
from novalite.cloud.compute.boot_devices import Asked
from novalite.cloud.hosts import hosts
from novalite.cloud.identity import quotas
from novalite.cloud.network import networks, ports
from novalite.cloud.tasks import tasks as durable
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound, OverQuota

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


@dataclass(frozen=True)
class NewServer:
    """A request for ``min_count`` to ``max_count`` servers. ``image_id`` empty: no image is given.

    ``networks`` is None, ``auto``, ``none`` or a list of ``ports.NetworkRequest``-like items that
    ``networks.choose`` understands; ``user_data`` is base64 text; ``zone`` may be ``zone[:host[:node]]``.
    """

    name: str
    flavor_id: str
    image_id: str
    devices: Asked = field(default_factory=Asked)
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


def usage(w: Work, project_id: str, user_id: str = "") -> dict[str, int]:
    """What a project's servers (those of one user, where one is named) use now, counted from the servers
    themselves: instances, cores, ram (MiB). Those deleted softly do not count until they are restored; one that
    changes its size counts by the larger one."""
    aside = sa.and_(Server.vm_state == states.SOFT_DELETED, Server.task_state.is_distinct_from(states.RESTORING))
    whose = [Server.project_id == project_id, *([Server.user_id == user_id] if user_id else [])]
    row = w.session.execute(
        sa.select(sa.func.count(), sa.func.sum(Server.vcpus), sa.func.sum(Server.memory_mib)).where(
            *whose, Server.deleted_at.is_(None), ~aside
        )
    ).one()
    cores, ram = migrations.extra_use(w, Server, *whose)
    return {"instances": int(row[0]), "cores": int(row[1] or 0) + cores, "ram": int(row[2] or 0) + ram}


def create(w: Work, new: NewServer, *, boot_seconds: float = 900.0) -> list[Server]:
    """Record new servers with their ports and boot tasks; the guests follow. A boot that takes longer than
    ``boot_seconds`` is undone.

    Raises ``Invalid`` naming the field, ``NotFound``-like errors as ``Invalid`` (Nova's 400 for references
    in a body), ``Conflict`` for networks, ``OverQuota``.
    """
    flavor = _referenced(lambda: flavors.get(w, new.flavor_id), "flavorRef")
    layout = boot_devices.resolve(w, new.image_id, new.devices, flavor, count=new.max_count)
    guest_properties.refuse_nonsense(vcpus=flavor.vcpus, ram_mib=flavor.ram_mib, extra_specs=flavor.extra_specs,
                                     image_properties=layout.image.get("properties") or {})  # fmt: skip
    key = _referenced(lambda: keypairs.get(w, new.key_name), "key_name") if new.key_name else None
    zone, forced_host = _zone(w, new.zone)
    group = _group(w, new)
    count = _within_quota(w, new, flavor, group)
    wanted = networks.choose(w, new.networks)
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
            launch_index=index, created_at=w.now, updated_at=w.now,
        )  # fmt: skip
        w.session.add(server)
        w.session.flush()
        _make_ports(w, server, wanted, new.security_groups)
        boot_devices.record(w, server, layout)
        durable.start(
            w, tasks.Boot(server.id, new.admin_pass), key=tasks.key(server.id), resource_id=server.id,
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
    count = fitting(w, project_id, w.ctx.user_id, per_server, least=new.min_count, most=new.max_count)
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


def fitting(w: Work, project_id: str, user_id: str, each: dict[str, int], *, least: int = 1, most: int = 1) -> int:
    """How many times ``each`` (instances, cores, ram) still fits what the project and the user may have, at most
    ``most``; nobody else asks for more of the project until the unit ends. Raises ``OverQuota`` below ``least``."""
    quotas.hold(w, project_id)
    shares = [(quotas.limits(w, project_id), usage(w, project_id))]
    own = quotas.user_limits(w, project_id, user_id)
    if own:
        shares.append((dict.fromkeys(each, -1) | own, usage(w, project_id, user_id)))
    count = most
    for limits, used in shares:
        for resource, amount in each.items():
            if limits[resource] >= 0 and amount > 0:
                count = min(count, max(0, limits[resource] - used[resource]) // amount)
        if count < least:
            over = [r for r, amount in each.items() if amount > 0 and 0 <= limits[r] < used[r] + amount * least]
            raise over_quota(over, limits, used, {r: amount * least for r, amount in each.items()})
    return count


def over_quota(names: list[str], limits: dict[str, int], used: dict[str, int], asked: dict[str, int]) -> OverQuota:
    """The refusal that names all of ``names`` at once."""
    names = sorted(names)
    listed = ", ".join(names)
    wanted, there, most = (", ".join(str(facts[name]) for name in names) for facts in (asked, used, limits))
    text = f"Quota exceeded for {listed}: Requested {wanted}, but already used {there} of {most} {listed}"
    first = names[0]
    return OverQuota(first, limit=limits[first], used=used[first], asked=asked[first], message=text)


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
                fixed_ip=item.fixed_ip,
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
