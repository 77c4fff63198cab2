"""The keys of encrypted disks, as libvirt holds them for QEMU: in memory only, and told to nobody who asks."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import libvirt

from novalite.drivers.compute.base import DiskKey
from novalite.drivers.compute.libvirt.connection import Connection
from novalite.drivers.compute.libvirt.domains import Domains
from novalite.drivers.compute.libvirt.elements import sub


class Secrets:
    """Methods take an open connection and let ``libvirtError`` out, for ``Connection.call``. What is needed is set anew
    each time, since libvirt forgets it whenever it ends."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._lock = threading.RLock()

    @contextmanager
    def held(self, keys: Iterable[DiskKey | None]) -> Iterator[bool]:
        """While something is made that needs them nobody forgets ``keys``; whether there are any."""
        if any(keys):
            with self._lock:
                yield True
        else:
            yield False

    def ensure(self, connection: Any, keys: Iterable[DiskKey | None]) -> None:
        for key in keys:
            if key is not None:
                connection.secretDefineXML(self._definition(key)).setValue(key.passphrase.encode())

    def _definition(self, key: DiskKey) -> str:
        root = ET.Element("secret", {"ephemeral": "yes", "private": "yes"})
        sub(root, "uuid", key.id)
        sub(sub(root, "usage", type="volume"), "volume", self._prefix + key.id)
        return ET.tostring(root, encoding="unicode")

    @contextmanager
    def forgotten_with(self, connection: Connection, op: str, domains: Domains, guest_id: str) -> Iterator[None]:
        """Whoever takes disks from a guest, or the guest itself, forgets the keys that nobody needs then. Where no
        guest has encrypted disks libvirt is asked for no secrets, which not every one of them keeps."""
        domain = connection.call(op, domains.find, guest_id)
        had_some = domain is not None and bool(connection.call(op, lambda _: _named_by(domain)))
        yield
        if had_some:
            connection.call(op, self._forget_unused)

    def _forget_unused(self, connection: Any) -> None:
        """Those of ours that no guest's definition names any more."""
        with self._lock:
            ours = {
                secret.UUIDString(): secret
                for secret in connection.listAllSecrets(0)
                if secret.usageType() == libvirt.VIR_SECRET_USAGE_TYPE_VOLUME
                and secret.usageID().startswith(self._prefix)
            }
            used = set().union(*map(_named_by, connection.listAllDomains(0))) if ours else set()
            for uuid, secret in ours.items():
                if uuid not in used:
                    _undefine(secret)


def _named_by(domain: Any) -> set[str]:
    """Secrets that a guest needs, now or when it starts."""
    found: set[str] = set()
    try:
        for flag in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
            root = ET.fromstring(domain.XMLDesc(flag))  # noqa: S314 - comes from the local libvirt
            found |= {element.get("uuid", "") for element in root.iter("secret")}
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # it went meanwhile
            raise
    return found


def _undefine(secret: Any) -> None:
    try:
        secret.undefine()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SECRET:
            raise
