"""Actions on volumes."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_micros
from novalite.api.volume.services import backend_hosts
from novalite.api.volume.shapes import (
    ANYTHING,
    BOOLEAN,
    EXTENSION,
    METADATA,
    REQUIRED_NAME,
    ROOT,
    SIZE,
    UUID,
    truth,
)
from novalite.cloud.compute import volume_moves
from novalite.cloud.identity import policy
from novalite.cloud.volume import attachments, changes, services, types, volumes
from novalite.errors import Invalid, NotFound, OverQuota

_BYTES = 255
_MOST_FACTS = 256
"""Of the image that a volume was made of: all that an image may have, and as many again."""


def extend(call: Call) -> None:
    attached_too = call.since("3.42")
    changes.extend(call.w, call.path["id"], int(call.body["new_size"]), attached_too=attached_too)


def set_bootable(call: Call) -> None:
    volumes.update(call.w, call.path["id"], {"bootable": truth(call.body["bootable"])})


def set_read_only(call: Call) -> None:
    volume = volumes.get(call.w, call.path["id"])
    if not volumes.change(
        call.w, volume.id, {"read_only": truth(call.body["readonly"])}, ~volumes.has_attachments(volume.id)
    ):
        raise volumes.refusal(volume, "made read-only or writable", ("available",))


def upload(call: Call) -> dict[str, Any]:
    body = call.body
    if body.get("visibility") == "public":
        policy.require(EXTENSION + "volume_actions:upload_public", call.ctx)
    volume, image = changes.upload(
        call.w, call.path["id"], name=body["image_name"], disk_format=body.get("disk_format", "raw"),
        container_format=body.get("container_format", "bare"), force=truth(body.get("force", False)),
        visibility=body.get("visibility", ""), protected=truth(body.get("protected", False)),
    )  # fmt: skip
    told: dict[str, Any] = {
        "id": volume.id,
        "updated_at": utc_micros(volume.updated_at),
        "status": volume.status,
        "display_description": volume.description,
        "size": volume.size_gib,
        "volume_type": {"id": volume.type_id, "name": types.names(call.w).get(volume.type_id or "")},
        "image_id": image.id,
        "container_format": image.container_format,
        "disk_format": image.disk_format,
        "image_name": image.name,
    }
    if call.since("3.1"):
        told |= {"visibility": image.visibility, "protected": image.protected}
    return {"os-volume_upload_image": told}


def set_image_metadata(call: Call) -> dict[str, Any]:
    volume = volumes.get(call.w, call.path["id"])
    facts = {**volume.image_metadata, **call.body["metadata"]}
    if len(facts) > max(_MOST_FACTS, len(volume.image_metadata)):
        used = len(volume.image_metadata)
        raise OverQuota("metadata_items", limit=_MOST_FACTS, used=used, asked=len(facts) - used)
    volumes.update(call.w, volume.id, {"image_metadata": facts})
    return {"metadata": facts}


def unset_image_metadata(call: Call) -> None:
    volume, key = volumes.get(call.w, call.path["id"]), call.body["key"]
    if key not in volume.image_metadata:
        raise NotFound("metadata", key, message=f"Volume {volume.id} has no image metadata with key {key}.")
    facts = {name: value for name, value in volume.image_metadata.items() if name != key}
    volumes.update(call.w, volume.id, {"image_metadata": facts})


def show_image_metadata(call: Call) -> dict[str, Any]:
    return {"metadata": volumes.get(call.w, call.path["id"]).image_metadata}


def retype(call: Call) -> None:
    may_move = call.body.get("migration_policy") == "on-demand"
    volume_moves.retype(call.w, call.path["id"], call.body["new_type"], may_move=may_move)


def migrate(call: Call) -> None:
    """To another backend. What is copied by whom is for the backends to know, so ``force_host_copy`` changes nothing,
    and the volume is locked meanwhile in any case."""
    if call.body.get("cluster"):
        raise Invalid("Invalid input received: There are no clusters here; name a host.", field="cluster")
    wanted = services.backend_host(call.body.get("host") or "")
    if wanted not in backend_hosts(call):
        raise Invalid(f"Invalid host: No available service named {wanted[:255]}", field="host")
    volume_moves.migrate(call.w, call.path["id"], wanted.partition("@")[2], wanted)


def complete_migration(call: Call) -> dict[str, Any]:
    """What Compute tells Cinder when a guest has gone on. Here nobody needs to: volumes that move keep their ids, and
    none is the destination of another."""
    volume, new = volumes.get(call.w, call.path["id"]), volumes.get(call.w, call.body["new_volume"])
    if volume.migration_status or new.migration_status:
        which = "Destination" if volume.migration_status else "Source"
        raise Invalid(f"Invalid volume: {which} volume not mid-migration.", field="new_volume", code="volume.state")
    return {"save_volume_id": new.id}


def revert(call: Call) -> None:
    changes.revert(call.w, call.path["id"], call.body["snapshot_id"])


def reimage(call: Call) -> None:
    reserved_too = truth(call.body.get("reimage_reserved", False))
    if reserved_too:
        policy.require("volume:reimage_reserved", call.ctx)
    changes.reimage(call.w, call.path["id"], call.body["image_id"], reserved_too=reserved_too)


_STATUSES = ("creating", "available", "deleting", "error", "error_deleting", "attaching", "detaching", "reserved",
             "maintenance", "in-use", "uploading", "extending", "error_extending", "downloading")  # fmt: skip


def reset_status(call: Call) -> None:
    """Of ``detached`` the status follows, as in Cinder, but what a server has is for Compute to detach."""
    volume, body = volumes.get(call.w, call.path["id"]), call.body
    if not any(body.get(name) for name in ("status", "attach_status", "migration_status")):
        raise Invalid("Must specify 'status', 'attach_status' or 'migration_status' for update.", field="status")
    there = attachments.of_volumes(call.w, [volume.id])[volume.id]
    is_over = (body.get("attach_status") or "").lower() == "detached"
    if body.get("attach_status") and not is_over and not there:
        raise Invalid(f"Invalid volume: volume {volume.id} is attached to nothing.", field="attach_status",
                      code="volume.state")  # fmt: skip
    for attachment in there if is_over else ():
        attachments.refuse_if_computes(call.w, attachment)
    if body.get("status"):
        volumes.change(call.w, volume.id, {"status": body["status"].lower()})
    if body.get("migration_status"):
        now = body["migration_status"].lower()
        volumes.change(call.w, volume.id, {"migration_status": None if now == "none" else now})
    for attachment in there if is_over else ():
        attachments.detach(call.w, attachment.id)


def force_delete(call: Call) -> None:
    volumes.delete(call.w, call.path["id"], force=True)


def _action(
    name: str, handler: Any, rule: str, *items: Item, success: int = 202, since: str = "", view: Told | None = None
) -> Route:
    body = Body(name, *items) if items else Body(name, whole=ANYTHING)
    path = f"{ROOT}/volumes/{{id}}/action"
    return Route("POST", path, handler, rule=rule, action=name, success=success, unit="write", body=body, since=since,
                 view=view)  # fmt: skip


_TOLD = Told("metadata", whole=answers.TEXT_BY_NAME)
_UPLOADED = Told(
    "os-volume_upload_image",
    *(Item(name, answers.UUID, required=True) for name in ("id", "image_id")),
    *(
        Item(name, answers.TEXT, required=True)
        for name in ("status", "container_format", "disk_format", "image_name", "updated_at")
    ),
    Item("display_description", answers.TEXT_OR_NULL, required=True),
    Item("size", answers.WHOLE, required=True),
    Item("volume_type", answers.record({"id": answers.TEXT_OR_NULL, "name": answers.TEXT_OR_NULL}), required=True),
    Item("visibility", answers.TEXT, required=True, since="3.1"),
    Item("protected", answers.FLAG, required=True, since="3.1"),
)
_STATUS = {"type": ["string", "null"], "enum": [*_STATUSES, *(one.upper() for one in _STATUSES), None]}
_MIGRATION = {"enum": ["migrating", "error", "success", "completing", "none", "starting", None]}
_FACTS = Item("metadata", {**METADATA, "minProperties": 1}, required=True)
_ADMIN = EXTENSION + "volume_admin_actions:"
ROUTES = [
    _action("os-extend", extend, "volume:extend", Item("new_size", SIZE, required=True)),
    _action("os-set_bootable", set_bootable, "volume:update", Item("bootable", BOOLEAN, required=True), success=200),
    _action("os-update_readonly_flag", set_read_only, "volume:update_readonly_flag",
            Item("readonly", BOOLEAN, required=True)),
    _action(
        "os-volume_upload_image", upload, EXTENSION + "volume_actions:upload_image",
        Item("image_name", REQUIRED_NAME, required=True),
        Item("force", BOOLEAN),
        Item("disk_format", {"enum": list(changes.UPLOAD_FORMATS)}),
        Item("container_format", {"enum": ["bare"]}),
        Item("visibility", {"enum": ["community", "public", "private", "shared"]}, since="3.1"),
        Item("protected", BOOLEAN, since="3.1"),
        view=_UPLOADED,
    ),
    _action("os-set_image_metadata", set_image_metadata, EXTENSION + "volume_image_metadata:set", _FACTS, success=200,
            view=_TOLD),
    _action("os-unset_image_metadata", unset_image_metadata, EXTENSION + "volume_image_metadata:remove",
            Item("key", {"type": "string", "minLength": 1, "maxLength": _BYTES}, required=True), success=200),
    _action("os-show_image_metadata", show_image_metadata, EXTENSION + "volume_image_metadata:show", success=200,
            view=_TOLD),
    _action("os-retype", retype, "volume:retype", Item("new_type", REQUIRED_NAME, required=True),
            Item("migration_policy", {"enum": ["on-demand", "never", None]})),
    _action("revert", revert, "volume:revert_to_snapshot", Item("snapshot_id", UUID, required=True), since="3.40"),
    _action("os-reimage", reimage, "volume:reimage", Item("image_id", UUID, required=True),
            Item("reimage_reserved", BOOLEAN), since="3.68"),
    _action("os-reset_status", reset_status, _ADMIN + "reset_status", Item("status", _STATUS),
            Item("attach_status", {"enum": ["detached", "attached", None]}), Item("migration_status", _MIGRATION)),
    _action("os-migrate_volume", migrate, _ADMIN + "migrate_volume", Item("host", {"type": ["string", "null"],
            "maxLength": 255}), Item("cluster", {"type": ["string", "null"], "maxLength": 255}, since="3.16"),
            Item("force_host_copy", BOOLEAN), Item("lock_volume", BOOLEAN)),
    _action("os-migrate_volume_completion", complete_migration, _ADMIN + "migrate_volume_completion",
            Item("new_volume", UUID, required=True), Item("error", BOOLEAN), success=200,
            view=Told("save_volume_id", whole=answers.UUID)),
    _action("os-force_delete", force_delete, _ADMIN + "force_delete"),
]  # fmt: skip
