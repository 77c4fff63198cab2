"""The appliance's own certificate authority: it says which compute host is which, and which machine exports volumes."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from novalite import clock
from novalite.errors import Invalid
from novalite.pki import files, names

AUTHORITY, SERVER, SERVER_KEY = "ca-cert.pem", "server-cert.pem", "server-key.pem"
"""What QEMU calls the files of one who listens."""
_KEY = "ca-key.pem"
_YEARS = timedelta(days=365)
_EARLIER = timedelta(days=1)
"""Clocks of other machines may be behind."""


class Authority:
    """Keeps its key and certificate in ``directory``, which is made with them. Certificates are for ten years: what
    they allow is decided anew with each export."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = files.key(directory / _KEY)
        self._file = directory / AUTHORITY
        if not self._file.exists():
            files.write(self._file, self._own(), mode=0o644)
        self.certificate = self._file.read_text()
        self._issuer = x509.load_pem_x509_certificate(self.certificate.encode())

    def _own(self) -> str:
        name, now = names.subject("NovaLite"), clock.now()
        builder = _builder(name, name, self._key.public_key(), now, 20 * _YEARS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        return _text(builder.sign(self._key, hashes.SHA256()))

    def admit(self, request: str, name: str) -> str:
        """A certificate for the compute host ``name``, whose key signed ``request``. What else the request says counts
        for nothing. Raises ``Invalid``."""
        try:
            asked = x509.load_pem_x509_csr(request.encode())
        except ValueError as error:
            raise Invalid(f"Host {name} asks for a certificate with something else: {error}") from error
        key = asked.public_key()
        if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise Invalid(f"Host {name} asks for a certificate in a way that proves nothing.")
        builder = _builder(names.subject(name), self._issuer.subject, key, clock.now(), 10 * _YEARS)
        return self._sign(builder, ExtendedKeyUsageOID.CLIENT_AUTH)

    def has_admitted(self, certificate: str, name: str) -> bool:
        """Whether a certificate is ours, for that host, and good for another year."""
        try:
            found = x509.load_pem_x509_certificate(certificate.encode())
            found.verify_directly_issued_by(self._issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return found.subject == names.subject(name) and found.not_valid_after_utc > clock.now() + _YEARS

    def equip(self, directory: Path, address: str) -> None:
        """Put into ``directory`` what one needs who listens at ``address``: a name or an IP address."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, file = files.key(directory / SERVER_KEY), directory / SERVER
        wanted = _alternative(address)
        if not file.exists() or not self._still_good(file, wanted):
            builder = _builder(names.subject("novalite-volumes"), self._issuer.subject, key.public_key(), clock.now(),
                               10 * _YEARS)  # fmt: skip
            builder = builder.add_extension(x509.SubjectAlternativeName([wanted]), critical=False)
            files.write(file, self._sign(builder, ExtendedKeyUsageOID.SERVER_AUTH), mode=0o600)
        files.write(directory / AUTHORITY, self.certificate, mode=0o600)

    def _still_good(self, file: Path, wanted: x509.GeneralName) -> bool:
        found = x509.load_pem_x509_certificate(file.read_bytes())
        told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        try:
            found.verify_directly_issued_by(self._issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return list(told) == [wanted] and found.not_valid_after_utc > clock.now() + _YEARS

    def _sign(self, builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> str:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        return _text(builder.sign(self._key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + life)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
