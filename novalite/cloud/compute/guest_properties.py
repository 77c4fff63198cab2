"""Whether what a flavor and an image ask of a guest makes sense at all, whatever the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from novalite.drivers.compute import properties
from novalite.drivers.compute.base import GuestSpec
from novalite.errors import DriverError, Invalid

_NOT_DONE_HERE: dict[str, tuple[str, ...]] = {
    "cpu_policy": ("mixed",),
    "cpu_thread_policy": ("isolate", "require"),
    "emulator_threads_policy": ("isolate",),
    "disk_bus": ("fdc", "lxc", "uml", "usb", "xen"),
    "cdrom_bus": ("fdc", "lxc", "uml", "usb", "xen"),
    "rng_model": ("virtio-transitional",),
    "scsi_model": ("auto", "buslogic", "ibmvscsi"),
    "vif_model": ("e1000-82545em", "netfront", "lan9118", "spapr-vlan", "igb", "sriov"),
    "video_model": ("gop", "xen"),
}
"""Values that mean something elsewhere: no host of ours can do them, which is the scheduler's to tell."""


def refuse_nonsense(
    *, vcpus: int, ram_mib: int, image_properties: Mapping[str, Any], extra_specs: Mapping[str, Any]
) -> None:
    """Raises ``Invalid`` that names the property, and as its field the reference it came by."""
    given = {**image_properties, **extra_specs}
    texts = {str(name): str(value) for name, value in given.items() if not _is_done_elsewhere(str(name), str(value))}
    try:
        properties.read(GuestSpec("", "", "", vcpus, ram_mib, (), properties=texts))
    except DriverError as error:
        of_flavor = any(f"property {name}:" in error.detail for name in extra_specs)
        raise Invalid(f"Invalid input: {error.detail}", field="flavorRef" if of_flavor else "imageRef") from error


def _is_done_elsewhere(name: str, value: str) -> bool:
    wish = name.removeprefix("hw:").removeprefix("hw_")
    return name in properties.NOT_OFFERED or value.strip().lower() in _NOT_DONE_HERE.get(wish, ())
