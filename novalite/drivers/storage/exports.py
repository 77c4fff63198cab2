"""Volumes of this machine for compute hosts on others: which host has which, kept in files, served by daemons."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from novalite import logs
from novalite.drivers.storage.base import ExportSpec
from novalite.drivers.storage.export_daemon import ExportDaemon, Listener, QemuDaemon
from novalite.errors import DriverError, Invalid
from novalite.pki import files, names
from novalite.pki.authority import Authority

_log = logs.get("volumes")
_STATE = "exports.json"
_LAST_PORT = 65535
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


class _Kept(msgspec.Struct, frozen=True):
    """What is written down of a host before it is acted on."""

    host: str
    port: int
    exports: tuple[ExportSpec, ...] = ()


@dataclass
class _Client:
    """A compute host with the daemon that serves it."""

    kept: _Kept
    daemon: ExportDaemon
    file: Path
    known: dict[str, ExportSpec] = field(init=False)

    def __post_init__(self) -> None:
        self.known = {spec.id: spec for spec in self.kept.exports}

    def save(self) -> None:
        self.kept = msgspec.structs.replace(self.kept, exports=tuple(self.known.values()))
        files.write(self.file, msgspec.json.encode(self.kept).decode(), mode=0o600)


class DaemonExports:
    """Implements ``VolumeExports``. Each host has a daemon and a port of its own, from ``first_port`` on (0: any that
    is free), so that nobody opens what is exported to another. ``address`` empty: nothing is exported. Raises
    ``Invalid``."""

    def __init__(
        self, directory: Path, address: str, first_port: int,
        new_daemon: Callable[[Path], ExportDaemon] = QemuDaemon,
    ) -> None:  # fmt: skip
        _require_address(address)
        self._directory, self._address, self._first_port = directory.absolute(), address, first_port
        self._new_daemon = new_daemon
        self._lock = threading.RLock()
        self._authority: Authority | None = None
        self._clients = {client.kept.host: client for client in self._read()}
        self._closed = False
        self._changed = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    # Who may.

    def admit(self, host: str, request: str) -> tuple[str, str]:
        with self._lock:
            authority = self._trusted()
            return authority.admit(request, host), authority.certificate

    def has_admitted(self, host: str, certificate: str) -> bool:
        with self._lock:
            return self._trusted().has_admitted(certificate, host)

    def _trusted(self) -> Authority:
        """Made at the first use."""
        if self._authority is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._authority = Authority(self._directory / "authority")
        return self._authority

    # What.

    def ensure_export(self, spec: ExportSpec) -> str:
        if not self._address:
            raise _not_exported(spec)
        with self._lock:
            self._refuse_second_writer(spec)
            client = self._client(spec.host)
            there = self._owner(spec.id)
            if there is not None and there.known[spec.id] != spec:
                self._end(there, spec.id)
            client.known[spec.id] = spec
            client.save()
            self._settle(client)
            return self._found_at(client, spec.id)

    def _refuse_second_writer(self, spec: ExportSpec) -> None:
        for client in self._clients.values():
            for other in client.known.values():
                same = other.volume_id == spec.volume_id and other.id != spec.id
                if same and not (other.shared and spec.shared):
                    raise DriverError("export_volume", f"volume {spec.volume_id} is exported to {other.host} still",
                                      code="volume.exported", retryable=True)  # fmt: skip

    def _owner(self, export_id: str) -> _Client | None:
        return next((client for client in self._clients.values() if export_id in client.known), None)

    def remove_export(self, export_id: str) -> None:
        with self._lock:
            client = self._owner(export_id)
            if client is not None:
                self._end(client, export_id)

    def _end(self, client: _Client, export_id: str) -> None:
        """On the daemon first: while it is written down it is known to be there."""
        client.daemon.remove(export_id)
        del client.known[export_id]
        client.save()
        if not client.known:
            client.daemon.stop()
            self._wake()

    def exports(self) -> tuple[ExportSpec, ...]:
        with self._lock:
            return tuple(spec for client in self._clients.values() for spec in client.known.values())

    def served(self) -> frozenset[str]:
        with self._lock:
            return frozenset[str]().union(*(client.daemon.served() for client in self._clients.values()))

    # By whom.

    def _settle(self, client: _Client) -> None:
        """The daemon serves what is written down, and nothing else."""
        if not client.known or not self._address:
            client.daemon.stop()
            if client.known:
                raise _not_exported(next(iter(client.known.values())))
            return
        tls = self._directory / "server"
        self._trusted().equip(tls, self._address)
        whom = names.distinguished(client.kept.host)
        if client.daemon.start(Listener(self._address, client.kept.port, tls, whom)):
            self._wake()
        served = client.daemon.served()
        for export_id in served - client.known.keys():
            client.daemon.remove(export_id)
        for export_id in client.known.keys() - served:
            client.daemon.add(client.known[export_id], self._name(export_id))

    def restore(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(host for host, client in self._clients.items() if not self._restored(client))

    def _restored(self, client: _Client) -> bool:
        try:
            self._settle(client)
        except DriverError as error:
            _log.warning("exports_missing", host=client.kept.host, error=str(error))
            return False
        return True

    def watch(self, seconds: float) -> bool:
        if self._closed:
            return False
        with self._lock:
            descriptors = [each for each in (client.daemon.pidfd() for client in self._clients.values()) if each]
        poll = select.poll()
        for descriptor in (self._changed, *descriptors):
            poll.register(descriptor, select.POLLIN)
        try:
            poll.poll(seconds * 1000)
            with suppress(BlockingIOError):
                os.eventfd_read(self._changed)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        if not self._closed:
            self.restore()
        return not self._closed

    def close(self) -> None:
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        """Let ``watch`` look at other daemons."""
        os.eventfd_write(self._changed, 1)

    # Where.

    def _client(self, host: str) -> _Client:
        if host not in self._clients:
            names.subject(host)
            made = self._open(_Kept(host, self._free_port()))
            made.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            made.save()
            self._clients[host] = made
        return self._clients[host]

    def _read(self) -> list[_Client]:
        found = sorted(self._directory.glob(f"hosts/*/{_STATE}"))
        return [self._open(msgspec.json.decode(file.read_bytes(), type=_Kept)) for file in found]

    def _open(self, kept: _Kept) -> _Client:
        directory = self._directory / "hosts" / kept.host
        return _Client(kept, self._new_daemon(directory), directory / _STATE)

    def _free_port(self) -> int:
        """A host keeps its port: guests that go on know it."""
        if not self._first_port:
            return _any_port(self._address)
        taken = {client.kept.port for client in self._clients.values()}
        ports = (port for port in range(self._first_port, _LAST_PORT + 1) if port not in taken)
        found = next((port for port in ports if _is_free(self._address, port)), None)
        if found is None:
            raise DriverError("export_volume", f"no port from {self._first_port} on is free", code="export.failed")
        return found

    def _name(self, export_id: str) -> str:
        """Nobody guesses it, and it stays the same when a daemon is made anew."""
        file = self._directory / "names-key"
        if not file.exists():
            files.write(file, secrets.token_hex(32), mode=0o600)
        return hmac.new(file.read_bytes(), export_id.encode(), hashlib.sha256).hexdigest()

    def _found_at(self, client: _Client, export_id: str) -> str:
        address = f"[{self._address}]" if ":" in self._address else self._address
        return f"nbds:{address}:{client.kept.port}/{self._name(export_id)}"


def _not_exported(spec: ExportSpec) -> DriverError:
    return DriverError(
        "export_volume", f"host {spec.host} does not reach volume {spec.volume_id}: only this machine keeps it",
        code="volume.not_exported",
        hint="Set volumes.export_address to an address of this machine that its compute hosts reach.",
    )  # fmt: skip


def _require_address(address: str) -> None:
    """Raises ``Invalid`` for what hosts cannot be told."""
    try:
        good = not ipaddress.ip_address(address).is_unspecified
    except ValueError:
        good = not address or _HOST_NAME.fullmatch(address) is not None
    if not good:
        raise Invalid(f"'{address}' is no address at which hosts find this machine.", field="volumes.export_address")


def _bound(address: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        return int(probe.getsockname()[1])


def _any_port(address: str) -> int:
    try:
        return _bound(address, 0)
    except OSError as error:
        raise DriverError("export_volume", f"this machine has no address {address}: {error}", code="export.failed",
                          hint="volumes.export_address must be one of this machine.") from error  # fmt: skip


def _is_free(address: str, port: int) -> bool:
    try:
        _bound(address, port)
    except OSError:
        return False
    return True
