"""How the volumes of a type are encrypted: what admins say of it, and whether that is offered here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.volume import types
from novalite.cloud.volume.records import TypeEncryption, Volume, VolumeType
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound

FRONT_END = "front-end"
CIPHER, KEY_SIZE = "aes-xts-plain64", 256
KEY_SIZES = (128, 256)
LUKS = "luks"
_PROVIDERS = {
    "luks": LUKS, "LuksEncryptor": LUKS, "nova.volume.encryptors.luks.LuksEncryptor": LUKS,
    "os_brick.encryptors.luks.LuksEncryptor": LUKS, "luks2": "luks2", "plain": "plain", "CryptsetupEncryptor": "plain",
    "nova.volume.encryptors.cryptsetup.CryptsetupEncryptor": "plain",
    "os_brick.encryptors.cryptsetup.CryptsetupEncryptor": "plain",
}  # fmt: skip
"""What those names mean that Cinder knows, the old ones of classes among them."""


def find(w: Work, type_id: str | None) -> TypeEncryption | None:
    return w.session.get(TypeEncryption, type_id) if type_id else None


def show(w: Work, type_id: str) -> TypeEncryption | None:
    """None for a type without. Raises ``NotFound`` for a type that the caller does not see."""
    return find(w, types.get(w, type_id).id)


def _missing(type_id: str) -> NotFound:
    return NotFound("encryption", type_id, message=f"Volume type encryption for type {type_id} does not exist.")


def get(w: Work, type_id: str) -> TypeEncryption:
    """Raises ``NotFound``."""
    found = show(w, type_id)
    if found is None:
        raise _missing(type_id)
    return found


def _refuse_in_use(w: Work, type_id: str, doing: str) -> None:
    if w.session.scalar(sa.select(Volume.id).where(Volume.type_id == type_id).limit(1)) is not None:
        raise Invalid(f"Cannot {doing} encryption specs. Volume type in use.", field="id", code="volume_type.in_use")


def create(w: Work, type_id: str, values: Mapping[str, Any]) -> TypeEncryption:
    """``provider``, ``control_location``, ``cipher`` and ``key_size`` of a type that no volume has yet. Raises
    ``NotFound``, ``Invalid``, for what is not offered too."""
    kind = types.get(w, type_id)
    _refuse_in_use(w, kind.id, "create")
    if find(w, kind.id) is not None:
        raise Invalid(f"Volume type encryption for type {type_id} already exists.", field="id",
                      code="encryption.exists")  # fmt: skip
    made = TypeEncryption(
        type_id=kind.id, id=new_id(), provider=values["provider"], control_location=values["control_location"],
        cipher=values.get("cipher"), key_size=values.get("key_size"), created_at=w.now,
    )  # fmt: skip
    _require_offered(made)
    w.session.add(made)
    w.session.flush()
    return made


def update(w: Work, type_id: str, values: Mapping[str, Any]) -> None:
    """Written down as it is said, as Cinder does; volumes of a type whose encryption is not offered are refused. Raises
    ``NotFound``, ``Invalid`` while volumes have the type."""
    kind = types.get(w, type_id)
    _refuse_in_use(w, kind.id, "update")
    found = get(w, kind.id)
    for name, value in values.items():
        setattr(found, name, value)
    found.updated_at = w.now
    w.session.flush()


def delete(w: Work, type_id: str) -> None:
    """Raises ``NotFound``, ``Invalid`` while volumes have the type."""
    kind = types.get(w, type_id)
    _refuse_in_use(w, kind.id, "delete")
    w.session.delete(get(w, kind.id))
    w.session.flush()


def encrypts(w: Work, kind: VolumeType) -> bool:
    """Whether new volumes of a type are encrypted. Raises ``Invalid`` (``volume_type``) when they cannot be as it
    says."""
    found = find(w, kind.id)
    if found is None:
        return False
    reason = _not_offered(found)
    if reason:
        field, why = reason
        raise Invalid(f"Volume type {kind.name} cannot be used: {why}", field="volume_type",
                      code="encryption.not_offered", specs=field)  # fmt: skip
    return True


def ways(w: Work, type_id: str | None) -> tuple[str, int]:
    """Cipher and size of its key, as the type says or by default."""
    found = find(w, type_id)
    return (found and found.cipher) or CIPHER, (found and found.key_size) or KEY_SIZE


def _require_offered(wanted: TypeEncryption) -> None:
    reason = _not_offered(wanted)
    if reason:
        raise Invalid(reason[1], field=reason[0], code="encryption.not_offered")


def _not_offered(wanted: TypeEncryption) -> tuple[str, str] | None:
    """The field, and why volumes cannot be encrypted so."""
    means = _PROVIDERS.get(wanted.provider)
    if means is None:
        return "provider", f"Invalid encryption provider: '{wanted.provider[:64]}' is not known; use 'luks'."
    if means != LUKS:
        why = "QEMU makes no LUKS2" if means == "luks2" else "it has no header that tells a wrong key"
        return "provider", f"Encryption with '{means}' is not offered ({why}); use 'luks'."
    if wanted.control_location != FRONT_END:
        return (
            "control_location",
            "Encryption by the back-end is not offered: the hosts of servers encrypt (front-end).",
        )
    if wanted.cipher not in (None, "", CIPHER):
        return "cipher", f"The cipher '{wanted.cipher[:64]}' is not offered; use '{CIPHER}'."
    if wanted.key_size not in (None, *KEY_SIZES):
        return "key_size", f"A key size of {wanted.key_size} is not offered; use {' or '.join(map(str, KEY_SIZES))}."
    return None
