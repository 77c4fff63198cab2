"""The keys of encrypted volumes: random, one for each, kept sealed under the appliance's own. Images of
such volumes have copies."""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.fernet import InvalidToken

from novalite.cloud.identity.sealing import cipher
from novalite.cloud.image import image_keys
from novalite.cloud.volume import encryption
from novalite.cloud.volume.records import Volume
from novalite.db.work import Work
from novalite.drivers.compute.base import DiskKey
from novalite.drivers.storage.base import VolumeKey
from novalite.errors import Failed

_BYTES = 32


def fresh(state_path: Path, key_id: str) -> str:
    """A new key, sealed. What is sealed says whose it is: of another volume it is no use."""
    return _sealed(state_path, key_id, secrets.token_hex(_BYTES))


def _sealed(state_path: Path, key_id: str, passphrase: str) -> str:
    return cipher(state_path).encrypt(f"{key_id}:{passphrase}".encode()).decode()


def opened(state_path: Path, key_id: str, sealed: str) -> str:
    """The passphrase. Raises ``Failed`` with code ``volume.key_lost``."""
    try:
        owner, _, passphrase = cipher(state_path).decrypt(sealed.encode()).decode().partition(":")
    except InvalidToken:
        owner, passphrase = "", ""
    if owner != key_id or not passphrase:
        raise Failed(
            f"The key {key_id} of encrypted data cannot be opened.", code="volume.key_lost",
            hint="Is the file credential-key in the state directory the one with which it was sealed?",
        )  # fmt: skip
    return passphrase


def copied(state_path: Path, volume: Volume, key_id: str) -> str:
    """The key of an encrypted volume once more, sealed as another's. Raises as ``opened``."""
    passphrase = opened(state_path, volume.encryption_key_id or "", volume.sealed_key)
    return _sealed(state_path, key_id, passphrase)


def of_image(w: Work, state_path: Path, image_id: str) -> VolumeKey | None:
    """What the data of an image are opened with; None for one that is not encrypted. Raises as ``opened``."""
    found = image_keys.find(w, image_id)
    return VolumeKey(opened(state_path, found.key_id, found.sealed_key)) if found else None


def of(w: Work, state_path: Path, volume: Volume) -> VolumeKey | None:
    """What a volume's data, and those of its snapshots, are opened with; None for one that is not encrypted. Raises
    ``Failed`` with code ``volume.key_lost``."""
    if volume.encryption_key_id is None:
        return None
    passphrase = opened(state_path, volume.encryption_key_id, volume.sealed_key)
    return VolumeKey(passphrase, *encryption.ways(w, volume.type_id))


def of_disk(state_path: Path, volume: Volume) -> DiskKey | None:
    """The same for the host of a guest that has the volume."""
    key_id = volume.encryption_key_id
    return DiskKey(key_id, opened(state_path, key_id, volume.sealed_key)) if key_id else None
