"""Opens the compute driver of this machine, as the settings say."""

from __future__ import annotations

import platform

from novalite.drivers.compute.base import ComputeDriver
from novalite.drivers.compute.fake import FakeDriver
from novalite.drivers.compute.libvirt import LibvirtDriver
from novalite.settings import Settings


def open_local(settings: Settings, appliance_id: str) -> ComputeDriver:
    """``appliance_id`` (a UUID) marks the guests that belong to whoever asks."""
    compute = settings.compute
    host = compute.host_name or platform.node()
    if compute.driver == "fake":
        return FakeDriver(
            host,
            compute.fake_vcpus,
            compute.fake_memory_mib,
            compute.fake_disk_gib,
            state_dir=settings.state_path / "fake" / host,
        )
    return LibvirtDriver(
        uri=compute.libvirt_uri,
        state_dir=settings.state_path,
        host=host,
        appliance_id=appliance_id,
        virt_type=compute.virt_type,
        cpu_model=compute.cpu_model,
    )
