"""Which disk of a guest stands where: the bus its image asks for, and the rescue disk before its own."""

from __future__ import annotations

import string
from dataclasses import replace

from novalite.drivers.compute.base import DiskSpec, GuestSpec
from novalite.errors import DriverError

RESCUE = "rescue"
"""The name of the rescue disk, whatever its spec says."""
PREFIXES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd", "usb": "sd"}


def arranged(spec: GuestSpec, bus: str = "") -> tuple[DiskSpec, ...]:
    """All disks in their order; ``bus`` is for those that ask for none but virtio. Devices are named after
    their bus, without ``/dev/``. Raises ``DriverError`` with code ``guest.refused``."""
    disks = [placed(disk, bus) for disk in spec.disks]
    if spec.rescue is not None:
        rescue = replace(placed(spec.rescue), name=RESCUE, boot_index=0)
        later = (replace(d, boot_index=d.boot_index + 1 if d.boot_index >= 0 else -1) for d in disks)
        disks = [rescue, *later]
    taken: set[str] = set()
    found = []
    fixed = {disk.device for disk in disks}
    for disk in disks:
        device = disk.device if disk.device not in taken else _free(PREFIXES[disk.bus], taken | fixed)
        taken.add(device)
        found.append(replace(disk, device=device))
    return tuple(found)


def placed(disk: DiskSpec, bus: str = "") -> DiskSpec:
    """One disk by itself."""
    device = disk.device.removeprefix("/dev/")
    wanted = bus if bus and disk.bus == "virtio" else disk.bus
    if wanted not in PREFIXES:
        raise DriverError(
            "ensure_guest", f"disk bus {wanted!r} is not one of {', '.join(sorted(PREFIXES))}", code="guest.refused"
        )
    return replace(disk, bus=wanted, device=PREFIXES[wanted] + device[2:])


def _free(prefix: str, taken: set[str]) -> str:
    for letter in string.ascii_lowercase[: 4 if prefix == "hd" else 26]:
        if prefix + letter not in taken:
            return prefix + letter
    raise DriverError("ensure_guest", f"no place {prefix}… is left for a disk", code="guest.refused")
