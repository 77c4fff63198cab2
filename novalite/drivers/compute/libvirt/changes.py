"""The optional ports of a libvirt host: what changes a guest that is there already."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import libvirt

from novalite.drivers.compute.arrange import placed
from novalite.drivers.compute.base import DiskCopy, DiskKey, DiskSpec, NicSpec, Power, SnapshotFile
from novalite.drivers.compute.libvirt import (
    disks,
    encrypted,
    guest,
    guest_agent,
    kept_disks,
    moved_disks,
    power,
    sources,
    stats,
    tuning,
)
from novalite.drivers.compute.libvirt.connection import Connection
from novalite.drivers.compute.libvirt.devices import Devices, by_mac, by_serial
from novalite.drivers.compute.libvirt.disk_swaps import DiskSwaps
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.exported_growth import ExportedGrowth
from novalite.drivers.compute.libvirt.images import ImageCache
from novalite.drivers.compute.libvirt.places import GuestPlace, Places, is_server_id
from novalite.drivers.compute.libvirt.secrets import Secrets
from novalite.drivers.compute.libvirt.snapshots import FoundDisk, Snapshots, find_disk
from novalite.errors import DriverError

FEATURES = (
    "suspend",
    "snapshot",
    "attach_nic",
    "attach_disk",
    "password",
    "rescue",
    "resize_disk",
    "replace_disk",
    "swap_disk",
    "tune_disk",
    "keep_disks",
    "move_disks",
    "open_exports",
    "crash_dump",
    "adopt",
)


class GuestChanges(ABC):
    """Implements ``TakesSnapshots``, ``PlugsDevices``, ``ChangesDisks``, ``SwapsDisks``, ``KeepsDisks``,
    ``MovesDisks`` and ``TalksToAgent`` for a driver that has the rest."""

    _connection: Connection
    _domains: Domains
    _places: Places
    _images: ImageCache
    _devices: Devices
    _snapshots: Snapshots
    _swaps: DiskSwaps
    _secrets: Secrets
    _cache_mode: str
    _keys: Path

    @abstractmethod
    def _lock(self, guest_id: str) -> threading.Lock:
        """Held while the guest is changed."""

    @abstractmethod
    def _host_facts(self) -> stats.Capabilities:
        """What the hypervisor said of itself."""

    def take_snapshot(self, guest_id: str, disk: str, name: str, key: DiskKey | None = None) -> SnapshotFile:
        return self._snapshots.take(guest_id, disk, name, key)

    def take_snapshots(self, guest_id: str, copies: tuple[DiskCopy, ...]) -> tuple[SnapshotFile, ...]:
        return self._snapshots.take_together(guest_id, copies)

    def read_snapshot(self, guest_id: str, name: str, offset: int, max_bytes: int) -> bytes:
        return self._snapshots.read(guest_id, name, offset, max_bytes)

    def snapshot_path(self, guest_id: str, name: str) -> Path:
        """See ``LendsSnapshots``."""
        return self._snapshots.path(guest_id, name)

    def drop_snapshot(self, guest_id: str, name: str) -> None:
        self._snapshots.drop(guest_id, name)

    def attach_nic(self, guest_id: str, nic: NicSpec) -> None:
        device = guest.interface(nic).element()
        with self._lock(guest_id):
            self._connection.call(
                "attach_nic", self._devices.attach, "attach_nic", guest_id, device, by_mac(nic.mac_address)
            )

    def detach_nic(self, guest_id: str, mac_address: str) -> None:
        self._connection.call("detach_nic", self._devices.detach, "detach_nic", guest_id, by_mac(mac_address))

    def attach_disk(self, guest_id: str, disk: DiskSpec) -> None:
        if not disk.serial:
            raise DriverError("attach_disk", "the disk has no serial", code="guest.refused")
        where = placed(disk)
        place = self._places.guest(guest_id)
        with self._lock(guest_id):
            self._connection.call("attach_disk", self._domains.known, "attach_disk", guest_id)
            below = disks.ensure_disk(where, place, self._images)
            device = guest.disk_device(where, place, below, self._cache_mode).element()
            with self._secrets.held([disk.key]):
                self._connection.call("attach_disk", self._secrets.ensure, [disk.key])
                self._connection.call(
                    "attach_disk", self._devices.attach, "attach_disk", guest_id, device, by_serial(disk.serial)
                )

    def detach_disk(self, guest_id: str, serial: str) -> None:
        with self._secrets.forgotten_with(self._connection, "detach_disk", self._domains, guest_id):
            self._connection.call("detach_disk", self._devices.detach, "detach_disk", guest_id, by_serial(serial))

    def resize_disk(self, guest_id: str, disk: str, size_gib: int, key: DiskKey | None = None) -> None:
        place = self._places.guest(guest_id)
        with self._lock(guest_id):
            now = self._connection.call("resize_disk", self._domains.state, guest_id).power
            if self._awaits_start(now, place):
                moved_disks.grow(place, disk, size_gib * disks.GIB)
                return
            exported = self._connection.call("resize_disk", self._grow, guest_id, disk, size_gib * disks.GIB, key)
            if exported is not None:
                self._see_growth(guest_id, exported, size_gib * disks.GIB)

    def _see_growth(self, guest_id: str, disk: FoundDisk, size: int) -> None:
        disks.require_size("resize_disk", disk.path, size, self._keys)
        growth = ExportedGrowth(self._domains)
        deadline = growth.deadline()
        while not self._connection.call("resize_disk", growth.try_once, guest_id, disk, size):
            growth.wait(deadline)

    def _grow(self, connection: Any, guest_id: str, disk: str, size: int, key: DiskKey | None) -> FoundDisk | None:
        """The disk, if another machine exports it: that one lets it grow, and a guest that runs has yet to see it."""
        domain = self._domains.known(connection, "resize_disk", guest_id)
        if power.current(domain)[0] is Power.SUSPENDED:
            raise DriverError("resize_disk", "the guest's memory is saved: its disks must stay", code="guest.state")
        found = find_disk(domain, self._places.guest(guest_id), "resize_disk", disk)
        if sources.is_exported(found.path):
            return found if domain.isActive() else None
        if disks.must_grow(found.path, found.outer_format, size):
            place, active = self._places.guest(guest_id), domain.isActive()
            if not active and found.key_id:
                encrypted.grow("resize_disk", found.path, found.format, size, encrypted.needed("resize_disk", key))
            elif not active or place.is_volume(found.path):
                disks.grow(place, found.path, found.format, size)
            if active:
                domain.blockResize(found.device, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        return None

    def tune_disk(self, guest_id: str, disk: str, limits: tuple[tuple[str, int], ...]) -> None:
        with self._lock(guest_id):
            self._connection.call("tune_disk", self._tune, guest_id, disk, limits)

    def _tune(self, connection: Any, guest_id: str, disk: str, limits: tuple[tuple[str, int], ...]) -> None:
        domain = self._domains.known(connection, "tune_disk", guest_id)
        if power.current(domain)[0] is Power.SUSPENDED:
            raise DriverError("tune_disk", "the guest's memory is saved: its disks must stay", code="guest.state")
        found = find_disk(domain, self._places.guest(guest_id), "tune_disk", disk)
        tuning.tune_disk(domain, found.device, limits)

    def swap_disk(self, guest_id: str, disk: str, to: DiskSpec) -> None:
        if not to.path:
            raise DriverError("swap_disk", "the storage must be there already", code="guest.refused")
        place = self._places.guest(guest_id)
        self._connection.call("swap_disk", self._domains.known, "swap_disk", guest_id)
        below = disks.ensure_disk(to, place, self._images)
        device = guest.disk_device(placed(to), place, below, self._cache_mode).element()
        self._swaps.swap(guest_id, disk, device, to.size_gib * disks.GIB)

    def end_swap(self, guest_id: str, disk: str, to: DiskSpec) -> None:
        if is_server_id(guest_id):
            self._swaps.end(guest_id, disk, Path(to.path), to.format, to.size_gib * disks.GIB)

    def replace_disk(self, guest_id: str, disk: DiskSpec) -> None:
        if disk.path:
            raise DriverError("replace_disk", "the disk is somebody else's file", code="guest.refused")
        with self._lock(guest_id):
            disks.ensure_disk(disk, self._place_of_stopped("replace_disk", guest_id), self._images, anew=True)

    def _place_of_stopped(self, op: str, guest_id: str) -> GuestPlace:
        """Of a guest that is off, or whose disks have come from another host and that was never started here."""
        place = self._places.guest(guest_id)
        now = self._connection.call(op, self._domains.state, guest_id).power
        if now not in (Power.OFF, Power.CRASHED) and not self._awaits_start(now, place):
            code = "guest.not_found" if now is Power.ABSENT else "guest.state"
            raise DriverError(op, f"the guest is {now}", code=code)
        return place

    def _awaits_start(self, now: Power, place: GuestPlace) -> bool:
        return now is Power.ABSENT and bool(place.own_disks())

    def keep_disks(self, guest_id: str, name: str) -> None:
        with self._lock(guest_id):
            kept_disks.keep(self._place_of_stopped("keep_disks", guest_id), name)

    def restore_disks(self, guest_id: str, name: str) -> None:
        with self._lock(guest_id):
            kept_disks.restore(self._place_of_stopped("restore_disks", guest_id), name)

    def drop_kept_disks(self, guest_id: str, name: str) -> None:
        if is_server_id(guest_id):
            with self._lock(guest_id):
                kept_disks.drop(self._places.guest(guest_id), name)

    def read_disk(self, guest_id: str, disk: str, offset: int, max_bytes: int) -> bytes:
        return moved_disks.read(self._place_of_stopped("read_disk", guest_id), disk, offset, max_bytes)

    def write_disk(self, guest_id: str, disk: str, offset: int, data: bytes) -> None:
        place = self._places.guest(guest_id)
        with self._lock(guest_id):
            self._refuse_if_up("write_disk", guest_id)
            self._places.prepare(place, self._host_facts().user)
            moved_disks.write(place, disk, offset, data)

    def adopt_disk(self, guest_id: str, disk: DiskSpec) -> None:
        with self._lock(guest_id):
            self._refuse_if_up("adopt_disk", guest_id)
            moved_disks.adopt(self._places.guest(guest_id), disk, self._images)

    def _refuse_if_up(self, op: str, guest_id: str) -> None:
        now = self._connection.call(op, self._domains.state, guest_id).power
        if now not in (Power.OFF, Power.CRASHED, Power.ABSENT):
            raise DriverError(op, f"the guest is {now}", code="guest.state")

    def has_agent(self, guest_id: str) -> bool:
        def ask(connection: Any) -> bool:
            domain = self._domains.known(connection, "has_agent", guest_id)
            return power.current(domain)[0] is Power.RUNNING and guest_agent.answers(domain)

        return self._connection.call("has_agent", ask)

    def set_password(self, guest_id: str, user: str, password: str) -> None:
        def tell(connection: Any) -> None:
            guest_agent.set_password(self._domains.known(connection, "set_password", guest_id), user, password)

        self._connection.call("set_password", tell)
