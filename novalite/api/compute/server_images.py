"""Images of servers: snapshots and backups."""

from __future__ import annotations

import re
from typing import Any

from novalite.api.compute.server_actions import action_route
from novalite.api.compute.shapes import METADATA, NAME, NOT_NEGATIVE, RULE
from novalite.api.kit.answers import UUID, Told
from novalite.api.kit.body import Item
from novalite.api.kit.call import Answer, Call
from novalite.cloud.compute import actions, snapshots
from novalite.cloud.identity import policy
from novalite.cloud.image.records import Image

_IMAGE = {
    "type": "object",
    "properties": {"name": NAME, "metadata": METADATA},
    "required": ["name"],
    "additionalProperties": False,
}
_BACKUP = {
    "type": "object",
    "properties": {
        "name": NAME,
        "backup_type": {"type": "string", "maxLength": 65535},
        "rotation": NOT_NEGATIVE,
        "metadata": METADATA,
    },
    "required": ["name", "backup_type", "rotation"],
    "additionalProperties": False,
}


def _name(call: Call) -> str:
    return re.sub(r"\s+", " ", str(call.body["name"])).strip()


def _metadata(call: Call) -> dict[str, str]:
    found: dict[str, str] = call.body.get("metadata", {})
    if not call.since("2.39"):
        snapshots.check_metadata(call.w, found)
    return found


def create_image(call: Call) -> Answer:
    server = actions.allowed(call.w, call.path["server_id"], "createImage")
    if snapshots.is_volume_backed(call.w, server):
        policy.require(RULE + "servers:create_image:allow_volume_backed", call.ctx, project_id=server.project_id)
    return _answer(call, snapshots.create_image(call.w, server.id, _name(call), _metadata(call)))


def create_backup(call: Call) -> Answer:
    rotation = int(call.body["rotation"])
    image = snapshots.create_backup(
        call.w, call.path["server_id"], _name(call), _metadata(call), backup_type=call.body["backup_type"],
        rotation=rotation,
    )  # fmt: skip
    if rotation == 0 and not call.since("2.45"):
        return Answer()
    return _answer(call, image)


def _answer(call: Call, image: Image) -> Answer:
    if call.since("2.45"):
        return Answer({"image_id": image.id})
    return Answer(headers={"Location": f"{call.origin}/image/images/{image.id}"})


_TOLD = Told("", Item("image_id", UUID, required=True))


def _routes(name: str, handler: Any, rule: str, body: dict[str, Any]) -> list[Any]:
    return [
        action_route(name, handler, rule, body, until="2.44"),
        action_route(name, handler, rule, body, since="2.45", view=_TOLD),
    ]


ROUTES = [
    *_routes("createImage", create_image, "servers:create_image", _IMAGE),
    *_routes("createBackup", create_backup, "os-create-backup", _BACKUP),
]
