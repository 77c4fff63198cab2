"""Objects encrypted with a key that the store never sees: AES-256-GCM, each bound to its name."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from novalite.drivers.storage.objects import Objects
from novalite.errors import DriverError, Invalid

_NONCE_BYTES = 12
_LEAST_BYTES = 32


class SealingKey:
    """Made of a secret: one key encrypts, another names content without telling of it, ``id`` recognises the secret."""

    def __init__(self, secret: bytes) -> None:
        self._naming = _derived(secret, b"names")
        self.sealing = AESGCM(_derived(secret, b"content"))
        self.id = _derived(secret, b"id").hex()[:32]

    @classmethod
    def of_file(cls, path: str) -> SealingKey:
        """Raises ``Invalid`` for a file that is absent, open to everybody or too short to be a secret."""
        try:
            if Path(path).stat().st_mode & 0o007:
                raise Invalid(f"{path} is open to everybody on this machine.", field="backups.key_file",
                              hint=f"chmod 600 {path}")  # fmt: skip
            secret = Path(path).read_bytes().strip()
        except OSError as error:
            raise Invalid(f"{path} cannot be read: {error.strerror}.", field="backups.key_file") from error
        if len(secret) < _LEAST_BYTES:
            raise Invalid(
                f"{path} holds no secret of {_LEAST_BYTES} bytes or more.", field="backups.key_file",
                hint=f"Make one: (umask 077; openssl rand -base64 48 > {path}), and keep a copy elsewhere.",
            )  # fmt: skip
        return cls(secret)

    def digest(self, content: bytes) -> str:
        return hmac.new(self._naming, content, hashlib.sha256).hexdigest()


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"novalite backups: " + purpose).derive(secret)


class SealedObjects:
    """``Objects`` of others, whose contents only the key opens. Names, sizes and times are theirs to see."""

    def __init__(self, objects: Objects, key: SealingKey) -> None:
        self._objects, self._key = objects, key

    @property
    def place(self) -> str:
        return self._objects.place

    def put(self, name: str, content: bytes) -> None:
        nonce = os.urandom(_NONCE_BYTES)
        self._objects.put(name, nonce + self._key.sealing.encrypt(nonce, content, name.encode()))

    def get(self, name: str) -> bytes | None:
        sealed = self._objects.get(name)
        if sealed is None:
            return None
        try:
            return self._key.sealing.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise DriverError("backup", f"{name} is damaged, or was not encrypted with our key",
                              code="backup.corrupt") from error  # fmt: skip

    def has(self, name: str) -> bool:
        return self._objects.has(name)

    def delete(self, name: str) -> None:
        self._objects.delete(name)

    def names(self, below: str) -> Iterator[str]:
        return self._objects.names(below)

    def tidy(self, *below: str) -> None:
        self._objects.tidy(*below)
