"""The keys of encrypted disks, as libvirt holds them for QEMU: in memory only, and told to nobody who asks."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import libvirt

from novalite.drivers.compute.base import DiskKey
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

    def forget_unused(self, connection: Any) -> None:
        """Those of ours that no guest's definition names any more. Asks about guests only when there are some."""
        with self._lock:
            ours = {
                secret.UUIDString(): secret
                for secret in connection.listAllSecrets(0)
                if secret.usageType() == libvirt.VIR_SECRET_USAGE_TYPE_VOLUME
                and secret.usageID().startswith(self._prefix)
            }
            used = _named_by_guests(connection) if ours else set()
            for uuid, secret in ours.items():
                if uuid not in used:
                    _undefine(secret)


def _named_by_guests(connection: Any) -> set[str]:
    found: set[str] = set()
    for domain in connection.listAllDomains(0):
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


def encryption(key_id: str) -> ET.Element:
    """What tells QEMU, by libvirt, to decrypt with that key."""
    root = ET.Element("encryption", {"format": "luks", "engine": "qemu"})
    sub(root, "secret", type="passphrase", uuid=key_id)
    return root
