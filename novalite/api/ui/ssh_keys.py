"""SSH keys as text: checking one that was pasted, making a new pair."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from novalite.errors import Invalid

LONGEST_KEY = 16384


def read_public(text: str) -> str:
    """The one line of a public key in OpenSSH's format. Raises ``Invalid`` for anything else."""
    line = " ".join(text.split())
    try:
        if len(line) > LONGEST_KEY:
            raise ValueError
        serialization.load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid(
            "That is not an SSH public key.", field="public_key",
            hint="Paste the one line of a file such as ~/.ssh/id_ed25519.pub.",
        ) from None  # fmt: skip
    return line


def fingerprint(line: str) -> str:
    """MD5 of the key itself in hex pairs, as Nova has always shown it."""
    digest = hashlib.md5(base64.b64decode(line.split()[1]), usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


def new_pair(comment: str) -> tuple[str, str]:
    """Private key and public line of a new Ed25519 pair, in OpenSSH's formats."""
    made = Ed25519PrivateKey.generate()
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {comment}"
