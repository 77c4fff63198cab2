"""Rescuing a server: booted from another image, with its own disks beside it."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.server_actions import action_route, admin_password
from novalite.api.compute.shapes import UUID
from novalite.api.kit.answers import TEXT, Told
from novalite.api.kit.call import Call
from novalite.cloud.compute import rescue

_RESCUE: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": {"adminPass": {"type": "string"}, "rescue_image_ref": UUID},
    "additionalProperties": False,
}


def begin(call: Call) -> dict[str, str]:
    wishes = call.body or {}
    password = admin_password(wishes)
    rescue.request(
        call.w,
        call.path["server_id"],
        image_id=wishes.get("rescue_image_ref", ""),
        default_image_id=call.parts.settings.compute.rescue_image,
        admin_pass=password,
        volumes_too=call.since("2.87"),
    )
    return {"adminPass": password}


def leave(call: Call) -> None:
    rescue.leave(call.w, call.path["server_id"])


ROUTES = [
    action_route("rescue", begin, "os-rescue", _RESCUE, success=200, view=Told("adminPass", whole=TEXT)),
    action_route("unrescue", leave, "os-unrescue"),
]
