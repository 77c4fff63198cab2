"""Actions with which Cinder's clients attach volumes themselves, without Compute."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.volume.connections import CONNECTOR, INFORMATION, connection
from novalite.api.volume.shapes import ANYTHING, EXTENSION, ROOT, UUID_OR_NULL
from novalite.cloud.volume import attachments, volumes
from novalite.cloud.volume.records import Volume, VolumeAttachment
from novalite.errors import Invalid

_DETACHED_FROM = ("available", "in-use", "detaching")


def reserve(call: Call) -> None:
    volume = volumes.get(call.w, call.path["id"])
    volumes.move(call.w, volume, ("available",), "attaching", ~volumes.being_copied(volume.id), doing="reserved")


def unreserve(call: Call) -> None:
    volume = volumes.get(call.w, call.path["id"])
    volumes.move(call.w, volume, ("attaching", "reserved"), "available", ~volumes.has_attachments(volume.id),
                 doing="given free")  # fmt: skip


def begin_detaching(call: Call) -> None:
    attachments.begin_detaching(call.w, call.path["id"])


def roll_detaching(call: Call) -> None:
    volumes.get(call.w, call.path["id"])
    attachments.roll_detaching(call.w, call.path["id"])


def attach(call: Call) -> None:
    body = call.body
    if not body.get("instance_uuid") and not body.get("host_name"):
        raise Invalid("Invalid request to attach volume: instance_uuid or host_name is needed.", field="instance_uuid")
    attachments.attach_by_hand(
        call.w, call.path["id"], server_id=body.get("instance_uuid"), host=body.get("host_name") or "",
        device=body["mountpoint"], mode=body.get("mode") or "rw",
    )  # fmt: skip


def detach(call: Call) -> None:
    volume = volumes.get(call.w, call.path["id"])
    attachment = _meant(call, volume)
    if attachment is None:  # attached or not, it is not now
        if not volumes.change(call.w, volume.id, {"status": "available"}, Volume.status.in_(_DETACHED_FROM)):
            raise volumes.refusal(volume, "detached", _DETACHED_FROM)
        return
    attachments.refuse_if_computes(call.w, attachment)
    attachments.detach(call.w, attachment.id)


def force_detach(call: Call) -> None:
    """Also from a volume in error: what was wrong with it is over then."""
    volume = volumes.get(call.w, call.path["id"])
    if volume.status.startswith("error"):
        volumes.change(call.w, volume.id, {"status": "detaching"})
    detach(call)


def _meant(call: Call, volume: Volume) -> VolumeAttachment | None:
    there = attachments.of_volumes(call.w, [volume.id])[volume.id]
    wanted = (call.body or {}).get("attachment_id")
    if wanted:
        found = next((one for one in there if one.id == wanted), None)
        if found is None:
            attachments.get(call.w, wanted)
            raise Invalid(f"Attachment {wanted} is not of volume {volume.id}.", field="attachment_id")
        return found
    if len(there) > 1:
        raise Invalid("The volume is attached more than once: name the attachment_id.", field="attachment_id")
    return there[0] if there else None


def initialize_connection(call: Call) -> dict[str, Any]:
    volume = volumes.get(call.w, call.path["id"])
    return {"connection_info": connection(call, volume.id, call.body["connector"].get("mode", "rw"))}


def terminate_connection(call: Call) -> None:
    """Nothing was opened for it: a file is there for whoever is on its host."""
    for attachment in attachments.of_volumes(call.w, [volumes.get(call.w, call.path["id"]).id])[call.path["id"]]:
        attachments.refuse_if_computes(call.w, attachment)


def _action(name: str, handler: Any, *items: Item, success: int = 202, view: Told | None = None) -> Route:
    body = Body(name, *items) if items else Body(name, whole=ANYTHING)
    rule = EXTENSION + "volume_actions:" + name.removeprefix("os-")
    path = f"{ROOT}/volumes/{{id}}/action"
    return Route("POST", path, handler, rule=rule, action=name, success=success, unit="write", body=body, view=view)


_HOST = {"type": ["string", "null"], "maxLength": 255}
_DETACHED = {
    "type": ["object", "null"],
    "properties": {"attachment_id": UUID_OR_NULL, "connector": {"type": ["object", "null"]}},
    "additionalProperties": False,
}
ROUTES = [
    _action("os-reserve", reserve),
    _action("os-unreserve", unreserve),
    _action("os-begin_detaching", begin_detaching),
    _action("os-roll_detaching", roll_detaching),
    _action(
        "os-attach", attach,
        Item("instance_uuid", UUID_OR_NULL),
        Item("host_name", _HOST),
        Item("mountpoint", {"type": "string", "minLength": 1, "maxLength": 255}, required=True),
        Item("mode", {"enum": ["rw", "ro"]}),
    ),
    Route("POST", f"{ROOT}/volumes/{{id}}/action", detach, rule=EXTENSION + "volume_actions:detach", action="os-detach",
          success=202, unit="write", body=Body("os-detach", whole=_DETACHED)),
    Route("POST", f"{ROOT}/volumes/{{id}}/action", force_detach, rule=EXTENSION + "volume_admin_actions:force_detach",
          action="os-force_detach", success=202, unit="write", body=Body("os-force_detach", whole=_DETACHED)),
    _action("os-initialize_connection", initialize_connection, Item("connector", CONNECTOR, required=True),
            success=200, view=Told("connection_info", whole=INFORMATION)),
    _action("os-terminate_connection", terminate_connection, Item("connector", CONNECTOR, required=True)),
]  # fmt: skip
