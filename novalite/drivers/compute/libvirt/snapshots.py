"""Copies of a guest's disks. A running guest's disk is copied by QEMU itself (a push backup), which never changes
what the guest stands on: an interrupted copy leaves nothing but a file to throw away."""

from __future__ import annotations

import json
import os
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
import msgspec

from novalite import logs
from novalite.drivers.compute.base import PIECE_BYTES, DiskCopy, DiskKey, SnapshotFile
from novalite.drivers.compute.libvirt import disks, encrypted, guest_agent, sources
from novalite.drivers.compute.libvirt.connection import Connection
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.elements import sub
from novalite.drivers.compute.libvirt.guest_locks import GuestLocks
from novalite.drivers.compute.libvirt.places import GuestPlace, Places, is_server_id
from novalite.drivers.compute.libvirt.secrets import Secrets
from novalite.drivers.compute.libvirt.signals import Signal
from novalite.drivers.programs import run
from novalite.errors import DriverError, NovaLiteError

_log = logs.get("libvirt")
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_COPY_SECONDS = 7000.0
_LOOK_SECONDS = 5.0
"""libvirt tells when a copy ends; what is told while contact is lost is seen then."""
_ABORT_SECONDS = 20.0
_FREEZES = "frozen"
_FREEZE_SECONDS = 30.0
"""No copy takes that long to begin: a guest that is held still for longer was forgotten."""


@dataclass(frozen=True)
class _Files:
    """``whole`` appears last: a copy that has its name is complete."""

    whole: Path
    part: Path
    facts: Path


class Snapshots:
    """``take`` blocks for as long as the copy takes; one copy, or several of one moment, per guest at a time."""

    def __init__(
        self, connection: Connection, domains: Domains, places: Places, keys: Path, secrets: Secrets, jobs: Signal
    ) -> None:  # fmt: skip
        """``keys`` is the directory of what opens disks that other machines export; ``jobs`` tells when a job of some
        guest ends."""
        self._connection, self._domains, self._places, self._keys = connection, domains, places, keys
        self._secrets, self._jobs = secrets, jobs
        self._locks = GuestLocks()

    def take(self, guest_id: str, disk: str, name: str, key: DiskKey | None = None) -> SnapshotFile:
        (taken,) = self.take_together(guest_id, (DiskCopy(disk, name, key),))
        return taken

    def take_together(self, guest_id: str, wanted: Sequence[DiskCopy]) -> tuple[SnapshotFile, ...]:
        """When one of the copies is missing all are made anew: they are of one moment."""
        place = self._places.guest(guest_id)
        named = [(copy, _files("take_snapshot", place, copy.name)) for copy in wanted]
        with self._locks.alone(guest_id):
            if all(files.whole.exists() for _, files in named):
                return tuple(msgspec.json.decode(files.facts.read_bytes(), type=SnapshotFile) for _, files in named)
            copies = [self._planned(guest_id, copy, files) for copy, files in named]
            for copy in copies:
                self._connection.call("take_snapshot", self._clear, guest_id, copy.files)
                copy.files.whole.unlink(missing_ok=True)
            running = self._connection.call("take_snapshot", self._is_active, guest_id)
            what = f"a copy of disk {', '.join(copy.disk for copy in wanted)}"
            with place.room.taken("take_snapshot", sum(self._needed_bytes(copy.found) for copy in copies), what):
                quiesced = self._copy_running(guest_id, copies) if running else self._copy_stopped(copies)
            return tuple(_finish(copy, guest_id, quiesced) for copy in copies)

    def _planned(self, guest_id: str, copy: DiskCopy, files: _Files) -> _Copy:
        found = self._connection.call("take_snapshot", self._find, guest_id, copy.disk)
        if found.key_id and sources.is_exported(found.path):
            raise DriverError("take_snapshot", "an encrypted disk that another machine exports is not copied here",
                              code="guest.refused", hint="Detach the volume first.")  # fmt: skip
        key = encrypted.needed("take_snapshot", copy.key) if found.key_id else None
        return _Copy(found, copy.disk, copy.name, files, key)

    def read(self, guest_id: str, name: str, offset: int, max_bytes: int) -> bytes:
        files = _files("read_snapshot", self._places.guest(guest_id), name)
        try:
            with files.whole.open("rb") as file:
                file.seek(max(0, offset))
                return file.read(max(0, min(max_bytes, PIECE_BYTES)))
        except FileNotFoundError as error:
            raise DriverError("read_snapshot", f"there is no snapshot {name}", code="snapshot.not_found") from error

    def path(self, guest_id: str, name: str) -> Path:
        whole = _files("read_snapshot", self._places.guest(guest_id), name).whole
        if not whole.exists():
            raise DriverError("read_snapshot", f"there is no snapshot {name}", code="snapshot.not_found")
        return whole

    def drop(self, guest_id: str, name: str) -> None:
        if not is_server_id(guest_id):
            return
        files = _files("drop_snapshot", self._places.guest(guest_id), name)
        if files.part.exists():
            self._connection.call("drop_snapshot", self._clear, guest_id, files)
        for file in (files.whole, files.facts):
            file.unlink(missing_ok=True)

    def mend(self) -> None:
        """Thaw guests that a process which died had held still."""
        for marker in self._places.guests.glob(f"*/{_FREEZES}"):
            try:
                if time.time() - marker.stat().st_mtime < _FREEZE_SECONDS:
                    continue
                self._connection.call("take_snapshot", self._thaw, marker.parent.name)
            except (NovaLiteError, FileNotFoundError) as error:
                _log.warning("guest_not_thawed", guest=marker.parent.name, error=str(error))

    def _find(self, connection: Any, guest_id: str, disk: str) -> FoundDisk:
        domain = self._domains.known(connection, "take_snapshot", guest_id)
        return find_disk(domain, self._places.guest(guest_id), "take_snapshot", disk)

    def _is_active(self, connection: Any, guest_id: str) -> bool:
        return bool(self._domains.known(connection, "take_snapshot", guest_id).isActive())

    def _clear(self, connection: Any, guest_id: str, files: _Files) -> None:
        """End what an earlier attempt left."""
        domain = self._domains.find(connection, guest_id)
        if domain is not None and domain.isActive():
            if _copies_to(domain, files.part):
                domain.abortJob()
                self._await_end(domain, files.part)
            self._thaw(connection, guest_id)
        files.part.unlink(missing_ok=True)

    def _await_end(self, domain: Any, part: Path) -> None:
        deadline = time.monotonic() + _ABORT_SECONDS
        while True:
            heard = self._jobs.heard()
            if not (domain.isActive() and _copies_to(domain, part)):
                return
            if time.monotonic() > deadline:
                raise DriverError(
                    "take_snapshot", "an earlier copy does not end", code="driver.timeout", retryable=True
                )
            self._jobs.wait(heard, _LOOK_SECONDS)

    def _needed_bytes(self, found: FoundDisk) -> int:
        if found.key_id:
            return encrypted.needed_bytes("take_snapshot", found.path, found.outer_format)
        return disks.needed_bytes("take_snapshot", found.path, found.format, "qcow2", self._keys)

    def _copy_stopped(self, copies: list[_Copy]) -> bool:
        """A guest that does not run holds still by itself."""
        for copy in copies:
            found, part = copy.found, copy.files.part
            if copy.key is not None:
                encrypted.copy("take_snapshot", found.path, found.format, part, copy.key)
                continue
            size = disks.virtual_size("take_snapshot", found.path, found.format, self._keys)
            disks.convert("take_snapshot", found.path, found.format, part, "qcow2", size, self._keys)
        return False

    def _copy_running(self, guest_id: str, copies: list[_Copy]) -> bool:
        for copy in copies:
            # Made here and not by libvirt, which is left with a job that never ends when it dies while it makes it.
            size = disks.virtual_size("take_snapshot", copy.found.path, copy.found.outer_format, self._keys)
            encrypted.create("take_snapshot", copy.files.part, size, copy.key)
            self._places.guest(guest_id).lend(copy.files.part)
        keys, parts = [copy.key for copy in copies], [copy.files.part for copy in copies]
        with self._secrets.held(keys):
            self._connection.call("take_snapshot", self._secrets.ensure, keys)
            quiesced = self._connection.call("take_snapshot", self._begin, guest_id, _order(copies))
        deadline = time.monotonic() + _COPY_SECONDS
        while time.monotonic() < deadline:
            heard = self._jobs.heard()
            if self._connection.call("take_snapshot", self._is_done, guest_id, parts):
                return quiesced
            self._jobs.wait(heard, _LOOK_SECONDS)
        for copy in copies:
            self._connection.call("take_snapshot", self._clear, guest_id, copy.files)
        raise DriverError("take_snapshot", f"the copy took longer than {_COPY_SECONDS:.0f} s", code="driver.timeout")

    def _begin(self, connection: Any, guest_id: str, order: str) -> bool:
        """All disks are one backup, which QEMU begins as one transaction."""
        domain = self._domains.known(connection, "take_snapshot", guest_id)
        marker = self._places.guest(guest_id).directory / _FREEZES
        marker.touch()
        quiesced = guest_agent.freeze(domain)
        try:
            domain.backupBegin(order, None, libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL)
        finally:
            if quiesced:
                guest_agent.thaw(domain)
            marker.unlink(missing_ok=True)
        return quiesced

    def _thaw(self, connection: Any, guest_id: str) -> None:
        marker = self._places.guest(guest_id).directory / _FREEZES
        if not marker.exists():
            return
        domain = self._domains.find(connection, guest_id)
        if domain is not None and domain.isActive() and guest_agent.is_connected(domain):
            guest_agent.thaw(domain)
        marker.unlink(missing_ok=True)

    def _is_done(self, connection: Any, guest_id: str, parts: list[Path]) -> bool:
        domain = self._domains.known(connection, "take_snapshot", guest_id)
        if not domain.isActive():
            raise DriverError(
                "take_snapshot", "the guest stopped while it was copied", code="guest.state", retryable=True
            )
        if domain.jobStats().get("type", libvirt.VIR_DOMAIN_JOB_NONE) != libvirt.VIR_DOMAIN_JOB_NONE:
            return False
        result = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        if result.get("type") == libvirt.VIR_DOMAIN_JOB_COMPLETED and all(part.exists() for part in parts):
            return True
        why = result.get("errmsg", "") or "it was called off"
        full = "no space" in why.lower()
        code = "disk.full" if full else "driver.failed"
        raise DriverError("take_snapshot", f"the copy failed: {why}", code=code, retryable=full)


def _files(op: str, place: GuestPlace, name: str) -> _Files:
    if not _NAME.fullmatch(name):
        raise DriverError(op, f"{name!r} is no name for a snapshot", code="snapshot.not_found")
    stem = place.directory / f"snapshot-{name}"
    return _Files(stem.with_suffix(".qcow2"), stem.with_suffix(".part"), stem.with_suffix(".json"))


@dataclass(frozen=True)
class FoundDisk:
    """``format`` is what the definition says; a guest could make a raw disk look like another. ``key_id`` is that of
    the key with which it is encrypted."""

    device: str
    path: Path
    format: str
    key_id: str = ""

    @property
    def outer_format(self) -> str:
        """As who has no key sees it."""
        return "luks" if self.key_id and self.format == "raw" else self.format


def find_disk(domain: Any, place: GuestPlace, op: str, disk: str) -> FoundDisk:
    """The disk with that name or serial. Raises ``DriverError`` with code ``disk.not_found``."""
    root = ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))  # noqa: S314 - the local libvirt's
    for element in root.findall("./devices/disk[@device='disk']"):
        source, target, driver = (element.find(tag) for tag in ("source", "target", "driver"))
        path = sources.address(source)
        if is_disk(element, place, disk) and path and target is not None and driver is not None:
            secret = source.find("encryption/secret") if source is not None else None
            key_id = "" if secret is None else secret.get("uuid", "")
            return FoundDisk(target.get("dev", ""), Path(path), driver.get("type", "raw"), key_id)
    raise DriverError(op, f"the guest has no disk {disk}", code="disk.not_found")


def is_disk(element: ET.Element, place: GuestPlace, disk: str) -> bool:
    """Is the device the disk with that name or serial?"""
    if element.get("device") != "disk":
        return False
    path = sources.address(element.find("source"))
    return path == str(place.disk(disk)) or bool(disk and element.findtext("serial") == disk[:20])


@dataclass(frozen=True)
class _Copy:
    found: FoundDisk
    disk: str
    name: str
    files: _Files
    key: DiskKey | None


def _order(copies: list[_Copy]) -> str:
    root = ET.Element("domainbackup", mode="push")
    wanted = sub(root, "disks")
    for copy in copies:
        disk = sub(wanted, "disk", name=copy.found.device, backup="yes", type="file")
        onto = sub(disk, "target", file=str(copy.files.part))
        if copy.key is not None:
            onto.append(sources.encryption(copy.key.id))
        sub(disk, "driver", type="qcow2")
    return ET.tostring(root, encoding="unicode")


def _copies_to(domain: Any, part: Path) -> bool:
    try:
        return str(part) in domain.backupGetXMLDesc(0)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_BACKUP:
            return False
        raise


def _finish(copy: _Copy, guest_id: str, quiesced: bool) -> SnapshotFile:
    files = copy.files
    try:
        info = run(
            "take_snapshot",
            ["qemu-img", "info", "--output=json", "-f", "qcow2", str(files.part)],
            timeout_seconds=60,
        )
        snapshot = SnapshotFile(
            guest_id, copy.name, copy.disk, files.part.stat().st_size, json.loads(info)["virtual-size"], quiesced
        )
        files.facts.write_bytes(msgspec.json.encode(snapshot))
        with files.part.open("rb") as file:
            os.fsync(file.fileno())  # what has its name is believed to be whole, after a power cut too
        os.replace(files.part, files.whole)
    except FileNotFoundError as error:
        raise DriverError("take_snapshot", "the copy was dropped meanwhile", code="snapshot.not_found") from error
    return snapshot
