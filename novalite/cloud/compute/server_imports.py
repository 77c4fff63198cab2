"""Servers on their way in: what came of them, checked against what is here, until a server stands on it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.compute import flavors, server_quota
from novalite.cloud.compute.carrying_tasks import ImportServer, key
from novalite.cloud.compute.flavors import Flavor
from novalite.cloud.compute.server_manifest import EPHEMERAL, ROOT, VOLUME
from novalite.cloud.image import image_keys, images, made
from novalite.cloud.image.images import NewImage
from novalite.cloud.image.records import Image
from novalite.cloud.network import networks, security_groups
from novalite.cloud.network.records import Network
from novalite.cloud.tasks import tasks as durable
from novalite.cloud.volume import types, usage
from novalite.db.paging import Page
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

AWAITED, MAKING, DONE, FAILED = "awaited", "making", "done", "failed"
KEPT = timedelta(hours=24)
"""How long its disks may take to arrive, and how long its end is told."""
_DEADLINE_SECONDS = 24 * 3600.0
_GIB = 1 << 30


class ServerImport(Base):
    """One import. ``wishes`` are what it was asked to be here (name, flavor, networks, security groups); ``disks`` name
    for each disk of the manifest its ``image_id``, and its ``volume_id`` once there is one."""

    __tablename__ = "server_imports"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[str] = mapped_column(sa.String(16), default=AWAITED)
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    manifest: Mapped[dict[str, Any]]
    wishes: Mapped[dict[str, Any]]
    disks: Mapped[list[Any]]
    server_id: Mapped[str | None] = mapped_column(Id)
    task_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)

    @property
    def root_image_id(self) -> str:
        """Of the image that the server begins from; empty when it boots from a volume."""
        pairs = zip(self.manifest["disks"], self.disks, strict=True)
        return next((disk["image_id"] for told, disk in pairs if told["role"] == ROOT), "")


@dataclass(frozen=True)
class Asked:
    """What is wanted of a file's server here. ``flavor`` by id or name, empty: one of the same size; ``networks`` and
    ``security_groups`` by id or name, None: those that the file names."""

    manifest: Mapping[str, Any]
    name: str = ""
    flavor: str = ""
    networks: tuple[str, ...] | None = None
    security_groups: tuple[str, ...] | None = None


def request(w: Work, asked: Asked) -> ServerImport:
    """Everything is looked for at once, and an image is made for each disk, to be filled by its owner. Raises
    ``Invalid`` naming the field, ``OverQuota``."""
    manifest = dict(asked.manifest)
    _check_disks(manifest["disks"])
    _check_user_data(manifest["server"]["user_data"])
    flavor = _flavor(w, asked)
    wishes = {
        "name": asked.name or manifest["server"]["name"], "flavor_id": flavor.id, "networks": _networks(w, asked),
        "security_groups": _groups(w, asked), "is_renamed": bool(asked.name),
    }  # fmt: skip
    _require_room(w, manifest, flavor)
    found = ServerImport(
        id=new_id(), project_id=w.ctx.project_id, user_id=w.ctx.user_id, status=AWAITED, manifest=manifest,
        wishes=wishes, disks=[], created_at=w.now, expires_at=w.now + KEPT,
    )  # fmt: skip
    found.disks = [
        {"image_id": images.create(w, _image(found, number, disk)).id, "volume_id": ""}
        for number, disk in enumerate(manifest["disks"])
    ]
    w.session.add(found)
    w.session.flush()
    return found


def _check_disks(disks: Sequence[Mapping[str, Any]]) -> None:
    """What the schema alone cannot say."""
    for what in ("file", "name"):
        given = [disk[what] for disk in disks if disk[what]]
        if len(set(given)) != len(given):
            raise _wrong(f"two disks have the same {what}", f"disks.{what}")
    for number, disk in enumerate(disks):
        where = f"disks.{number}"
        if (disk["role"] == VOLUME) != (disk["volume"] is not None):
            raise _wrong(f"{disk['file']} must tell of its volume if, and only if, it is one", f"{where}.volume")
        if (disk["role"] == ROOT) != (disk["name"] == ROOT) or (disk["role"] == EPHEMERAL and not disk["name"]):
            raise _wrong(f"{disk['file']} has a name that its role does not allow", f"{where}.name")
        if disk["role"] == EPHEMERAL and disk["boot_index"] is not None:
            raise _wrong("an ephemeral disk is not booted from", f"{where}.boot_index")
        if disk["role"] == VOLUME and disk["virtual_size"] > disk["volume"]["size"] * _GIB:
            raise _wrong(f"{disk['file']} does not fit into its volume", f"{where}.volume.size")
    bootable = [disk["boot_index"] for disk in disks if disk["boot_index"] is not None]
    if sorted(bootable) != list(range(len(bootable))) or not bootable:
        raise _wrong("exactly one disk must be booted from first", "disks.boot_index")
    first = next(disk for disk in disks if disk["boot_index"] == 0)
    if first["role"] != ROOT and any(disk["role"] == ROOT for disk in disks):
        raise _wrong("the root disk must be booted from first", "disks.boot_index")


def _wrong(why: str, field: str) -> Invalid:
    return Invalid(
        f"The manifest is not right at {field}: {why}.", field=f"import.manifest.{field}", code="import.manifest"
    )


def _check_user_data(text: str | None) -> None:
    try:
        base64.b64decode(text or "", validate=True)
    except binascii.Error as error:
        raise _wrong("user_data is not base64", "server.user_data") from error


def _flavor(w: Work, asked: Asked) -> Flavor:
    told, root = asked.manifest["flavor"], _root_bytes(asked.manifest)
    known = flavors.list_visible(w, Page(), public=None)
    if asked.flavor:
        found = [each for each in known if asked.flavor in (each.id, each.name)]
        if not found:
            raise Invalid(f"Flavor {asked.flavor[:255]} could not be found.", field="import.flavor")
    else:
        alike = [each for each in known if _size(each) == tuple(told[name] for name in _SIZES)]
        found = [each for each in alike if each.name == told["name"]] + alike
        if not found:
            raise Invalid(
                f"No flavor here has {told['vcpus']} vCPUs, {told['ram']} MiB of memory and disks of {told['disk']}, "
                f"{told['ephemeral']} GiB and {told['swap']} MiB as the server had.", field="import.flavor",
                code="import.no_flavor", hint="Name another one: --flavor.",
            )  # fmt: skip
    flavor = found[0]
    if flavor.disk_gib and root > flavor.disk_gib * _GIB:
        raise Invalid(f"The root disk has {root} bytes; flavor {flavor.name} has {flavor.disk_gib} GiB.",
                      field="import.flavor")  # fmt: skip
    kept = [disk for disk in asked.manifest["disks"] if disk["role"] == EPHEMERAL]
    if sum(-(-disk["virtual_size"] // _GIB) for disk in kept) > flavor.ephemeral_gib:
        raise Invalid(f"The ephemeral disks do not fit into the {flavor.ephemeral_gib} GiB of flavor {flavor.name}.",
                      field="import.flavor")  # fmt: skip
    return flavor


_SIZES = ("vcpus", "ram", "disk", "ephemeral", "swap")


def _size(flavor: Flavor) -> tuple[int, ...]:
    return flavor.vcpus, flavor.ram_mib, flavor.disk_gib, flavor.ephemeral_gib, flavor.swap_mib


def _root_bytes(manifest: Mapping[str, Any]) -> int:
    return next((int(disk["virtual_size"]) for disk in manifest["disks"] if disk["role"] == ROOT), 0)


def _networks(w: Work, asked: Asked) -> list[list[str]]:
    """Id and tag of each card."""
    cards = asked.manifest["networks"]
    wanted = [card["network"] for card in cards] if asked.networks is None else list(asked.networks)
    tags = [card["tag"] for card in cards] if asked.networks is None else [""] * len(wanted)
    known = [each for each in networks.list_visible(w) if not each.is_external] if wanted else []
    return [[_network(name, known).id, tag] for name, tag in zip(wanted, tags, strict=True)]


def _network(wanted: str, known: Sequence[Network]) -> Network:
    found = [each for each in known if each.id == wanted] or [each for each in known if each.name == wanted]
    if len(found) == 1:
        return found[0]
    what = "There is no network" if not found else f"There are {len(found)} networks called"
    there = ", ".join(sorted({each.name or each.id for each in known})[:8]) or "none"
    raise Invalid(f"{what} {wanted[:64]} for the server here; there are: {there}.", field="import.networks",
                  code="import.no_network", hint="Say which to use for each card: --network.")  # fmt: skip


def _groups(w: Work, asked: Asked) -> list[str]:
    wanted = asked.manifest["security_groups"] if asked.security_groups is None else asked.security_groups
    try:
        return security_groups.resolve(w, wanted, w.ctx.project_id)
    except Invalid as error:
        raise Invalid(error.message, field="import.security_groups", code="import.no_group",
                      hint="Make it first, or name others: --security-group.") from error  # fmt: skip


def _require_room(w: Work, manifest: Mapping[str, Any], flavor: Flavor) -> None:
    """Before gigabytes are sent in vain; what is made later is counted again."""
    each = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.ram_mib}
    server_quota.fitting(w, w.ctx.project_id, w.ctx.user_id, each)
    sizes = [disk["volume"]["size"] for disk in manifest["disks"] if disk["role"] == VOLUME]
    if sizes:
        usage.require(w, w.ctx.project_id, volume_gib=max(sizes), volumes=len(sizes), gigabytes=sum(sizes))


def _image(found: ServerImport, number: int, disk: Mapping[str, Any]) -> NewImage:
    """That of the root disk stays, as what the server begins from; the others are gone in the end."""
    told, name = found.manifest["image"], found.wishes["name"]
    if disk["role"] == ROOT:
        return NewImage(name=f"{name[:240]} (imported)", disk_format="qcow2", container_format="bare",
                        visibility="private", min_disk=told["min_disk"], min_ram=told["min_ram"],
                        properties=image_keys.without(told["properties"]))  # fmt: skip
    return NewImage(name=f"import of {name[:200]}, disk {number}", disk_format="qcow2", container_format="bare",
                    visibility="private", os_hidden=True, properties={"novalite_import": found.id})  # fmt: skip


def find(w: Work, import_id: str) -> ServerImport | None:
    return w.session.get(ServerImport, import_id, populate_existing=True)


def get(w: Work, import_id: str) -> ServerImport:
    """One of the caller's project (of any for admins). Raises ``NotFound``."""
    found = find(w, import_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("import", import_id, message=f"There is no import {import_id}.")
    return found


def list_visible(w: Work) -> list[ServerImport]:
    """The caller's project's, newest first."""
    query = sa.select(ServerImport).where(ServerImport.project_id == w.ctx.project_id)
    return list(w.session.scalars(query.order_by(ServerImport.created_at.desc(), ServerImport.id)))


def begin(w: Work, import_id: str) -> ServerImport:
    """All disks have come: make the server. Asking again is fine. Raises ``NotFound``, ``Conflict`` for disks that are
    not there or not what the manifest tells of them."""
    found = get(w, import_id)
    if found.status in (MAKING, DONE):
        return found
    if found.status != AWAITED:
        raise Conflict(f"Import {import_id} has failed: {found.problem}", code="import.failed")
    _require_whole(w, found)
    task = durable.start(w, ImportServer(import_id), key=key(import_id), resource_id=import_id,
                         project_id=found.project_id, deadline_seconds=_DEADLINE_SECONDS)  # fmt: skip
    found.status, found.task_id = MAKING, task.id
    w.session.flush()
    return found


def _require_whole(w: Work, found: ServerImport) -> None:
    ids = [disk["image_id"] for disk in found.disks]
    there = {image.id: image for image in w.session.scalars(sa.select(Image).where(Image.id.in_(ids)))}
    for told, disk in zip(found.manifest["disks"], found.disks, strict=True):
        image = there.get(disk["image_id"])
        if image is None or image.status != "active":
            raise Conflict(f"{told['file']} has not come: its image is {image.status if image else 'gone'}.",
                           code="import.incomplete")  # fmt: skip
        if image.os_hash_value != told["sha512"] or image.virtual_size != told["virtual_size"]:
            raise Conflict(f"{told['file']} is not what the manifest tells: its SHA-512 or size differs.",
                           code="import.corrupt")  # fmt: skip


def has_volume(w: Work, import_id: str, number: int, volume_id: str) -> None:
    """The volume of the disk is being made."""
    found = find(w, import_id)
    if found is not None:
        found.disks = [
            {**disk, "volume_id": volume_id} if place == number else disk for place, disk in enumerate(found.disks)
        ]
        w.session.flush()


def usable_type(w: Work, name: str) -> str:
    """The volume type of that name, empty where there is none: then it is the default."""
    try:
        return types.get_usable(w, name).id if name else ""
    except NotFound:
        return ""


def ended(w: Work, import_id: str, status: str, problem: str = "") -> None:
    """It is told for a while."""
    still = sa.update(ServerImport).where(ServerImport.id == import_id, ServerImport.status == MAKING)
    w.changed(still.values(status=status, problem=problem[:2000], expires_at=w.now + KEPT))


def forget_images(w: Work, found: ServerImport, *, but: str = "") -> list[str]:
    """Ids of those that are gone, whose bytes the caller removes then. Repeatable."""
    return [disk["image_id"] for disk in found.disks if disk["image_id"] != but and made.forget(w, disk["image_id"])]


def clear(w: Work, found: ServerImport) -> list[str]:
    """Forget what came of it, unless a server stands on it, and keep itself until the bytes are gone, which the caller
    removes; ids of those images. Repeatable. Raises ``Conflict`` while it is being made."""
    if found.status == MAKING and _is_live(w, found.task_id):
        raise Conflict(f"Import {found.id} is being made.", code="import.making", hint="Delete the server then.")
    return forget_images(w, found, but=found.root_image_id if found.status == DONE else "")


def end(w: Work, found: ServerImport) -> list[str]:
    """Forget it, with what came of it unless a server stands on it. Raises as ``clear``."""
    gone = clear(w, found)
    w.session.delete(found)
    w.session.flush()
    return gone


def _is_live(w: Work, task_id: str | None) -> bool:
    task = w.session.get(durable.Task, task_id) if task_id else None
    return task is not None and task.state not in durable.ENDED


def late(w: Work) -> Sequence[ServerImport]:
    """Those that nobody has gone on with in time, and those that ended a while ago."""
    found = w.session.scalars(sa.select(ServerImport).where(ServerImport.expires_at < w.now))
    return [each for each in found if not _is_live(w, each.task_id)]
