"""The key that a compute host shows when it opens volumes of another machine. It never leaves the host."""

from __future__ import annotations

import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from novalite.errors import Invalid
from novalite.pki import files, names

AUTHORITY, CLIENT, CLIENT_KEY = "ca-cert.pem", "client-cert.pem", "client-key.pem"
"""What QEMU calls the files of one who connects."""


_lock = threading.Lock()
"""Several volumes may be on their way to one host."""


class HostKeys:
    """Files in ``directory``, where QEMU looks for them. ``group``, which guests run with, may read them. Raises
    ``OSError``."""

    def __init__(self, directory: Path, group: int | None = None) -> None:
        self._directory, self._group = directory, group

    def request(self, name: str) -> str:
        """What the authority is to sign, PEM; makes the key at first."""
        with _lock:
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            key = files.key(self._directory / CLIENT_KEY, mode=0o640, group=self._group)
        made = x509.CertificateSigningRequestBuilder().subject_name(names.subject(name)).sign(key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def certificate(self) -> str:
        """The one that was taken last; empty when there is none for the key of now."""
        try:
            found = (self._directory / CLIENT).read_text()
            return found if self._fits(found) else ""
        except (FileNotFoundError, ValueError):
            return ""

    def _fits(self, certificate: str) -> bool:
        key = files.key(self._directory / CLIENT_KEY, mode=0o640, group=self._group)
        return x509.load_pem_x509_certificate(certificate.encode()).public_key() == key.public_key()

    def take(self, certificate: str, authority: str) -> None:
        """Keep a certificate for this key. Raises ``Invalid`` for one of another key."""
        try:
            fits = self._fits(certificate)
            x509.load_pem_x509_certificate(authority.encode())
        except ValueError as error:
            raise Invalid(f"What came is no certificate: {error}") from error
        if not fits:
            raise Invalid("The certificate is for another key.")
        with _lock:
            files.write(self._directory / AUTHORITY, authority, mode=0o644)
            files.write(self._directory / CLIENT, certificate, mode=0o644)
