"""Public keys as users send them: checked, fingerprinted, or made."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from novalite.errors import Invalid

RSA_BITS = 2048
CERTIFICATE_DAYS = 3650
_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def _coloned(digest: str) -> str:
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


def _unfit(error: Exception) -> Invalid:
    return Invalid(f"Keypair data is invalid: failed to generate fingerprint: {error}", field="public_key")


def ssh_fingerprint(public_key: str) -> str:
    """MD5 in colons, as OpenSSH showed it and Nova still does. Raises ``Invalid`` for what is no key."""
    try:
        serialization.load_ssh_public_key(public_key.strip().encode("utf-8"))
        blob = base64.b64decode(public_key.split()[1])
    except (ValueError, IndexError, UnsupportedAlgorithm, binascii.Error) as error:
        raise _unfit(error) from error
    return _coloned(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def x509_fingerprint(certificate: str) -> str:
    """SHA-1 of the certificate, in colons. Raises ``Invalid`` for what is none."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode("utf-8"))
    except ValueError as error:
        raise _unfit(error) from error
    der = parsed.public_bytes(serialization.Encoding.DER)
    return _coloned(hashlib.sha1(der, usedforsecurity=False).hexdigest())


def make_x509(subject: str) -> tuple[str, str]:
    """A new RSA key as PEM, and a certificate that it has signed itself, by which Windows guests know their
    administrator at remote logins. Takes a moment: not in a unit."""
    key = rsa.generate_private_key(65537, RSA_BITS)
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])]), datetime.now(UTC)
    upn = asn1_utf8(f"{subject}@localhost")
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.OtherName(_PRINCIPAL_NAME, upn)]), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return _private(key), certificate.decode()


def asn1_utf8(text: str) -> bytes:
    """``text`` as a DER UTF8String of at most 127 bytes."""
    data = text.encode()[:127]
    return bytes((0x0C, len(data))) + data


def _private(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


def make_ssh(comment: str) -> tuple[str, str]:
    """A new RSA pair: the private key as PEM, the public key as one line. Takes a moment: not in a unit."""
    key = rsa.generate_private_key(65537, RSA_BITS)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return _private(key), f"{public.decode()} {comment}"
