"""Finds, defines, starts and removes this appliance's domains, and never sees anyone else's."""

from __future__ import annotations

import time
from typing import Any

import libvirt

from novalite import logs
from novalite.drivers.compute.base import GuestState, Power, PowerAction
from novalite.drivers.compute.libvirt import power
from novalite.drivers.compute.libvirt.faults import is_lost, translated
from novalite.drivers.compute.libvirt.guest import Names
from novalite.drivers.compute.libvirt.pinning import pinned
from novalite.drivers.compute.libvirt.stats import interfaces
from novalite.drivers.compute.libvirt.xml import NAMESPACE, owner_of
from novalite.errors import DriverError

_log = logs.get("libvirt")
_SLOW_DEFINE_SECONDS = 2.0
_SLOW_DEFINE_ADVICE = (
    "; defining a guest is slow: the user QEMU runs as cannot open /dev/kvm although root can, so libvirt probes "
    'QEMU each time. Add that user to the group kvm, or set user="root" in /etc/libvirt/qemu.conf'
)
_REMOVE_ALL = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


class Domains:
    """Every method takes an open connection and lets ``libvirtError`` out, for ``Connection.call``."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def find(self, connection: Any, guest_id: str) -> Any | None:
        """Our domain, or None. One of the same UUID that is not ours counts as none."""
        domain = self._by_uuid(connection, guest_id)
        return domain if domain is not None and self._is_ours(domain) else None

    def known(self, connection: Any, op: str, guest_id: str) -> Any:
        """Our domain. Raises ``DriverError`` with code ``guest.not_found``."""
        domain = self.find(connection, guest_id)
        if domain is None:
            raise DriverError(op, f"guest {guest_id} is not on this host", code="guest.not_found")
        return domain

    def _by_uuid(self, connection: Any, guest_id: str) -> Any | None:
        try:
            return connection.lookupByUUIDString(guest_id)
        except libvirt.libvirtError as error:
            if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
                return None
            raise

    def _is_ours(self, domain: Any) -> bool:
        if not self.names.guest_id(domain.name(), domain.UUIDString()):
            return False
        try:
            owner = owner_of(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
        except libvirt.libvirtError as error:
            if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
                return False
            raise
        return owner.appliance_id == self.names.appliance_id

    def state(self, connection: Any, guest_id: str) -> GuestState:
        domain = self.find(connection, guest_id)
        if domain is None:
            return GuestState(guest_id, Power.ABSENT)
        try:
            return GuestState(guest_id, *power.current(domain))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:  # it went meanwhile
                return GuestState(guest_id, Power.ABSENT)
            raise

    def known_state(self, connection: Any, op: str, guest_id: str) -> GuestState:
        return GuestState(guest_id, *power.current(self.known(connection, op, guest_id)))

    def states(self, connection: Any) -> tuple[GuestState, ...]:
        """All of ours, in two questions however many there are."""
        saved = {
            domain.UUIDString() for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
        }
        found = []
        for domain, facts in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE):
            guest_id = self.names.guest_id(domain.name(), domain.UUIDString())
            if guest_id:
                said = power.state_of(facts["state.state"], facts["state.reason"], guest_id in saved)
                found.append(GuestState(guest_id, *power.explained(domain, *said)))
        return tuple(found)

    def with_taps(self, connection: Any) -> dict[str, tuple[GuestState, tuple[str, ...]]]:
        """Ours, with the taps of those that run."""
        found = {}
        for state in self.states(connection):
            taps: tuple[str, ...] = ()
            if state.power in (Power.RUNNING, Power.PAUSED):
                domain = self.find(connection, state.id)
                if domain is not None:
                    taps = tuple(tap for tap, _ in interfaces(domain.XMLDesc()) if tap)
            found[state.id] = (state, taps)
        return found

    def pinned(self, connection: Any, but: str = "") -> frozenset[int]:
        """Processors of the host that guests have to themselves, running or not; ``but`` one does not count."""
        found: set[int] = set()
        for domain in connection.listAllDomains(0):
            if domain.UUIDString() != but:
                try:
                    found |= pinned(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
                except libvirt.libvirtError as error:
                    if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # it went meanwhile
                        raise
        return frozenset(found)

    def define(self, connection: Any, guest_id: str, definition: str) -> str:
        """Define the guest; advice for the operator, if there is any."""
        other = self._by_uuid(connection, guest_id)
        if other is not None and not self._is_ours(other):
            raise DriverError(
                "ensure_guest", f"a domain that NovaLite did not make has the id {guest_id}", code="guest.refused"
            )
        started = time.monotonic()
        try:
            connection.defineXMLFlags(definition, 0)
        except libvirt.libvirtError as error:
            if is_lost(error):
                raise
            raise translated("ensure_guest", error, "guest.refused") from error
        seconds = time.monotonic() - started
        if seconds < _SLOW_DEFINE_SECONDS:
            return ""
        _log.warning("define_is_slow", seconds=round(seconds, 1), advice=_SLOW_DEFINE_ADVICE)
        return _SLOW_DEFINE_ADVICE

    def start(self, connection: Any, guest_id: str) -> GuestState:
        domain = self.known(connection, "ensure_guest", guest_id)
        try:
            domain.create()
        except libvirt.libvirtError as error:
            if is_lost(error):
                raise
            if not domain.isActive():
                raise translated("ensure_guest", error, "guest.refused") from error
        return GuestState(guest_id, *power.current(domain))

    def act(self, connection: Any, guest_id: str, action: PowerAction) -> GuestState:
        domain = self.known(connection, "set_power", guest_id)
        power.act(domain, action)
        return GuestState(guest_id, *power.current(domain))

    def remove(self, connection: Any, guest_id: str, keeps_tpm: bool = False) -> None:
        """Stop and undefine; nothing when there is none of ours."""
        domain = self.find(connection, guest_id)
        if domain is None:
            return
        try:
            if domain.isActive():
                domain.destroy()
        except libvirt.libvirtError as error:
            if is_lost(error) or domain.isActive():
                raise
        try:
            domain.undefineFlags(_REMOVE_ALL | (libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM if keeps_tpm else 0))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
