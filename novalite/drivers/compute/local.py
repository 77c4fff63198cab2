"""Opens the compute driver of this machine, as the settings say."""

from __future__ import annotations

import grp
import os
import platform
import pwd
from pathlib import Path

from novalite.drivers.compute.base import ComputeDriver
from novalite.drivers.compute.fake import FakeDriver
from novalite.drivers.compute.libvirt import LibvirtDriver, LocalStorage
from novalite.drivers.compute.libvirt.logical_volumes import LogicalVolumes
from novalite.drivers.compute.libvirt.places import GuestAccount
from novalite.errors import Invalid
from novalite.settings import Settings

_GUEST_GROUP = "novalite-guest"
_HOUR_SECONDS = 3600.0
_HINT = "docs/install.md says how NovaLite runs without root; 'sudo ./run install' makes users and groups."


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
        account=_account(compute.guest_user, compute.guest_group),
        local=LocalStorage(
            "qcow2" if compute.images_type == "qcow2" else "raw", settings.scheduler.reserved_disk_gib << 30,
            compute.image_check_hours * _HOUR_SECONDS, compute.image_unused_hours * _HOUR_SECONDS,
            _logical_volumes(compute.images_type, compute.images_volume_group),
        ),
        keys=Path(compute.nbd_tls_directory),
    )  # fmt: skip


def _logical_volumes(images_type: str, pool: str) -> LogicalVolumes | None:
    """Raises ``Invalid`` for something that names no thin pool."""
    if images_type != "lvm":
        return None
    group, _, name = pool.partition("/")
    if not group or not name or "/" in name:
        raise Invalid(f"'{pool}' is not GROUP/POOL.", field="compute.images_volume_group")
    if os.geteuid() != 0:
        raise Invalid("Logical volumes for servers need root.", field="compute.images_type", hint=_HINT)
    return LogicalVolumes(group, name)


def _account(user: str, group: str) -> GuestAccount | None:
    """Whom guests run as. Raises ``Invalid`` for names that do not exist, and for a group that is not ours."""
    is_root = os.geteuid() == 0
    if is_root and not group:
        if user:
            raise Invalid("A user for guests needs a group for them.", field="compute.guest_group")
        return None
    try:
        gid = grp.getgrnam(group or _GUEST_GROUP).gr_gid
    except KeyError:
        raise Invalid(f"There is no group {group or _GUEST_GROUP}.", field="compute.guest_group", hint=_HINT) from None
    try:
        uid = pwd.getpwnam(user).pw_uid if user else None
    except KeyError:
        raise Invalid(f"There is no user {user}.", field="compute.guest_user", hint=_HINT) from None
    if not is_root and gid not in (os.getegid(), *os.getgroups()):
        raise Invalid(
            f"NovaLite does not run with the group {group or _GUEST_GROUP}, and so cannot lend disks to guests.",
            field="compute.guest_group", hint=_HINT,
        )  # fmt: skip
    return GuestAccount(gid, uid)
