"""The key of a fake host: a real one, so that a real authority can sign it."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp

from novalite.drivers.compute.base import DiskSpec, ExportKey
from novalite.drivers.compute.fake_faults import Faults
from novalite.errors import DriverError, Invalid
from novalite.pki.host_keys import HostKeys

EXPORTED = "nbds:"


class FakeKeys:
    """Implements ``OpensExports``."""

    _faults: Faults

    def _keep_keys(self, directory: Path | None) -> None:
        """For as long as this lives, without a directory."""
        self._key_directory = directory

    @property
    def _host_keys(self) -> HostKeys:
        if self._key_directory is None:
            self._key_directory = Path(mkdtemp(prefix="novalite-fake-keys-"))
            weakref.finalize(self, shutil.rmtree, self._key_directory, ignore_errors=True)
        return HostKeys(self._key_directory)

    def export_key(self, name: str) -> ExportKey:
        self._faults.enter("export_key")
        keys = self._host_keys
        try:
            return ExportKey(keys.request(name), keys.certificate())
        except Invalid as error:
            raise DriverError("export_key", str(error), code="keys.failed") from error

    def take_certificate(self, certificate: str, authority: str) -> None:
        self._faults.enter("take_certificate")
        try:
            self._host_keys.take(certificate, authority)
        except (Invalid, ValueError) as error:
            raise DriverError("take_certificate", str(error), code="keys.failed") from error

    def _need_keys(self, op: str, *disks: DiskSpec) -> None:
        """Nobody opens what another machine exports without a certificate."""
        if any(disk.path.startswith(EXPORTED) for disk in disks) and not self._host_keys.certificate():
            raise DriverError(op, "this host has no certificate for volumes of other machines", code="guest.refused")
