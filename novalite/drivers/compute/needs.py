"""What a host must report for a guest with certain properties: for whoever chooses the host, before it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from novalite.drivers.compute.base import GuestSpec, HostReport
from novalite.drivers.compute.properties import read
from novalite.drivers.compute.wishes import CpuWish, DeviceWish, Wishes


def unmet(spec: GuestSpec, host: HostReport) -> tuple[str, ...]:
    """Reasons, in words that name the property, why the host cannot take the guest; empty when it can.
    Raises ``DriverError`` with code ``guest.refused`` for properties that no host can honour."""
    wishes = read(spec)
    reasons = [
        f"{name}: the host lacks {trait}" for name, trait in _traits(wishes) if host.traits and trait not in host.traits
    ]
    if wishes.boot.uefi and "uefi" not in host.firmwares:
        reasons.append("hw_firmware_type: the host has no uefi firmware")
    return (*reasons, *_cpu(wishes.cpu, spec.vcpus, host), *_memory(wishes, host))


def _traits(wishes: Wishes) -> Iterator[tuple[str, str]]:
    devices: DeviceWish = wishes.devices
    named = (
        ("hw_disk_bus", "COMPUTE_STORAGE_BUS_", devices.disk_bus),
        ("hw_cdrom_bus", "COMPUTE_STORAGE_BUS_", devices.cdrom_bus),
        ("hw_vif_model", "COMPUTE_NET_VIF_MODEL_", devices.vif_model),
        ("hw_video_model", "COMPUTE_GRAPHICS_MODEL_", devices.video_model),
        ("hw:tpm_version", "COMPUTE_SECURITY_TPM_", devices.tpm_version.replace(".", "_")),
        ("hw:tpm_model", "COMPUTE_SECURITY_", devices.tpm_model.replace("-", "_")),
        ("os:secure_boot", "COMPUTE_SECURITY_", "uefi_secure_boot" if wishes.boot.secure_boot else ""),
    )
    return ((name, prefix + value.upper()) for name, prefix, value in named if value)


def _cpu(wish: CpuWish, vcpus: int, host: HostReport) -> Iterator[str]:
    if wish.model and host.cpu_models and wish.model not in host.cpu_models:
        yield f"hw:cpu_model: the host cannot give a guest {wish.model}"
    if wish.dedicated and host.free_cpus < vcpus:
        yield f"hw:cpu_policy: {vcpus} free processors are needed, {host.free_cpus} are left"


def _memory(wishes: Wishes, host: HostReport) -> Iterator[str]:
    if len(wishes.memory.cells) > host.numa_nodes:
        yield f"hw:numa_nodes: the host has {host.numa_nodes}"
    size = wishes.memory.page_size
    there = {str(kib) for kib, count in host.huge_pages.items() if count}
    if (size == "large" and not there) or (size.isdecimal() and size != "4" and size not in there):
        yield f"hw:mem_page_size: the host has set no pages of that size aside ({size})"
