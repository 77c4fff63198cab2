"""Keys and certificates as files: replaced as a whole, keys for their owner only."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def write(path: Path, text: str, *, mode: int, group: int | None = None) -> None:
    """``group`` may read a file whose ``mode`` lets it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
        if group is not None:
            os.fchown(handle, -1, group)
        os.fchmod(handle, mode)
    os.replace(fresh, path)


def key(path: Path, *, mode: int = 0o600, group: int | None = None) -> ec.EllipticCurvePrivateKey:
    """The private key in a file, made when there is none."""
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        text = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        write(path, text, mode=mode, group=group)
    found = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds another kind of key than NovaLite makes")
    return found
