"""Another size for a server: resize, and its confirmation or its way back."""

from __future__ import annotations

from novalite.api.compute.server_actions import PATH, action_route
from novalite.api.compute.shapes import RULE
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import resize

_DISK_CONFIG = "OS-DCF:diskConfig"
_RESIZE = Body(
    "resize",
    Item("flavorRef", {"type": ["string", "integer"], "minLength": 1, "maxLength": 255}, required=True),
    Item(_DISK_CONFIG, {"type": "string", "enum": ["AUTO", "MANUAL"]}),
)


def begin(call: Call) -> None:
    resize.resize(
        call.w,
        call.path["server_id"],
        str(call.body["flavorRef"]),
        disk_config=call.body.get(_DISK_CONFIG, ""),
        host_down_seconds=call.parts.settings.scheduler.host_down_seconds,
    )


def confirm(call: Call) -> None:
    resize.confirm(call.w, call.path["server_id"])


def revert(call: Call) -> None:
    resize.revert(call.w, call.path["server_id"])


ROUTES = [
    Route("POST", PATH, begin, rule=RULE + "servers:resize", action="resize", body=_RESIZE, success=202, unit="write"),
    action_route("confirmResize", confirm, "servers:confirm_resize", success=204),
    action_route("revertResize", revert, "servers:revert_resize"),
]
