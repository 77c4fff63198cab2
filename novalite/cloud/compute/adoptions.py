"""Guests that somebody else made and that become servers: what was theirs, so that it can be theirs again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute import block_devices, flavors, new_servers, server_quota, servers, states, tasks
from novalite.cloud.compute.carrying_tasks import AdoptGuest, GiveGuestBack
from novalite.cloud.compute.flavors import Flavor
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.cloud.identity import projects
from novalite.cloud.network import networks, new_ports
from novalite.cloud.network.networks import NetworkRequest
from novalite.cloud.network.new_ports import NewPort
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import attachments, types, usage, volumes
from novalite.cloud.volume.records import Snapshot, Volume
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.drivers.compute.base import ForeignDisk, ForeignGuest
from novalite.drivers.storage.base import FOUND
from novalite.errors import Conflict, Invalid, NotFound

TAKING, ADOPTED, GIVING_BACK = "taking", "adopted", "giving back"
_GIB = 1 << 30


class Adoption(Base):
    """One guest that was taken over; it outlives its server. ``definition`` is the hypervisor's of before. ``volumes``
    are ``id``, ``path`` and ``format`` of its disks; ``flavor_id`` is set where a flavor was made for it. With
    ``deletes_disks`` the disks' files go with their volumes."""

    __tablename__ = "adoptions"

    server_id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str]
    host: Mapped[str]
    status: Mapped[str] = mapped_column(sa.String(16), default=TAKING)
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    definition: Mapped[str] = mapped_column(sa.Text)
    starts_with_machine: Mapped[bool] = mapped_column(default=False)
    volumes: Mapped[list[Any]]
    left_out: Mapped[list[str]]
    flavor_id: Mapped[str] = mapped_column(default="")
    deletes_disks: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]

    @property
    def volume_ids(self) -> list[str]:
        return [each["id"] for each in self.volumes]


@dataclass(frozen=True)
class Asked:
    """``networks`` by id or name, one for all cards or one for each; empty: the only one there is."""

    networks: tuple[str, ...] = ()
    name: str = ""


def project_of(w: Work, wanted: str) -> str:
    """The id of a project by id or name. Raises ``Invalid``, also for a name that two domains have a project of."""
    found = projects.find(w, {"id": wanted}) or projects.find(w, {"name": wanted})
    if not found:
        raise Invalid(f"There is no project {wanted[:64]}.", field="adoption.project")
    if len(found) > 1:
        ids = " or ".join(each.id for each in found)
        raise Invalid(f"There are {len(found)} projects called {wanted[:64]}; give the id: {ids}.",
                      field="adoption.project")  # fmt: skip
    return found[0].id


def require_adoptable(guest: ForeignGuest) -> None:
    """Raises ``Conflict`` that tells everything that is in the way."""
    if guest.refusals:
        raise Conflict(f"{guest.name} cannot be adopted: {'; '.join(guest.refusals)}.", code="adoption.refused")


def begin(w: Work, guest: ForeignGuest, host: str, asked: Asked) -> Adoption:
    """Record the guest as a server of the caller's project, its disks as volumes and its cards as ports, and leave the
    task that takes it.

    Raises ``Conflict`` (refused, adopted already, a MAC or disk that is known), ``Invalid`` naming the field,
    ``OverQuota``.
    """
    require_adoptable(guest)
    _refuse_known(w, guest)
    flavor, is_made = _flavor(w, guest)
    wanted = _networks(w, guest, asked)
    each = {"instances": 1, "cores": guest.vcpus, "ram": guest.memory_mib}
    server_quota.fitting(w, w.ctx.project_id, w.ctx.user_id, each)
    server = w.session.merge(_server(w, guest, host, flavor, asked.name or guest.name))
    w.session.flush()
    made = _volumes(w, server, guest)
    _ports(w, server, guest, wanted)
    _claim(w, server, host)
    adoption = Adoption(
        server_id=server.id, project_id=server.project_id, name=guest.name, host=host, status=TAKING,
        definition=guest.definition, starts_with_machine=guest.starts_with_machine, volumes=made,
        left_out=list(guest.left_out), flavor_id=flavor.id if is_made else "", created_at=w.now,
    )  # fmt: skip
    w.session.add(adoption)
    durable.start(w, AdoptGuest(server.id), key=tasks.key(server.id), resource_id=server.id,
                  project_id=server.project_id)  # fmt: skip
    w.announce(servers.TOPIC, server.id, server.project_id)
    w.session.flush()
    return adoption


def _refuse_known(w: Work, guest: ForeignGuest) -> None:
    server = w.session.get(Server, guest.id)
    if find(w, guest.id) is not None or (server is not None and server.deleted_at is None):
        raise Conflict(f"{guest.name} is adopted already, or its UUID is a server's.", code="adoption.exists")
    disks = {os.path.realpath(disk.path): disk.path for disk in guest.disks}
    for volume_id, location in w.session.execute(sa.select(Volume.id, Volume.location)):
        path = disks.get(os.path.realpath(str((location or {}).get("path") or "/")))
        if path is not None:
            raise Conflict(f"The disk {path} is volume {volume_id} already.", code="adoption.disk")


def _flavor(w: Work, guest: ForeignGuest) -> tuple[Flavor, bool]:
    """One of its size that the project sees, else one made for it, and whether."""
    plain = sa.select(Flavor).where(
        Flavor.vcpus == guest.vcpus, Flavor.ram_mib == guest.memory_mib, Flavor.is_public.is_(True),
        Flavor.ephemeral_gib == 0, Flavor.swap_mib == 0,
    )  # fmt: skip
    for flavor in w.session.scalars(plain.order_by(Flavor.id)):
        if not flavor.extra_specs:
            return flavor, False
    values = {"name": f"adopted-{guest.id}", "vcpus": guest.vcpus, "ram_mib": guest.memory_mib, "disk_gib": 0,
              "is_public": False, "description": f"Of {guest.name[:200]}, which was adopted."}  # fmt: skip
    made = flavors.create(w, values)
    flavors.grant(w, made.id, w.ctx.project_id)
    return made, True


def _networks(w: Work, guest: ForeignGuest, asked: Asked) -> list[str]:
    """The network of each card."""
    if not guest.cards:
        return []
    if not asked.networks:
        chosen = networks.choose(w, None)
        if not chosen:
            raise Invalid("There is no network for the cards.", field="adoption.networks")
        return [chosen[0].network_id or ""] * len(guest.cards)
    if len(asked.networks) not in (1, len(guest.cards)):
        raise Invalid(f"It has {len(guest.cards)} cards: name one network, or one for each.", field="adoption.networks")
    known = [each for each in networks.list_visible(w) if not each.is_external]
    found = []
    for wanted in asked.networks * (len(guest.cards) if len(asked.networks) == 1 else 1):
        ids = [each.id for each in known if wanted == each.id] or [each.id for each in known if wanted == each.name]
        if len(ids) != 1:
            raise Invalid(f"There are {len(ids)} networks {wanted[:64]} that servers of the project may be on.",
                          field="adoption.networks")  # fmt: skip
        found.append(ids[0])
    networks.choose(w, [NetworkRequest(network_id=each) for each in found])
    return found


def _server(w: Work, guest: ForeignGuest, host: str, flavor: Flavor, name: str) -> Server:
    """Every attribute that another life of the same id may have left is set. It stays on its host: its disks do."""
    root = _ordered(guest)[0]
    return Server(
        id=guest.id, name=name[:255], hostname=new_servers.hostname_for(name), description=None,
        project_id=w.ctx.project_id, user_id=w.ctx.user_id, vm_state=states.BUILDING, task_state=states.SPAWNING,
        power_state=states.NOSTATE, progress=0, fault=None, host=host, availability_zone=hosts.by_name(w, host).zone,
        pinned_zone="", forced_host=host, flavor=new_servers.flavor_copy(flavor), vcpus=guest.vcpus,
        memory_mib=guest.memory_mib, disk_gib=0, image_id=None, image=_image(guest), key_name=None, key={},
        user_data=None, config_drive=False, metadata_items={}, tags=[], scheduler_hints={}, personality=[],
        group_id=None, disk_config="MANUAL", locked_by="", locked_reason=None, reservation_id=f"r-{guest.id[:8]}",
        root_device_name=f"/dev/{root.device}", guest_password="", old_vm_state=None, rescue_image=None,
        shelved_at=None, shelved_image_id=None, soft_deleted_at=None, trusted_image_certificates=None,
        created_at=w.now, updated_at=w.now, launched_at=None, terminated_at=None, deleted_at=None,
    )  # fmt: skip


def _image(guest: ForeignGuest) -> dict[str, Any]:
    return {"id": "", "name": "", "disk_format": "", "size": 0, "sha512": "", "min_disk": 0, "min_ram": 0,
            "properties": dict(guest.properties)}  # fmt: skip


def _ordered(guest: ForeignGuest) -> list[ForeignDisk]:
    """The one to boot from first."""
    return sorted(guest.disks, key=lambda disk: disk.boot_order or 1 << 20)


def _volumes(w: Work, server: Server, guest: ForeignGuest) -> list[dict[str, str]]:
    kind = types.ensure_default(w)
    sizes = [max(1, -(-disk.size // _GIB)) for disk in guest.disks]
    usage.require(w, server.project_id, kind=kind, volume_gib=max(sizes), volumes=len(sizes), gigabytes=sum(sizes))
    made = []
    for number, disk in enumerate(_ordered(guest)):
        volume = Volume(
            id=new_id(), name=f"{guest.name[:200]} {disk.device}", description=f"Found at {disk.path}"[:255],
            project_id=server.project_id, user_id=server.user_id, status="available",
            size_gib=max(1, -(-disk.size // _GIB)), availability_zone="nova", bootable=number == 0,
            read_only=disk.read_only, metadata_items={}, image_metadata={}, type_id=kind.id, backend=FOUND,
            location={"path": disk.path, "format": disk.format}, host=f"{server.host}@{FOUND}#{FOUND}",
            created_at=w.now, launched_at=w.now,
        )  # fmt: skip
        w.session.add(volume)
        w.session.flush()
        attachment = attachments.reserve(w, volume.id, server.id)
        attachment.serial = disk.serial if sum(disk.serial == other.serial for other in guest.disks) == 1 else ""
        block_devices.add(
            w, server, block_devices.of_server(w, server.id), source=block_devices.VOLUME, source_id=volume.id,
            destination=block_devices.VOLUME, volume_id=volume.id, attachment_id=attachment.id,
            size=volume.size_gib, device_name=f"/dev/{disk.device}", disk_bus=disk.bus,
            boot_index=0 if number == 0 else None, delete_on_termination=False,
        )  # fmt: skip
        attachments.attach(w, attachment.id, device=f"/dev/{disk.device}", host=server.host or "")
        made.append({"id": volume.id, "path": disk.path, "format": disk.format})
    return made


def _ports(w: Work, server: Server, guest: ForeignGuest, wanted: Sequence[str]) -> None:
    """Each card keeps its MAC."""
    owner = f"compute:{server.availability_zone or 'nova'}"
    new = [
        NewPort(network_id=network_id, mac_address=card.mac_address, device_id=server.id, device_owner=owner,
                dns_name=server.hostname, position=place, is_compute_made=True, host=server.host or "")
        for place, (card, network_id) in enumerate(zip(guest.cards, wanted, strict=True))
    ]  # fmt: skip
    if new:
        new_ports.create_many(w, new)


def _claim(w: Work, server: Server, host: str) -> None:
    room = hosts.Room(server.vcpus, server.memory_mib, 0)
    if not hosts.claim(w, host_id=hosts.by_name(w, host).id, server_id=server.id, room=room):
        raise Conflict(f"Host {host} has no room for {server.vcpus} vCPUs and {server.memory_mib} MiB beside its "
                       "other servers, or takes none.", code="adoption.no_room")  # fmt: skip


def find(w: Work, server_id: str) -> Adoption | None:
    return w.session.get(Adoption, server_id, populate_existing=True)


def get(w: Work, server_id: str) -> Adoption:
    """Raises ``NotFound``."""
    found = find(w, server_id)
    if found is None:
        raise NotFound("adoption", server_id, message=f"{server_id} was not adopted.")
    return found


def everyone(w: Work) -> list[Adoption]:
    """All there are, by name."""
    return list(w.session.scalars(sa.select(Adoption).order_by(Adoption.name, Adoption.server_id)))


def taken(w: Work, server_id: str) -> None:
    """The guest is the appliance's; its server is off."""
    row = sa.update(Adoption).where(Adoption.server_id == server_id, Adoption.status == TAKING)
    w.changed(row.values(status=ADOPTED))


def set_deletes_disks(w: Work, server_id: str, deletes: bool) -> Adoption:
    """Whether the files of its disks go with their volumes, and these with the server. Raises ``NotFound``."""
    found = get(w, server_id)
    found.deletes_disks = deletes
    for row in block_devices.of_server(w, server_id):
        if row.volume_id in found.volume_ids:
            row.delete_on_termination = deletes
    w.session.flush()
    return found


def begin_giving_back(w: Work, server_id: str) -> Adoption:
    """Leave the task that gives the guest back. Raises ``NotFound``, ``Conflict`` while its server does something or is
    not off, and for volumes that are used elsewhere, have moved away or have snapshots. Asking again while it goes is
    fine."""
    found = get(w, server_id)
    if found.status == GIVING_BACK:
        return found
    server = w.session.get(Server, server_id)
    is_there = server is not None and server.deleted_at is None
    if server is not None and is_there and (server.task_state or server.vm_state not in (states.STOPPED, states.ERROR)):
        raise Conflict(f"Server {server.name} is {server.status}; stop it first.", code="server.state")
    _refuse_used(w, found)
    set_deletes_disks(w, server_id, False)
    w.changed(sa.update(Adoption).where(Adoption.server_id == server_id).values(status=GIVING_BACK, problem=""))
    if server is not None and is_there:
        free = Server.task_state.is_(None), Server.vm_state.in_((states.STOPPED, states.ERROR))
        if not servers.change(w, server_id, {"task_state": states.DELETING}, *free):
            raise Conflict(f"Server {server.name} is just being changed.", code="server.state", hint="Try again.")
    durable.start(w, GiveGuestBack(server_id), key=tasks.key(server_id), resource_id=server_id,
                  project_id=found.project_id)  # fmt: skip
    w.session.refresh(found)
    return found


def _refuse_used(w: Work, found: Adoption) -> None:
    for volume_id, used in attachments.of_volumes(w, found.volume_ids).items():
        if any(each.server_id != found.server_id for each in used):
            raise Conflict(f"Volume {volume_id} is attached to another server.", code="adoption.in_use")
    for volume in volumes.get_many(w, found.volume_ids).values():
        if volume.backend != FOUND:
            raise Conflict(f"Volume {volume.id} has moved to backend {volume.backend}: what was its file does not hold "
                           "its data any more.", code="adoption.moved", hint="Copy them back and delete the volume, or "
                           "keep the server.")  # fmt: skip
    snapshots = sa.select(Snapshot.volume_id).where(Snapshot.volume_id.in_(found.volume_ids)).limit(1)
    with_snapshot = w.session.scalar(snapshots)
    if with_snapshot is not None:
        raise Conflict(f"Volume {with_snapshot} has snapshots; delete them first.", code="adoption.snapshots")


def given_back(w: Work, server_id: str) -> None:
    """Nothing of it is here any more: its volumes are forgotten, their data stay. Repeatable."""
    found = find(w, server_id)
    if found is None:
        return
    for volume in volumes.get_many(w, found.volume_ids).values():
        if volume.backend == FOUND:
            w.session.delete(volume)
    flavor = w.session.get(Flavor, found.flavor_id) if found.flavor_id else None
    if flavor is not None:
        w.session.delete(flavor)
    w.session.delete(found)
    w.session.flush()


def not_given_back(w: Work, server_id: str, why: str) -> None:
    """It stays as it was."""
    w.changed(sa.update(Adoption).where(Adoption.server_id == server_id, Adoption.status == GIVING_BACK)
              .values(status=ADOPTED, problem=why[:2000]))  # fmt: skip
    servers.change(
        w, server_id, {"task_state": None}, Server.deleted_at.is_(None), Server.task_state == states.DELETING
    )


def told(found: Adoption) -> Mapping[str, Any]:
    """For people."""
    return {
        "server_id": found.server_id, "project_id": found.project_id, "name": found.name, "host": found.host,
        "status": found.status, "problem": found.problem, "left_out": found.left_out,
        "disks": [{"volume_id": each["id"], "path": each["path"]} for each in found.volumes],
        "deletes_disks": found.deletes_disks,
    }  # fmt: skip
