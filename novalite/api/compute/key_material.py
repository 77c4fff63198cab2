"""Public keys as users send them: checked, fingerprinted, or made."""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from novalite.errors import Invalid

RSA_BITS = 2048


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


def make_ssh(comment: str) -> tuple[str, str]:
    """A new RSA pair: the private key as PEM, the public key as one line. Takes a moment: not in a unit."""
    key = rsa.generate_private_key(65537, RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, f"{public.decode()} {comment}"
