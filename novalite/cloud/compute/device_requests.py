"""Block devices as users and images ask for them, in both of Compute's forms, brought into one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from novalite.cloud.compute.block_devices import BLANK, IMAGE, LOCAL, SNAPSHOT, SWAP, VOLUME
from novalite.errors import Invalid

FIELD = "block_device_mapping_v2"
BUSES = ("virtio", "scsi", "sata", "ide")
FORMATS = ("", SWAP, "ext4", "vfat")
_LARGEST = 2**31 - 1
_VIRTUAL = re.compile(r"^ephemeral(\d|[1-9]\d+)$")
_TRUE = (True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "t", "T", "y", "Y")


@dataclass(frozen=True)
class DeviceRequest:
    """One disk. ``size`` is in GiB (swap: MiB), None: that of its source. ``boot_index`` None: not to boot from.
    ``is_hidden`` takes a device of the image away."""

    source: str
    destination: str
    source_id: str = ""
    size: int | None = None
    volume_type: str = ""
    guest_format: str = ""
    disk_bus: str = ""
    boot_index: int | None = None
    device_name: str = ""
    delete_on_termination: bool = False
    tag: str = ""
    is_hidden: bool = False

    @property
    def is_root(self) -> bool:
        return self.boot_index == 0


def wrong(details: str) -> Invalid:
    return Invalid(f"Block Device Mapping is Invalid: {details}", field=FIELD)


def from_v2(items: Iterable[Mapping[str, Any]], *, image_given: bool) -> list[DeviceRequest]:
    """The newer form. Raises ``Invalid``."""
    return [_from_v2(item, image_given=image_given, uuid=str(item.get("uuid") or "")) for item in items]


def from_v1(items: Sequence[Mapping[str, Any]], *, root: str, no_root: bool = False) -> list[DeviceRequest]:
    """The older form: the device called ``root`` (``vda``) is booted from, unless ``no_root``."""
    found = []
    for item in items:
        one = _from_v1(item)
        is_root = not no_root and one.source != BLANK and one.device_name == root
        found.append(replace(one, boot_index=0 if is_root and not one.is_hidden else None))
    return found


def of_image(properties: Mapping[str, Any], *, root: str) -> list[DeviceRequest]:
    """What an image brings along, as its properties tell."""
    text = properties.get("block_device_mapping")
    if not text:
        return []
    try:
        items = msgspec.json.decode(text) if isinstance(text, str) else text
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong("the image's own mapping cannot be read.") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise wrong("the image's own mapping is no list of devices.")
    if properties.get("bdm_v2") not in _TRUE:
        return from_v1(items, root=root)
    return [
        _from_v2(item, image_given=True, uuid=str(item.get(f"{item.get('source_type')}_id") or "")) for item in items
    ]


def merged(own: Sequence[DeviceRequest], of_the_image: Sequence[DeviceRequest]) -> list[DeviceRequest]:
    """The user's devices and those of the image that they do not replace, by name; hidden ones are left out."""
    if any(one.is_root for one in of_the_image):
        own = [one for one in own if not (one.is_root and one.source == IMAGE)]
    names = {one.device_name for one in own if one.device_name}
    both = [*own, *(one for one in of_the_image if one.device_name not in names)]
    return [one for one in both if not one.is_hidden]


def _from_v2(item: Mapping[str, Any], *, image_given: bool, uuid: str) -> DeviceRequest:
    source, boot_index = str(item.get("source_type") or ""), _boot_index(item.get("boot_index"))
    hidden = bool(item.get("no_device"))
    if not hidden and not source:
        raise wrong("Some required fields are missing")
    if source == BLANK and uuid:
        raise wrong("Invalid device UUID.")
    if not hidden and source != BLANK and not uuid:
        raise wrong("Missing device UUID.")
    destination = str(item.get("destination_type") or (VOLUME if source in (VOLUME, SNAPSHOT) else LOCAL))
    made = DeviceRequest(
        source, destination, uuid, _size(item), str(item.get("volume_type") or ""),
        str(item.get("guest_format") or ""), str(item.get("disk_bus") or ""), boot_index,
        _name(item), _truth(item.get("delete_on_termination")), str(item.get("tag") or ""), hidden,
    )  # fmt: skip
    if not hidden:
        _refuse_nonsense(made, item, image_given=image_given)
    return made


def _refuse_nonsense(one: DeviceRequest, item: Mapping[str, Any], *, image_given: bool) -> None:
    if one.source not in (IMAGE, VOLUME, SNAPSHOT, BLANK) or one.destination not in (LOCAL, VOLUME):
        raise wrong(f"there is no way from {one.source[:50]} to {one.destination[:50]}.")
    if one.destination == LOCAL:
        if one.source == IMAGE and not (image_given and one.is_root):
            raise wrong("Mapping image to local is not supported.")
        if one.source in (VOLUME, SNAPSHOT):
            raise wrong(f"Mapping {one.source} to local is not supported.")
        if one.volume_type:
            raise wrong("Specifying a volume_type with destination_type=local is not supported.")
        if one.guest_format not in FORMATS:
            raise wrong(f"guest_format {one.guest_format[:50]} is not one of {', '.join(FORMATS[1:])}.")
    if one.source == VOLUME and one.volume_type:
        raise wrong("Specifying volume type to existing volume is not supported.")
    if one.disk_bus and one.disk_bus not in BUSES:
        raise wrong(f"The provided disk bus {one.disk_bus[:50]} is not valid.")
    if item.get("device_type") not in (None, "", "disk"):
        raise wrong(f"device_type {str(item['device_type'])[:50]} is not offered, only disk.")


def _from_v1(item: Mapping[str, Any]) -> DeviceRequest:
    virtual, ends = str(item.get("virtual_name") or ""), _truth(item.get("delete_on_termination"))
    shared: dict[str, Any] = {"size": _size(item), "device_name": _name(item)}
    if virtual == SWAP or _VIRTUAL.match(virtual):
        return DeviceRequest(BLANK, LOCAL, guest_format=SWAP if virtual == SWAP else "", delete_on_termination=True,
                             **shared)  # fmt: skip
    for source in (SNAPSHOT, VOLUME):
        if item.get(f"{source}_id"):
            return DeviceRequest(source, VOLUME, str(item[f"{source}_id"]), delete_on_termination=ends, **shared)
    if item.get("no_device"):
        return DeviceRequest("", "", is_hidden=True, **shared)
    raise wrong("Unrecognized legacy format.")


def _boot_index(value: Any) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise wrong("Boot index is invalid.") from error
    return number if number >= 0 else None


def _size(item: Mapping[str, Any]) -> int | None:
    value = item.get("volume_size")
    if value in (None, ""):
        return None
    try:
        size = int(value)
    except (TypeError, ValueError) as error:
        raise wrong("Invalid volume_size.") from error
    if not 0 <= size <= _LARGEST:  # an image's own mapping has seen no schema
        raise wrong("Invalid volume_size.")
    return size


def _name(item: Mapping[str, Any]) -> str:
    """Without ``/dev/``."""
    return str(item.get("device_name") or "").removeprefix("/dev/")


def _truth(value: Any) -> bool:
    return value in _TRUE
