"""The key with which guests of a libvirt host open volumes that other machines export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from novalite.drivers.compute.base import ExportKey
from novalite.drivers.compute.libvirt.places import QemuUser
from novalite.errors import DriverError, Invalid
from novalite.pki.host_keys import HostKeys

DIRECTORY = Path("/etc/pki/libvirt-nbd")
"""Where libvirt looks unless its ``nbd_tls_x509_cert_dir`` says otherwise. It decides so when it starts."""


class ExportKeys(ABC):
    """Implements ``OpensExports`` for a driver that has the rest."""

    _keys: Path

    @abstractmethod
    def _guest_user(self) -> QemuUser:
        """Whom guests run as."""

    def export_key(self, name: str) -> ExportKey:
        with self._files("export_key") as keys:
            return ExportKey(keys.request(name), keys.certificate())

    def take_certificate(self, certificate: str, authority: str) -> None:
        with self._files("take_certificate") as keys:
            keys.take(certificate, authority)

    @contextmanager
    def _files(self, op: str) -> Iterator[HostKeys]:
        try:
            yield HostKeys(self._keys, self._guest_user().gid)
        except OSError as error:
            raise DriverError(
                op, f"the key to volumes of other machines cannot be kept in {self._keys}: {error}", code="keys.failed",
                hint="Make the directory and give it to the user that runs NovaLite, or choose another one by "
                "compute.nbd_tls_directory and nbd_tls_x509_cert_dir of libvirt's qemu.conf.",
            ) from error  # fmt: skip
        except (Invalid, ValueError) as error:
            raise DriverError(op, str(error), code="keys.failed") from error
