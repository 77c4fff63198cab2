"""Takes domains over that others made, and gives them back: their definitions are kept beside our guests."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import xml.etree.ElementTree as ET
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt

from novalite.drivers.compute.base import ForeignGuest, Power
from novalite.drivers.compute.libvirt import foreign, power, shared_disks, stats
from novalite.drivers.compute.libvirt.connection import Connection
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.faults import translated
from novalite.drivers.compute.libvirt.places import Places, is_server_id
from novalite.drivers.programs import run
from novalite.errors import DriverError

_LOOK_SECONDS = 60.0
_WHOLE = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE
_KEEP = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM
_OURS = re.compile(r"novalite-[0-9a-f]{8}-[0-9a-f-]{36}")
_NVRAM, _VARIABLES = Path("/var/lib/libvirt/qemu/nvram"), "{}_VARS.fd"
_LONGEST_CHAIN = 2
"""A disk and what it stands on: our definitions name no more."""


class GuestAdoptions(ABC):
    """Implements ``AdoptsGuests`` for a driver that has the rest."""

    _connection: Connection
    _domains: Domains
    _places: Places

    @abstractmethod
    def _lock(self, guest_id: str) -> threading.Lock:
        """Held while the guest is changed."""

    @abstractmethod
    def _host_facts(self) -> stats.Capabilities:
        """What the hypervisor said of itself."""

    def foreign_guests(self) -> tuple[ForeignGuest, ...]:
        return self._connection.call("foreign_guests", self._foreign_names)

    def _foreign_names(self, connection: Any) -> tuple[ForeignGuest, ...]:
        found = []
        for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT):
            if not self._is_novalites(domain):
                found.append(ForeignGuest(domain.name(), domain.UUIDString(), power.current(domain)[0]))
        return tuple(sorted(found, key=lambda each: each.name))

    @staticmethod
    def _is_novalites(domain: Any) -> bool:
        """Of this appliance or of another one."""
        return bool(_OURS.fullmatch(domain.name()))

    def foreign_guest(self, name: str) -> ForeignGuest:
        architecture = self._host_facts().architecture
        found = self._connection.call("foreign_guest", self._foreign, name, architecture)
        others = self._connection.call("foreign_guest", self._used_by_others, found.id)
        whole = shared_disks.with_below(others, _below)
        return foreign.refused(found, *dict.fromkeys(shared_disks.conflicts(found.disks, whole, _below)))

    def _used_by_others(self, connection: Any, guest_id: str) -> list[shared_disks.Use]:
        """The disks of every other machine, as they are and as they will be. Those of our guests are kept below the
        state directory, or known as volumes."""

        def in_pool(pool: str, volume: str) -> str:
            try:
                return str(connection.storagePoolLookupByName(pool).storageVolLookupByName(volume).path())
            except libvirt.libvirtError:  # it is not there, so nobody uses it
                return ""

        found: dict[shared_disks.Use, None] = {}
        for domain in connection.listAllDomains(0):
            uuid = domain.UUIDString()
            if uuid != guest_id and domain.name() != self._domains.names.domain(uuid):
                for definition in _definitions(domain):
                    found.update(dict.fromkeys(shared_disks.uses(domain.name(), definition, in_pool)))
        return list(found)

    def _foreign(self, connection: Any, name: str, architecture: str) -> ForeignGuest:
        domain = _find(connection, name)
        if domain is None:
            raise DriverError("foreign_guest", f"there is no domain {name}", code="guest.not_found")
        now = power.current(domain)[0]
        found = foreign.read(domain.XMLDesc(_WHOLE), now, self._size, architecture=architecture)
        found = replace(found, starts_with_machine=bool(domain.autostart()))
        reasons = []
        if now is Power.SUSPENDED:
            reasons.append("its memory is saved (managed save); start it and shut it down")
        elif now is not Power.OFF:
            reasons.append(f"it is {now}; shut it down")
        if not domain.isPersistent():
            reasons.append("it is transient: libvirt forgets it when it stops")
        if domain.snapshotNum() or domain.listAllCheckpoints():
            reasons.append("it has snapshots or checkpoints of libvirt's, whose record would be lost; delete them")
        if not is_server_id(found.id):
            reasons.append("its UUID is not spelled as NovaLite spells them")
        if found.properties.get("hw_firmware_type") == "uefi" and not _may_copy(_variables_of(found.definition)):
            found = replace(found, left_out=(*found.left_out, "its UEFI variables, if it has any yet"))
        return foreign.refused(found, *reasons)

    def _size(self, path: str, form: str) -> int:
        """Raises ``ValueError``."""
        if Path(path).resolve().is_relative_to(self._places.state_dir):
            raise ValueError(f"{path} is NovaLite's own")
        if not Path(path).exists():
            raise ValueError(f"{path} is not there")
        if not os.access(path, os.R_OK | os.W_OK):
            raise ValueError(f"{path} may not be read and written by NovaLite")
        try:
            text = run(
                "foreign_guest",
                ["qemu-img", "info", "-U", "--backing-chain", "--output=json", "-f", form, path],
                timeout_seconds=_LOOK_SECONDS,
            )
        except DriverError as error:
            raise ValueError(f"{path} cannot be read as {form}: {error.message}") from error
        chain = json.loads(text)
        if len(chain) > _LONGEST_CHAIN:
            raise ValueError(f"{path} stands on a chain of {len(chain) - 1} files; 'virsh blockpull' flattens it")
        if chain[0].get("backing-filename") and not chain[0].get("backing-filename-format"):
            raise ValueError(f"{path} does not tell the format of what it stands on; 'qemu-img rebase -F' names it")
        if chain[0].get("encrypted"):
            raise ValueError(f"{path} is encrypted")
        return int(chain[0]["virtual-size"])

    def take_guest(self, guest_id: str) -> None:
        with self._lock(guest_id):
            self._connection.call("take_guest", self._take, guest_id)

    def _take(self, connection: Any, guest_id: str) -> None:
        kept = self._kept(guest_id)
        domain = _find(connection, guest_id)
        if domain is None or self._domains.find(connection, guest_id) is not None:
            if not kept.exists():
                raise DriverError("take_guest", f"there is no domain {guest_id}", code="guest.not_found")
            return
        if domain.isActive() or domain.hasManagedSaveImage():
            raise DriverError("take_guest", "the domain is not off", code="guest.state")
        definition = domain.XMLDesc(_WHOLE)
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        _write(kept, definition)
        self._copy_variables(definition, guest_id)
        domain.undefineFlags(_KEEP)

    def _copy_variables(self, definition: str, guest_id: str) -> None:
        """The firmware's variables are copied to where libvirt looks for ours; theirs stay."""
        theirs, ours = _variables_of(definition), _NVRAM / _VARIABLES.format(self._domains.names.domain(guest_id))
        if _may_copy(theirs):
            shutil.copy2(theirs, ours)
            facts = theirs.stat()
            os.chown(ours, facts.st_uid, facts.st_gid)

    def give_guest_back(self, guest_id: str, definition: str, starts_with_machine: bool) -> None:
        with self._lock(guest_id):
            self._connection.call("give_guest_back", self._give_back, guest_id, definition, starts_with_machine)
            self._places.guest(guest_id).remove()
            self._kept(guest_id).unlink(missing_ok=True)

    def _give_back(self, connection: Any, guest_id: str, definition: str, starts_with_machine: bool) -> None:
        ours = self._domains.find(connection, guest_id)
        if ours is not None:
            if ours.isActive() or ours.hasManagedSaveImage():
                raise DriverError("give_guest_back", "the guest is not off", code="guest.state")
            ours.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM)
        domain = _find(connection, guest_id)
        if domain is None:
            try:
                domain = connection.defineXMLFlags(definition, 0)
            except libvirt.libvirtError as error:
                raise translated("give_guest_back", error, "guest.refused") from error
        domain.setAutostart(int(starts_with_machine))

    def _kept(self, guest_id: str) -> Path:
        if not is_server_id(guest_id):
            raise DriverError("take_guest", f"{guest_id!r} is not a server id", code="guest.not_found")
        return self._places.state_dir / "adopted" / f"{guest_id}.xml"

    def is_adopted(self, guest_id: str) -> bool:
        """Whether there is a definition to be given back one day, which needs its TPM again."""
        return is_server_id(guest_id) and self._kept(guest_id).exists()


def _variables_of(definition: str) -> Path:
    """Where they are, or where libvirt puts those of a domain that does not say."""
    root = ET.fromstring(definition)  # noqa: S314 - the local libvirt's
    told = root.findtext("os/nvram", "").strip()
    return Path(told) if told else _NVRAM / _VARIABLES.format(root.findtext("name", ""))


def _may_copy(variables: Path) -> bool:
    return os.access(variables, os.R_OK) and os.access(_NVRAM, os.W_OK | os.X_OK) and variables.is_file()


def _find(connection: Any, name: str) -> Any | None:
    """By UUID, else by name."""
    for look in (connection.lookupByUUIDString, connection.lookupByName):
        try:
            return look(name)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
                raise
    return None


def _definitions(domain: Any) -> Iterator[str]:
    """As it is and as it will be started; nothing of one that is gone meanwhile."""
    try:
        yield domain.XMLDesc(0)
        if domain.isPersistent() and domain.isActive():
            yield domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def _below(path: str, form: str) -> tuple[str, ...]:
    """The files that a disk stands on. One that cannot be read has no machine that runs on it."""
    words = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", "-f", form, path]
    try:
        chain = json.loads(run("foreign_guest", words, timeout_seconds=_LOOK_SECONDS))
    except DriverError:
        return ()
    return tuple(str(each["filename"]) for each in chain[1:])


def _write(path: Path, text: str) -> None:
    """It is on the disk before the hypervisor forgets."""
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        fresh.chmod(0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
