"""Keys of images that hold an encrypted volume: each its own, sealed, and gone with its image. Its id is told as Cinder
tells it, by properties that nobody else sets: whoever writes down another's id gets no key by that."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from novalite.cloud.image.records import Image, ImageKey
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Forbidden

KEY_ID, POLICY = "cinder_encryption_key_id", "cinder_encryption_key_deletion_policy"
_TOLD = (KEY_ID, POLICY)


def is_sealed(image: Image) -> bool:
    """Whether only who has its key can do something with what it holds."""
    return KEY_ID in image.properties


def give(w: Work, image: Image) -> None:
    """The image will have a key, which is sealed later."""
    key_id = new_id()
    image.properties = {**image.properties, KEY_ID: key_id, POLICY: "on_image_deletion"}
    w.session.add(ImageKey(image_id=image.id, key_id=key_id))
    w.session.flush()


def find(w: Work, image_id: str) -> ImageKey | None:
    """None for images that are not encrypted."""
    return w.session.get(ImageKey, image_id, populate_existing=True)


def seal(w: Work, image_id: str, sealed_key: str) -> None:
    """The first one stays."""
    w.changed(
        sa.update(ImageKey).where(ImageKey.image_id == image_id, ImageKey.sealed_key == "")
        .values(sealed_key=sealed_key)
    )  # fmt: skip


def without(properties: Mapping[str, str]) -> dict[str, str]:
    """What another image, or a volume, may take over."""
    return {name: value for name, value in properties.items() if name not in _TOLD}


def require_untouched(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Raises ``Forbidden`` when what is told of a key would become another, or go."""
    for name in _TOLD:
        if before.get(name) != after.get(name):
            raise Forbidden(
                f"Attribute '{name}' is reserved.", hint="It comes and goes with images of encrypted volumes."
            )


def require_private(image: Image, visibility: str) -> None:
    """Raises ``Forbidden`` for an encrypted image that others would see: by it they would read the data."""
    if is_sealed(image) and visibility != "private":
        raise Forbidden(
            f"Image {image.id} holds an encrypted volume: it stays private.", code="image.sealed",
            hint="Transfer the volume, or copy it to a type without encryption and make the image of that.",
        )  # fmt: skip
