"""The optional ports of the fake host: what changes a guest that is there already."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

from novalite.drivers.compute.arrange import placed
from novalite.drivers.compute.base import (
    PIECE_BYTES,
    DiskCopy,
    DiskKey,
    DiskSpec,
    GuestSpec,
    ImageSpec,
    NicSpec,
    Power,
    SnapshotFile,
)
from novalite.drivers.compute.fake_faults import Faults
from novalite.drivers.compute.fake_store import FakeGuest, FakeStore
from novalite.drivers.compute.qcow2 import empty_qcow2
from novalite.errors import DriverError

_UP = (Power.RUNNING, Power.PAUSED)
_GIB = 1 << 30
_KEPT_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


class FakeChanges(ABC):
    """Implements ``TakesSnapshots``, ``PlugsDevices``, ``ChangesDisks``, ``SwapsDisks``, ``KeepsDisks``,
    ``MovesDisks`` and ``TalksToAgent``."""

    _faults: Faults
    _lock: threading.RLock
    _store: FakeStore
    _guests: dict[str, FakeGuest]
    _without_agent: set[str]

    @abstractmethod
    def _need_keys(self, op: str, *disks: DiskSpec) -> None:
        """Raises ``DriverError`` when the host cannot open one of them."""

    @abstractmethod
    def _known(self, op: str, guest_id: str) -> FakeGuest:
        """The guest. Raises ``DriverError`` when there is none."""

    @abstractmethod
    def _need_image(self, image: ImageSpec | None) -> None:
        """Raises ``DriverError`` when the image is not in the host's cache."""

    # TakesSnapshots

    def take_snapshot(self, guest_id: str, disk: str, name: str, key: DiskKey | None = None) -> SnapshotFile:
        self._faults.enter("take_snapshot")
        (taken,) = self._take(guest_id, (DiskCopy(disk, name, key),))
        return taken

    def take_snapshots(self, guest_id: str, copies: tuple[DiskCopy, ...]) -> tuple[SnapshotFile, ...]:
        self._faults.enter("take_snapshots")
        return self._take(guest_id, copies)

    def _take(self, guest_id: str, copies: tuple[DiskCopy, ...]) -> tuple[SnapshotFile, ...]:
        with self._lock:
            guest, spec = self._with_spec("take_snapshot", guest_id)
            if any(copy.name not in guest.snapshots for copy in copies):
                quiesced = guest.power is Power.RUNNING and guest_id not in self._without_agent
                made = {}
                for copy in copies:
                    found = _disk("take_snapshot", spec, copy.disk)
                    _require_key("take_snapshot", found, copy.key)
                    virtual_size = max(_bytes(found), 1 << 20)
                    size = len(empty_qcow2(virtual_size))
                    made[copy.name] = SnapshotFile(guest_id, copy.name, copy.disk, size, virtual_size, quiesced)
                guest.snapshots |= made
                self._store.save(guest)
            return tuple(guest.snapshots[copy.name] for copy in copies)

    def read_snapshot(self, guest_id: str, name: str, offset: int, max_bytes: int) -> bytes:
        self._faults.enter("read_snapshot")
        with self._lock:
            guest = self._known("read_snapshot", guest_id)
            snapshot = guest.snapshots.get(name)
            if snapshot is None:
                raise DriverError("read_snapshot", f"there is no snapshot {name}", code="snapshot.not_found")
            disks = guest.spec.disks if guest.spec else ()
            is_encrypted = any(disk.key and snapshot.disk in (disk.name, disk.serial) for disk in disks)
        content = empty_qcow2(snapshot.virtual_size, is_encrypted=is_encrypted)
        return content[offset : offset + min(max_bytes, PIECE_BYTES)]

    def drop_snapshot(self, guest_id: str, name: str) -> None:
        self._faults.enter("drop_snapshot")
        with self._lock:
            guest = self._guests.get(guest_id)
            if guest is not None and name in guest.snapshots:
                del guest.snapshots[name]
                self._store.save(guest)

    # PlugsDevices

    def attach_nic(self, guest_id: str, nic: NicSpec) -> None:
        self._change(
            "attach_nic", guest_id, lambda spec: replace(spec, nics=(*_without_nic(spec, nic.mac_address), nic))
        )

    def detach_nic(self, guest_id: str, mac_address: str) -> None:
        self._change("detach_nic", guest_id, lambda spec: replace(spec, nics=_without_nic(spec, mac_address)))

    def attach_disk(self, guest_id: str, disk: DiskSpec) -> None:
        if not disk.serial:
            raise DriverError("attach_disk", "the disk has no serial", code="guest.refused")
        where = placed(disk)

        def add(spec: GuestSpec) -> GuestSpec:
            if any(other.serial == disk.serial for other in spec.disks):
                return spec
            if any(placed(other).device == where.device for other in spec.disks):
                raise DriverError("attach_disk", f"there is a disk {where.device}", code="guest.refused")
            self._need_image(disk.image)
            self._need_keys("attach_disk", disk)
            return replace(spec, disks=(*spec.disks, where))

        self._change("attach_disk", guest_id, add)

    def detach_disk(self, guest_id: str, serial: str) -> None:
        def drop(spec: GuestSpec) -> GuestSpec:
            return replace(spec, disks=tuple(disk for disk in spec.disks if not serial or disk.serial != serial))

        self._change("detach_disk", guest_id, drop)

    # ChangesDisks

    def resize_disk(self, guest_id: str, disk: str, size_gib: int, key: DiskKey | None = None) -> None:
        def grow(spec: GuestSpec) -> GuestSpec:
            found = _disk("resize_disk", spec, disk)
            _require_key("resize_disk", found, key)
            if _bytes(found) > size_gib * _GIB:
                raise DriverError("resize_disk", f"disk {disk} cannot shrink to {size_gib} GiB", code="guest.refused")
            grown = replace(found, size_gib=size_gib, size_mib=0)
            return replace(spec, disks=tuple(grown if other is found else other for other in spec.disks))

        self._change("resize_disk", guest_id, grow)

    def tune_disk(self, guest_id: str, disk: str, limits: tuple[tuple[str, int], ...]) -> None:
        def tune(spec: GuestSpec) -> GuestSpec:
            found = _disk("tune_disk", spec, disk)
            tuned = replace(found, limits=limits)
            return replace(spec, disks=tuple(tuned if other is found else other for other in spec.disks))

        self._change("tune_disk", guest_id, tune)

    def replace_disk(self, guest_id: str, disk: DiskSpec) -> None:
        self._faults.enter("replace_disk")
        with self._lock:
            guest, spec = self._with_spec("replace_disk", guest_id)
            if guest.power not in (Power.OFF, Power.CRASHED):
                raise DriverError("replace_disk", f"the guest is {guest.power}", code="guest.state")
            self._need_image(disk.image)
            others = tuple(disk if other.name == disk.name else other for other in spec.disks)
            guest.spec = replace(spec, disks=others)
            self._store.save(guest)

    # SwapsDisks

    def swap_disk(self, guest_id: str, disk: str, to: DiskSpec) -> None:
        def swap(spec: GuestSpec) -> GuestSpec:
            found = _disk("swap_disk", spec, disk)
            if not to.path:
                raise DriverError("swap_disk", "the storage must be there already", code="guest.refused")
            if _bytes(found) > _bytes(to):
                raise DriverError("swap_disk", f"disk {disk} does not fit", code="guest.refused")
            swapped = replace(found, path=to.path, format=to.format, size_gib=to.size_gib, size_mib=to.size_mib)
            return replace(spec, disks=tuple(swapped if other is found else other for other in spec.disks))

        self._change("swap_disk", guest_id, swap)

    def end_swap(self, guest_id: str, disk: str, to: DiskSpec) -> None:
        self._faults.enter("end_swap")

    # KeepsDisks

    def keep_disks(self, guest_id: str, name: str) -> None:
        self._faults.enter("keep_disks")
        with self._lock:
            guest, spec = self._with_spec("keep_disks", guest_id)
            _must_be_off("keep_disks", guest)
            if not _KEPT_NAME.fullmatch(name):
                raise DriverError("keep_disks", f"{name!r} is no name for kept disks", code="guest.refused")
            guest.kept.setdefault(name, tuple(disk for disk in spec.disks if not disk.path))
            self._store.save(guest)

    def restore_disks(self, guest_id: str, name: str) -> None:
        self._faults.enter("restore_disks")
        with self._lock:
            guest, spec = self._with_spec("restore_disks", guest_id)
            _must_be_off("restore_disks", guest)
            if name in guest.kept:
                disks = (*guest.kept.pop(name), *(disk for disk in spec.disks if disk.path))
                guest.spec = replace(spec, disks=disks)
                self._store.save(guest)

    def drop_kept_disks(self, guest_id: str, name: str) -> None:
        self._faults.enter("drop_kept_disks")
        with self._lock:
            guest = self._guests.get(guest_id)
            if guest is not None and guest.kept.pop(name, None) is not None:
                self._store.save(guest)

    # MovesDisks

    def read_disk(self, guest_id: str, disk: str, offset: int, max_bytes: int) -> bytes:
        self._faults.enter("read_disk")
        with self._lock:
            guest, spec = self._with_spec("read_disk", guest_id)
            _must_be_off("read_disk", guest)
            found = _disk("read_disk", spec, disk)
        return empty_qcow2(max(_bytes(found), 1 << 20))[offset : offset + min(max_bytes, PIECE_BYTES)]

    def write_disk(self, guest_id: str, disk: str, offset: int, data: bytes) -> None:
        self._faults.enter("write_disk")
        with self._lock:
            guest = self._guests.setdefault(guest_id, FakeGuest(guest_id, None, Power.ABSENT))
            if guest.power in (*_UP, Power.SUSPENDED):
                raise DriverError("write_disk", f"the guest is {guest.power}", code="guest.state")
            guest.arriving[disk] = (guest.arriving.get(disk, 0) if offset else 0) + len(data)
            self._store.save(guest)

    def adopt_disk(self, guest_id: str, disk: DiskSpec) -> None:
        self._faults.enter("adopt_disk")
        with self._lock:
            self._need_image(disk.image)
            guest = self._guests.get(guest_id)
            if guest is not None and guest.arriving.pop(disk.name, None) is not None:
                spec = guest.spec or GuestSpec(guest_id, "", "", 0, 0, ())
                others = (other for other in spec.disks if other.name != disk.name)
                guest.spec, guest.power = replace(spec, disks=(*others, disk)), Power.OFF
                guest.files = tuple(sorted({*guest.files, f"{disk.name}.qcow2"}))
                self._store.save(guest)

    # TalksToAgent

    def has_agent(self, guest_id: str) -> bool:
        self._faults.enter("has_agent")
        with self._lock:
            return self._known("has_agent", guest_id).power is Power.RUNNING and guest_id not in self._without_agent

    def set_password(self, guest_id: str, user: str, password: str) -> None:
        self._faults.enter("set_password")
        with self._lock:
            guest = self._known("set_password", guest_id)
            if guest.power is not Power.RUNNING:
                raise DriverError("set_password", f"the guest is {guest.power}", code="guest.state")
            if guest_id in self._without_agent:
                raise DriverError("set_password", "no agent runs in the guest", code="guest.no_agent")
            if not user or not password:
                raise DriverError("set_password", "the agent refuses that", code="guest.agent_refused")

    # Inside.

    def _change(self, op: str, guest_id: str, change: Callable[[GuestSpec], GuestSpec]) -> None:
        self._faults.enter(op)
        with self._lock:
            guest, spec = self._with_spec(op, guest_id)
            if guest.power is Power.SUSPENDED:
                raise DriverError(op, "the guest's memory is saved", code="guest.state")
            guest.spec = change(spec)
            guest.taps = tuple(nic.tap for nic in guest.spec.nics) if guest.power in _UP else ()
            guest.files = tuple(sorted({*guest.files, *(f"{d.name}.qcow2" for d in guest.spec.disks if not d.path)}))
            self._store.save(guest)

    def _with_spec(self, op: str, guest_id: str) -> tuple[FakeGuest, GuestSpec]:
        guest = self._known(op, guest_id)
        if guest.spec is None:
            raise DriverError(op, f"guest {guest_id} is not on this host", code="guest.not_found")
        return guest, guest.spec


def _must_be_off(op: str, guest: FakeGuest) -> None:
    if guest.power not in (Power.OFF, Power.CRASHED):
        raise DriverError(op, f"the guest is {guest.power}", code="guest.state")


def _without_nic(spec: GuestSpec, mac_address: str) -> tuple[NicSpec, ...]:
    return tuple(nic for nic in spec.nics if nic.mac_address.lower() != mac_address.lower())


def _disk(op: str, spec: GuestSpec, wanted: str) -> DiskSpec:
    for disk in spec.disks:
        if wanted and wanted in (disk.name, disk.serial):
            return disk
    raise DriverError(op, f"the guest has no disk {wanted}", code="disk.not_found")


def _require_key(op: str, disk: DiskSpec, key: DiskKey | None) -> None:
    if (disk.key.id if disk.key else "") != (key.id if key else ""):
        raise DriverError(op, "the key of the disk is another", code="disk.key_missing")


def _bytes(disk: DiskSpec) -> int:
    return disk.size_mib << 20 if disk.size_mib else disk.size_gib * _GIB
