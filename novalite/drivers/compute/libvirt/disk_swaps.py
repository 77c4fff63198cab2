"""Other storage in place of what a disk of a guest has.

While the guest runs QEMU copies it (a block copy), writes go to both from then on, and at the end the guest has the new
one. A copy that was cut off goes on in QEMU, and is found again.
"""

from __future__ import annotations

import contextlib
import shutil
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import libvirt

from novalite.drivers.compute.base import Power
from novalite.drivers.compute.libvirt import disks, power, sources
from novalite.drivers.compute.libvirt.connection import Connection
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.faults import is_lost, translated
from novalite.drivers.compute.libvirt.guest_locks import GuestLocks
from novalite.drivers.compute.libvirt.places import Places
from novalite.drivers.compute.libvirt.signals import Signal
from novalite.drivers.compute.libvirt.snapshots import is_disk
from novalite.drivers.programs import run
from novalite.errors import DriverError

_OP = "swap_disk"
_COPY_SECONDS = 5 * 3600.0
_LOOK_SECONDS = 1.0
_END_SECONDS = 20.0
_FLAGS = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
_LITTLE_ROOM = 64 << 20
_REPLACED = ("source", "driver", "backingStore")


class DiskSwaps:
    """``swap`` blocks for as long as the copy takes; one per guest at a time."""

    def __init__(self, connection: Connection, domains: Domains, places: Places, jobs: Signal) -> None:
        """``jobs`` tells when a job of some guest is ready, or over."""
        self._connection, self._domains, self._places = connection, domains, places
        self._locks = GuestLocks()
        self._jobs = jobs

    def swap(self, guest_id: str, disk: str, wanted: ET.Element, size: int) -> None:
        """``wanted`` is the device as it is to be, ``size`` in bytes. A file that is larger than what the guest has is
        as small as that until the guest has it: QEMU copies between equal sizes only."""
        with self._locks.alone(guest_id):
            if self._connection.call(_OP, self._is_active, guest_id):
                self._swap_running(guest_id, disk, wanted)
            else:
                self._connection.call(_OP, self._swap_stopped, guest_id, disk, wanted)
            self._connection.call(_OP, self._settle, guest_id, disk, wanted, size)

    def end(self, guest_id: str, disk: str, path: Path, image_format: str, size: int) -> None:
        """Stay with what the guest has; nothing when it is not there or nothing is copied. The file of the other is
        as large as it was."""
        unused = self._connection.call("end_swap", self._end, guest_id, disk, str(path)) and path.is_file()
        if unused and disks.virtual_size("end_swap", path, image_format) < size:
            disks.grow(self._places.guest(guest_id), path, image_format, size)

    def _is_active(self, connection: Any, guest_id: str) -> bool:
        domain = self._domains.known(connection, _OP, guest_id)
        if power.current(domain)[0] is Power.SUSPENDED:
            raise DriverError(_OP, "the guest's memory is saved: its disks must stay", code="guest.state")
        return bool(domain.isActive())

    def _live(self, connection: Any, guest_id: str, disk: str) -> tuple[Any, ET.Element]:
        domain = self._domains.known(connection, _OP, guest_id)
        if not domain.isActive():
            raise DriverError(_OP, "the guest stopped while a disk was copied", code="guest.state", retryable=True)
        return domain, self._element(domain.XMLDesc(), guest_id, disk)

    def _element(self, description: str, guest_id: str, disk: str) -> ET.Element:
        return self._element_in(ET.fromstring(description), guest_id, disk)  # noqa: S314 - the local libvirt's

    def _element_in(self, root: ET.Element, guest_id: str, disk: str) -> ET.Element:
        place = self._places.guest(guest_id)
        found = next((one for one in root.findall("./devices/disk") if is_disk(one, place, disk)), None)
        if found is None:
            raise DriverError(_OP, f"the guest has no disk {disk}", code="disk.not_found")
        return found

    # A guest that runs.

    def _swap_running(self, guest_id: str, disk: str, wanted: ET.Element) -> None:
        if not self._connection.call(_OP, self._begin, guest_id, disk, wanted):
            return
        deadline = time.monotonic() + _COPY_SECONDS
        while True:
            heard = self._jobs.heard()
            if self._connection.call(_OP, self._is_ready, guest_id, disk, wanted):
                break
            if time.monotonic() > deadline:
                self._connection.call(_OP, self._end, guest_id, disk, _address(wanted))
                raise DriverError(_OP, f"the copy took longer than {_COPY_SECONDS:.0f} s", code="driver.timeout")
            self._jobs.wait(heard, _LOOK_SECONDS)
        self._connection.call(_OP, self._turn, guest_id, disk, wanted)

    def _begin(self, connection: Any, guest_id: str, disk: str, wanted: ET.Element) -> bool:
        """Whether there is a copy to wait for: one that goes on to the same place, or a new one."""
        domain, element = self._live(connection, guest_id, disk)
        if _address(element) == _address(wanted):
            return False
        mirror = element.find("mirror")
        if mirror is not None:
            if _mirrored(mirror) == _address(wanted):
                return True
            self._abort(domain, guest_id, disk)
        _fit(Path(_address(wanted)), _format(wanted), domain.blockInfo(_target(element))[0])
        try:
            domain.blockCopy(_target(element), ET.tostring(wanted, encoding="unicode"), {}, _FLAGS)
        except libvirt.libvirtError as error:
            if is_lost(error):
                raise
            raise translated(_OP, error, "guest.refused") from error
        return True

    def _is_ready(self, connection: Any, guest_id: str, disk: str, wanted: ET.Element) -> bool:
        _, element = self._live(connection, guest_id, disk)
        mirror = element.find("mirror")
        if mirror is None and _address(element) != _address(wanted):
            raise _failed(_address(wanted))
        return mirror is None or mirror.get("ready") in ("yes", "pivot")

    def _turn(self, connection: Any, guest_id: str, disk: str, wanted: ET.Element) -> None:
        domain, element = self._live(connection, guest_id, disk)
        if element.find("mirror") is not None:
            try:
                domain.blockJobAbort(_target(element), libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
            except libvirt.libvirtError:
                if not self._has_turned(connection, guest_id, disk, wanted):
                    raise  # else somebody else was faster: a process that was killed had asked before
        if not self._has_turned(connection, guest_id, disk, wanted):
            raise _failed(_address(wanted))

    def _has_turned(self, connection: Any, guest_id: str, disk: str, wanted: ET.Element) -> bool:
        _, element = self._live(connection, guest_id, disk)
        return element.find("mirror") is None and _address(element) == _address(wanted)

    def _end(self, connection: Any, guest_id: str, disk: str, path: str) -> bool:
        """Whether the guest goes on without what is at ``path``."""
        domain = self._domains.find(connection, guest_id)
        if domain is None:
            return True
        if domain.isActive():
            self._abort(domain, guest_id, disk)
        root = ET.fromstring(domain.XMLDesc())  # noqa: S314 - comes from the local libvirt
        return all(_address(one) != path for one in root.findall("./devices/disk"))

    def _abort(self, domain: Any, guest_id: str, disk: str) -> None:
        deadline = time.monotonic() + _END_SECONDS
        while True:
            heard = self._jobs.heard()
            try:
                element = self._element(domain.XMLDesc(), guest_id, disk)
            except DriverError:  # the disk is gone, and its copying with it
                return
            if element.find("mirror") is None:
                return
            if time.monotonic() > deadline:
                raise DriverError("end_swap", "the copying does not end", code="driver.timeout", retryable=True)
            with contextlib.suppress(libvirt.libvirtError):  # it may have ended by itself: looked at again above
                domain.blockJobAbort(_target(element), libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC)
            self._jobs.wait(heard, _LOOK_SECONDS / 4)

    # A guest that does not.

    def _swap_stopped(self, connection: Any, guest_id: str, disk: str, wanted: ET.Element) -> None:
        """Written over as a whole, so what a copy that was cut off has left does not matter."""
        domain = self._domains.known(connection, _OP, guest_id)
        element = self._element(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), guest_id, disk)
        if _address(element) != _address(wanted):
            argv = ["qemu-img", "convert", "-n", "-f", _format(element), "-O", _format(wanted), _address(element),
                    _address(wanted)]  # fmt: skip
            run(_OP, argv, timeout_seconds=_COPY_SECONDS)

    # Both.

    def _settle(self, connection: Any, guest_id: str, disk: str, wanted: ET.Element, size: int) -> None:
        """The definition says what the guest has, and the guest knows how large it is."""
        domain = self._domains.known(connection, _OP, guest_id)
        root = ET.fromstring(domain.XMLDesc(  # noqa: S314 - the local libvirt's
            libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))  # fmt: skip
        element = self._element_in(root, guest_id, disk)
        if _address(element) != _address(wanted):
            _replace(element, wanted)
            connection.defineXML(ET.tostring(root, encoding="unicode"))
        if domain.isActive() and size > domain.blockInfo(_target(element))[0]:
            domain.blockResize(_target(element), size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def _fit(path: Path, image_format: str, size: int) -> None:
    now = disks.virtual_size(_OP, path, image_format)
    if now < size:
        raise DriverError(_OP, f"{size} bytes do not fit into {now}", code="guest.refused")
    if now > size:
        if not path.is_file():
            raise DriverError(_OP, f"{path} has {now} bytes, and only a file may have more than the {size} of the disk "
                              "while the guest runs", code="guest.refused")  # fmt: skip
        argv = ["qemu-img", "resize", "-q", "--shrink", "-f", image_format, str(path), str(size)]
        run(_OP, argv, timeout_seconds=_END_SECONDS)


def _replace(element: ET.Element, wanted: ET.Element) -> None:
    element.set("type", wanted.get("type", "file"))
    for tag in _REPLACED:
        old, new = element.find(tag), wanted.find(tag)
        if old is not None:
            element.remove(old)
        if new is not None:
            element.append(new)


def _address(element: ET.Element) -> str:
    return sources.address(element.find("source"))


def _mirrored(mirror: ET.Element) -> str:
    return sources.address(mirror.find("source")) or mirror.get("file", "")


def _target(element: ET.Element) -> str:
    target = element.find("target")
    return target.get("dev", "") if target is not None else ""


def _format(element: ET.Element) -> str:
    driver = element.find("driver")
    return driver.get("type", "raw") if driver is not None else "raw"


def _failed(path: str) -> DriverError:
    """QEMU does not say why a copy failed once it is over."""
    with contextlib.suppress(OSError):
        if path.startswith("/") and shutil.disk_usage(Path(path).parent).free < _LITTLE_ROOM:
            return DriverError(_OP, f"there is no room left for {path}", code="disk.full", retryable=True)
    return DriverError(_OP, "the copy failed, or was called off", code="driver.failed")
