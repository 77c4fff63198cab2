"""Images, members and pages of them as Glance shows them; custom properties stand at the top level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from novalite.api.kit.answers import (
    FLAG,
    MOMENT,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    UUID,
    WHOLE,
    WHOLE_OR_NULL,
    array,
    record,
)
from novalite.api.kit.call import Call
from novalite.api.kit.versions import Version
from novalite.api.kit.view import Field, View, utc_seconds
from novalite.cloud.image.imports import STORE
from novalite.cloud.image.records import Image


@dataclass(frozen=True)
class Shown:
    """An image with its tags, ready to be rendered."""

    image: Image
    tags: Sequence[str]


def image(shown: Shown) -> dict[str, Any]:
    """All of an image; ``self``, ``file`` and ``schema`` are relative to the front, as clients expect."""
    one = shown.image
    here = f"/v2/images/{one.id}"
    return {
        **one.properties,
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "visibility": one.visibility,
        "protected": one.protected,
        "os_hidden": one.os_hidden,
        "owner": one.owner,
        "checksum": one.checksum,
        "os_hash_algo": one.os_hash_algo,
        "os_hash_value": one.os_hash_value,
        "size": one.size,
        "virtual_size": one.virtual_size,
        "container_format": one.container_format,
        "disk_format": one.disk_format,
        "min_disk": one.min_disk,
        "min_ram": one.min_ram,
        "tags": list(shown.tags),
        "created_at": utc_seconds(one.created_at),
        "updated_at": utc_seconds(one.updated_at),
        "self": here,
        "file": f"{here}/file",
        "schema": "/v2/schemas/image",
        **({"stores": STORE} if one.status in ("active", "deactivated") else {}),
    }


# Properties that users set stand beside these, as texts.
_SCHEMA = {
    **record({
        "id": UUID, "name": TEXT_OR_NULL, "status": TEXT, "visibility": TEXT, "owner": TEXT_OR_NULL,
        "protected": FLAG, "os_hidden": FLAG, "checksum": TEXT_OR_NULL, "os_hash_algo": TEXT_OR_NULL,
        "os_hash_value": TEXT_OR_NULL, "size": WHOLE_OR_NULL, "virtual_size": WHOLE_OR_NULL,
        "container_format": TEXT_OR_NULL, "disk_format": TEXT_OR_NULL, "min_disk": WHOLE, "min_ram": WHOLE,
        "tags": TEXTS, "created_at": MOMENT, "updated_at": MOMENT, "self": TEXT, "file": TEXT, "schema": TEXT,
        "stores": TEXT,
    }, optional=["stores"]),
    "additionalProperties": TEXT_OR_NULL,
}  # fmt: skip


@dataclass(frozen=True)
class OneImage:
    """Renders a ``Shown``."""

    content_type: ClassVar[str] = "application/json"

    def render(self, result: Shown, call: Call) -> dict[str, Any]:
        return image(result)

    def schema(self, version: Version) -> dict[str, Any]:
        return _SCHEMA


@dataclass(frozen=True)
class ImagePage:
    """``images`` with tags by id; ``next_marker`` is empty on the last page."""

    images: Sequence[Image]
    tags: Mapping[str, Sequence[str]]
    next_marker: str = ""


@dataclass(frozen=True)
class ImageList:
    """Renders an ``ImagePage`` with Glance's relative links."""

    content_type: ClassVar[str] = "application/json"

    def render(self, result: ImagePage, call: Call) -> dict[str, Any]:
        pairs = [(name, value) for name, values in call.query.lists() for value in values if name != "marker"]
        shown: dict[str, Any] = {
            "images": [image(Shown(one, result.tags[one.id])) for one in result.images],
            "first": _url(pairs),
            "schema": "/v2/schemas/images",
        }
        if result.next_marker:
            shown["next"] = _url([*pairs, ("marker", result.next_marker)])
        return shown

    def schema(self, version: Version) -> dict[str, Any]:
        listed = {"images": array(_SCHEMA), "first": TEXT, "next": TEXT, "schema": TEXT}
        return record(listed, optional=["next"])


def _url(pairs: list[tuple[str, str]]) -> str:
    return "/v2/images" + (f"?{urlencode(pairs)}" if pairs else "")


MEMBER = View(
    Field("member_id"),
    Field("image_id"),
    Field("status"),
    Field("created_at", lambda member, call: utc_seconds(member.created_at)),
    Field("updated_at", lambda member, call: utc_seconds(member.updated_at)),
    Field("schema", lambda member, call: "/v2/schemas/member"),
)
