"""The form that launches servers: what it offers, and what was filled in as a request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from novalite.api.ui.parts import of_app
from novalite.cloud.compute import flavors, keypairs
from novalite.cloud.compute.new_servers import NewServer
from novalite.cloud.image import images
from novalite.cloud.network import networks
from novalite.cloud.network.networks import NetworkRequest
from novalite.context import Context
from novalite.db.paging import Page
from novalite.errors import Invalid, NovaLiteError

LONGEST_NAME = 255
LONGEST_USER_DATA = 65535
BOOTABLE = ("qcow2", "raw", "iso")

_FIELDS = {"imageRef": "image", "flavorRef": "flavor", "key_name": "key", "networks": "network", "max_count": "count"}


def choices(ctx: Context) -> dict[str, Any]:
    """What the form offers: images one can boot from, flavors from small to large, networks, keys."""
    with of_app().kit.database.read(ctx) as w:
        found = images.list_visible(w)
        return {
            "images": [image for image in found if image.status == "active" and image.disk_format in BOOTABLE],
            "flavors": flavors.list_visible(w, Page(sort=(("memory_mb", "asc"), ("vcpus", "asc")))),
            "networks": networks.list_visible(w, is_external=False),
            "keys": keypairs.list_of(w, Page()),
        }


def parse(form: Mapping[str, str]) -> NewServer:
    """The request behind a filled-in form. Raises ``Invalid`` naming the form's own field."""
    name = form.get("name", "").strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"A name has 1 to {LONGEST_NAME} characters, all printable.", field="name")
    network = form.get("network", "")
    count = _count(form.get("count", "1"))
    return NewServer(
        name=name,
        flavor_id=form.get("flavor", ""),
        image_id=form.get("image", ""),
        networks=[NetworkRequest(network_id=network)] if network else None,
        key_name=form.get("key") or None,
        user_data=_user_data(form.get("user_data", "")),
        config_drive=form.get("config_drive") == "on",
        min_count=count,
        max_count=count,
    )


def _count(text: str) -> int:
    if len(text) > 9 or not text.strip().isdecimal() or not 1 <= int(text) <= 100:
        raise Invalid("The number of servers is from 1 to 100.", field="count")
    return int(text)


def _user_data(text: str) -> str | None:
    if not text.strip():
        return None
    # forms send CR LF, which would break a script's first line
    encoded = base64.b64encode(text.replace("\r\n", "\n").encode()).decode()
    if len(encoded) > LONGEST_USER_DATA:
        raise Invalid("User data may hold 48 KiB at most.", field="user_data")
    return encoded


def field_of(error: NovaLiteError) -> str:
    """The form's field that an error is about; empty when it is about the whole."""
    named = str(error.facts.get("field", ""))
    return _FIELDS.get(named, named)
