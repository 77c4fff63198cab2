"""Tags of an image, one by one."""

from __future__ import annotations

from novalite.api.image.attributes import check_value
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.image import tags


def add(call: Call) -> None:
    check_value("tags", [call.path["tag"]])
    tags.add(call.w, call.path["image_id"], call.path["tag"])


def remove(call: Call) -> None:
    tags.remove(call.w, call.path["image_id"], call.path["tag"])


_ONE = "/v2/images/{image_id}/tags/{tag}"
ROUTES = [
    Route("PUT", _ONE, add, rule="modify_image", success=204, unit="write"),
    Route("DELETE", _ONE, remove, rule="modify_image", success=204, unit="write"),
]
