"""The disks of a guest, from the records: root, ephemeral and swap disks, volumes."""

from __future__ import annotations

from pathlib import Path

from novalite.cloud.compute import block_devices
from novalite.cloud.compute.block_devices import BlockDevice, LocalDisk
from novalite.cloud.compute.servers import Server
from novalite.cloud.volume import attachments, keys, qos, volumes
from novalite.db.work import Work
from novalite.drivers.compute.base import DiskSpec, ImageSpec

ISO = "iso"
"""The format of images that are media: the root disk beside them is empty, as large as the flavor says."""


def of_server(w: Work, server: Server, image: ImageSpec | None, state_path: Path) -> tuple[DiskSpec, ...]:
    """All disks, the root disk first. ``image`` is what a root disk that is no volume begins from, or a medium for a
    drive beside it; below ``state_path`` is what the keys of encrypted volumes are sealed with."""
    rows = block_devices.of_server(w, server.id)
    has_volume = block_devices.root_volume(rows) is not None
    iso = image if image is not None and image.format == ISO and not has_volume else None
    found = [] if has_volume else [_root(server, None if iso else image)]
    found += [_local(disk) for disk in block_devices.local_disks(server, rows)]
    found += [volume_disk(w, server, row, state_path) for row in rows if row.volume_id]
    if iso is not None:
        found.append(_cdrom(iso, max(disk.boot_index for disk in found) + 1))
    return tuple(sorted(found, key=lambda disk: disk.boot_index != 0))


def volume_disk(w: Work, server: Server, row: BlockDevice, state_path: Path, volume_id: str = "") -> DiskSpec:
    """A volume as a host is told of it, or another one in its place. Raises ``NotFound``, ``Failed`` when it has no
    data yet or its key is lost."""
    wanted = volume_id or row.volume_id or ""
    disk, volume = volumes.disk(w, wanted), volumes.find(w, wanted)
    attachment = attachments.find(w, row.attachment_id or "")
    return DiskSpec(
        name_of(disk.volume_id),
        (row.device_name or "/dev/vdz").removeprefix("/dev/"),
        disk.size_gib,
        bus=row.disk_bus or block_devices.bus_of(server),
        serial=disk.serial if attachment is None else attachments.serial_of(attachment),
        boot_index=-1 if row.boot_index is None else row.boot_index,
        path=disk.path,
        format=disk.format,
        read_only=disk.read_only,
        shared=volume is not None and volume.multiattach and disk.format == "raw",
        limits=() if volume is None else qos.limits(w, volume),
        key=None if volume is None else keys.of_disk(state_path, volume),
    )


def name_of(volume_id: str) -> str:
    """The name of the disk that a volume is."""
    return f"volume-{volume_id}"


def _root(server: Server, image: ImageSpec | None) -> DiskSpec:
    device = server.root_device_name.removeprefix("/dev/")
    bus = str(server.image["properties"].get("hw_disk_bus") or "virtio")
    return DiskSpec("root", block_devices.prefix_of(server) + device[2:], server.flavor["disk"], image, bus,
                    boot_index=0)  # fmt: skip


def _cdrom(image: ImageSpec, boot_index: int) -> DiskSpec:
    """Behind the disks: an empty root disk does not boot, and once the system is installed it does. The name tells
    which image it is, so that another one is another medium."""
    return DiskSpec(f"cdrom-{image.id[:8]}", "hdc", 0, image, "ide", boot_index=boot_index, read_only=True, cdrom=True)


def _local(disk: LocalDisk) -> DiskSpec:
    return DiskSpec(disk.name, disk.device, disk.size_gib, serial=disk.name, size_mib=disk.size_mib,
                    content=disk.content)  # fmt: skip
