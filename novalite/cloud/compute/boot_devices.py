"""The disks of a new server: what was asked for, checked, and recorded with the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from novalite.cloud.compute import block_devices, boot_image, device_requests
from novalite.cloud.compute.block_devices import BLANK, IMAGE, LOCAL, SNAPSHOT, SWAP, VOLUME
from novalite.cloud.compute.device_requests import DeviceRequest, wrong
from novalite.cloud.compute.flavors import Flavor
from novalite.cloud.image import images
from novalite.cloud.image.records import Image
from novalite.cloud.volume import attachments, new_volumes, snapshots, types, volumes
from novalite.cloud.volume.records import Volume
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

if TYPE_CHECKING:
    from novalite.cloud.compute.servers import Server

_ROOT = "vda"
_MOST_LOCAL = 3
_FACTS_OF_IMAGES = {
    "image_id", "image_name", "size", "checksum", "container_format", "disk_format", "min_ram", "min_disk",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The block devices of a request: of the newer form, or of the older one. ``may_share`` allows volumes that
    several servers may have."""

    newer: tuple[dict[str, Any], ...] = ()
    older: tuple[dict[str, Any], ...] = ()
    may_share: bool = True


@dataclass(frozen=True)
class Layout:
    """What a server boots from. ``image_id`` is None when its root disk is a volume; ``image`` is the copy of facts
    that it keeps in both cases."""

    image_id: str | None
    image: dict[str, Any]
    devices: tuple[DeviceRequest, ...] = ()
    volumes: dict[str, Volume] = field(default_factory=dict)


def resolve(w: Work, image_id: str, asked: Asked, flavor: Flavor, *, count: int) -> Layout:
    """Raises ``Invalid`` for what is not there, does not fit, or makes no sense together."""
    image = _image(w, image_id) if image_id else None
    devices = _devices(image, asked)
    if not devices:
        if image is None:
            raise Invalid("Missing imageRef attribute", field="imageRef")
        boot_image.refuse_unbootable(image, ram_mib=flavor.ram_mib, disk_gib=flavor.disk_gib, has_drive=True)
        return Layout(image.id, boot_image.copy(image))
    _refuse_boot_order(devices)
    _refuse_too_much(devices, flavor)
    if count > 1 and any(one.source == VOLUME for one in devices):
        raise Invalid("Cannot attach one or more volumes to multiple instances", field="max_count")
    found = {one.source_id: _volume(w, one, asked) for one in devices if one.source == VOLUME}
    for one in devices:
        _check(w, one)
    root = next(one for one in devices if one.is_root)
    if root.destination == LOCAL:
        assert image is not None  # an image on a local disk is refused without imageRef
        if image_id and root.source_id not in ("", image.id):
            raise wrong(f"the image {root.source_id} is not that of imageRef.")
        boot_image.refuse_unbootable(image, ram_mib=flavor.ram_mib, disk_gib=flavor.disk_gib, has_drive=True)
        return Layout(image.id, boot_image.copy(image), tuple(devices), found)
    facts = _facts_of_root(w, root, found)
    if int(facts["min_ram"]) > flavor.ram_mib:
        raise Invalid("Flavor's memory is too small for requested image.", field="flavorRef")
    return Layout(None, facts, tuple(devices), found)


def record(w: Work, server: Server, layout: Layout) -> None:
    """The rows of a new server; volumes that are there are reserved for it. Raises ``Invalid``, ``Conflict``."""
    rows: list[block_devices.BlockDevice] = []
    for one in sorted(layout.devices, key=lambda one: not one.is_root):
        is_volume = one.source == VOLUME
        attachment = attachments.reserve(w, one.source_id, server.id) if is_volume else None
        rows.append(
            block_devices.add(
                w, server, rows, source=one.source, source_id=one.source_id, destination=one.destination,
                volume_id=one.source_id if is_volume else None,
                attachment_id=attachment.id if attachment else None,
                size=layout.volumes[one.source_id].size_gib if is_volume else one.size,
                volume_type=one.volume_type, guest_format=one.guest_format,
                disk_bus=one.disk_bus or block_devices.bus_of(server), boot_index=one.boot_index,
                device_name=_name(server, rows, one), tag=one.tag, delete_on_termination=one.delete_on_termination,
            )
        )  # fmt: skip


def root_name(layout: Layout) -> str:
    """``/dev/vda``, or as the root disk was called."""
    root = next((one for one in layout.devices if one.is_root), None)
    return f"/dev/{root.device_name}" if root and root.device_name else f"/dev/{_ROOT}"


def _name(server: Server, rows: Sequence[block_devices.BlockDevice], one: DeviceRequest) -> str | None:
    if one.is_root:
        return server.root_device_name
    if one.destination == LOCAL and not one.device_name:
        return None
    return block_devices.device_name(server, rows, f"/dev/{one.device_name}" if one.device_name else None)


def _image(w: Work, image_id: str) -> Image:
    try:
        return images.get(w, image_id)
    except NotFound as error:
        raise Invalid(error.message, field="imageRef") from error


def _devices(image: Image | None, asked: Asked) -> list[DeviceRequest]:
    own_root = DeviceRequest(IMAGE, LOCAL, image.id, boot_index=0, delete_on_termination=True) if image else None
    brought = device_requests.of_image(image.properties, root=_ROOT) if image else []
    has_root = any(one.is_root for one in brought)
    if asked.newer:
        wanted = device_requests.from_v2(asked.newer, image_given=image is not None)
        _refuse_second_root(wanted, image)
        return device_requests.merged(wanted, brought)
    wanted = device_requests.from_v1(asked.older, root=_ROOT, no_root=has_root)
    if not wanted and not brought:
        return []
    if own_root and not has_root and not any(one.is_root for one in wanted):
        wanted = [own_root, *wanted]
    return device_requests.merged(wanted, brought)


def _refuse_second_root(wanted: Sequence[DeviceRequest], image: Image | None) -> None:
    for one in wanted:
        if image and one.destination == VOLUME and one.device_name == _ROOT:
            message = f"The volume cannot be assigned the same device name as the root device {_ROOT}"
            raise Invalid(message, field="device_name")


def _refuse_boot_order(devices: Sequence[DeviceRequest]) -> None:
    order = sorted(one.boot_index for one in devices if one.boot_index is not None)
    if not order or order != list(range(len(order))):
        raise wrong("Boot sequence for the instance and image/block device mapping combination is not valid.")


def _refuse_too_much(devices: Sequence[DeviceRequest], flavor: Flavor) -> None:
    blank = [one for one in devices if one.source == BLANK and one.destination == LOCAL]
    swaps = [one for one in blank if one.guest_format == SWAP]
    if sum(one.size or flavor.ephemeral_gib for one in blank if one.guest_format != SWAP) > flavor.ephemeral_gib:
        message = "Ephemeral disks requested are larger than the instance type allows."
        raise Invalid(message, field="volume_size", hint="A device without a size has the flavor's.")
    if len(swaps) > 1:
        raise wrong("More than one swap drive requested.")
    if swaps and (swaps[0].size or 0) > flavor.swap_mib:
        raise Invalid("Swap drive requested is larger than instance type allows.", field="volume_size")
    if sum(one.destination == LOCAL for one in devices) > _MOST_LOCAL:
        raise wrong("You specified more local devices than the limit allows")


def _volume(w: Work, one: DeviceRequest, asked: Asked) -> Volume:
    try:
        volume = volumes.get(w, one.source_id)
    except NotFound as error:
        raise wrong(f"failed to get volume {one.source_id}.") from error
    if volume.multiattach and not asked.may_share:
        message = "Multiattach volumes are only supported starting with compute API version 2.60."
        raise Invalid(message, field="uuid")
    if one.is_root and not volume.bootable:
        raise Invalid(f"Block Device {volume.id} is not bootable.", field="uuid")
    return volume


def _check(w: Work, one: DeviceRequest) -> None:
    if one.volume_type:
        try:
            types.get_usable(w, one.volume_type)
        except NotFound as error:
            raise Invalid(error.message, field="volume_type") from error
    if one.source == SNAPSHOT:
        _check_snapshot(w, one)
    elif one.source == IMAGE and one.destination == VOLUME:
        _check_image(w, one)
    elif one.source == BLANK and one.destination == VOLUME and not one.size:
        message = "Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size"
        raise Invalid(message, field="volume_size")


def _check_snapshot(w: Work, one: DeviceRequest) -> None:
    try:
        snapshot = snapshots.get(w, one.source_id)
    except NotFound as error:
        raise wrong(f"failed to get snapshot {one.source_id}.") from error
    if one.size and one.size < snapshot.size_gib:
        raise Invalid(f"A volume of snapshot {snapshot.id} has at least {snapshot.size_gib} GiB.", field="volume_size")


def _check_image(w: Work, one: DeviceRequest) -> None:
    if not one.size:
        raise Invalid("Images with destination_type 'volume' need to have a non-zero size specified",
                      field="volume_size")  # fmt: skip
    try:
        image = new_volumes.usable_image(w, one.source_id, "uuid")
    except Invalid as error:
        raise wrong(f"failed to get image {one.source_id}. {error.message}") from error
    new_volumes.require_type_for(w, image, one.volume_type)
    if one.size < new_volumes.least_gib(image):
        raise Invalid(
            "Volume is smaller than the minimum size specified in image metadata. Volume size is "
            f"{one.size} GiB, minimum size is {new_volumes.least_gib(image)} GiB.", field="volume_size",
        )  # fmt: skip


def _facts_of_root(w: Work, root: DeviceRequest, found: dict[str, Volume]) -> dict[str, Any]:
    if root.source == IMAGE:
        return {**boot_image.copy(images.get(w, root.source_id)), "id": ""}
    known: Mapping[str, str] = {}
    if root.source == VOLUME:
        known = found[root.source_id].image_metadata
    elif root.source == SNAPSHOT:
        origin = volumes.find(w, snapshots.get(w, root.source_id).volume_id)
        known = origin.image_metadata if origin else {}
    return facts_of(known)


def facts_of(known: Mapping[str, str]) -> dict[str, Any]:
    """What a server keeps of the image that its root volume once was, as the volume tells."""
    return {
        "id": "", "name": known.get("image_name", ""), "disk_format": known.get("disk_format", ""), "size": 0,
        "sha512": "", "min_disk": volumes.number_of(known, "min_disk"), "min_ram": volumes.number_of(known, "min_ram"),
        "properties": {name: value for name, value in known.items() if name not in _FACTS_OF_IMAGES},
    }  # fmt: skip
