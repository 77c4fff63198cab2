"""Imports as tasks: of one image, of all, and those that make the image they fill."""

from __future__ import annotations

from typing import Any

from novalite.api.image import imports
from novalite.api.image.attributes import WRITABLE, check_value, require_writable
from novalite.api.kit import paging
from novalite.api.kit.answers import MOMENT, TEXT, TEXT_OR_NULL, UUID, Told, array, nullable, record
from novalite.api.kit.body import Body
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_seconds
from novalite.cloud.image import images, tasks
from novalite.cloud.image import imports as filling
from novalite.cloud.image.images import NewImage
from novalite.cloud.tasks.tasks import Task
from novalite.db.paging import Page
from novalite.errors import Invalid

_DEFAULT_LIMIT = 25


def _brief(task: Task) -> dict[str, Any]:
    ends = tasks.expires_at(task)
    return {
        "id": task.id,
        "type": task.args.get("type", "api_image_import"),
        "status": tasks.status(task),
        "owner": task.project_id,
        "image_id": task.resource_id,
        "request_id": task.request_id,
        "user_id": task.user_id,
        "expires_at": utc_seconds(ends) if ends else None,
        "created_at": utc_seconds(task.created_at),
        "updated_at": utc_seconds(task.updated_at),
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
    }


def _whole(task: Task) -> dict[str, Any]:
    made = {"image_id": task.resource_id} if tasks.status(task) == "success" else None
    asked = dict(task.args.get("asked", {}))
    given = asked if task.args.get("type") == "import" else {"image_id": task.resource_id, "import_req": asked}
    return {**_brief(task), "input": given, "result": made, "message": tasks.message(task)}


def of_image(call: Call) -> dict[str, Any]:
    images.get(call.w, call.path["image_id"])
    return {"tasks": [_whole(task) for task in tasks.of_image(call.w, call.path["image_id"])]}


def index(call: Call) -> dict[str, Any]:
    wanted = call.query.get("status", "")
    if wanted and wanted not in tasks.STATUSES:
        raise Invalid(f"Invalid status value: {wanted[:64]}. It is one of {', '.join(tasks.STATUSES)}.", field="status")
    key, direction = call.query.get("sort_key", "created_at"), call.query.get("sort_dir", "desc")
    if direction not in ("asc", "desc"):
        raise Invalid(f"Invalid sort direction: {direction[:64]}", field="sort_dir")
    page = Page(
        limit=paging.limit(call, default=_DEFAULT_LIMIT), marker=call.query.get("marker", ""), sort=((key, direction),)
    )
    found = tasks.list_visible(call.w, page, status=wanted, type=call.query.get("type", ""))
    told: dict[str, Any] = {
        "tasks": [_brief(task) for task in found], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"
    }  # fmt: skip
    if 0 < page.limit <= len(found):
        told["next"] = f"/v2/tasks?marker={found[-1].id}&limit={page.limit}"
    return told


def show(call: Call) -> dict[str, Any]:
    return _whole(tasks.get(call.w, call.path["task_id"]))


def create(call: Call) -> Answer:
    """Glance's older way: one request makes the image and fills it from the web."""
    given = call.body["input"]
    properties = dict(given["image_properties"])
    if given["import_from_format"] != properties.setdefault("disk_format", given["import_from_format"]):
        raise Invalid("The image has another format than what it is imported from.", field="import_from_format")
    for name, value in properties.items():
        require_writable(name)
        check_value(name, value)
    imports.require_uri(call, given["import_from"])
    attributes = {name: value for name, value in properties.items() if name in WRITABLE}
    attributes["tags"] = tuple(attributes.get("tags", ()))
    custom = {name: value for name, value in properties.items() if name not in WRITABLE}
    task = filling.request_new(call.w, NewImage(**attributes, properties=custom), given["import_from"], given)
    return Answer(_whole(task), headers={"Location": call.link(f"/v2/tasks/{task.id}")})


_URI = {"type": "string", "minLength": 1, "maxLength": 2048}
_NEW: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["import"]},
        "input": {
            "type": "object",
            "properties": {
                "import_from": _URI, "import_from_format": {"type": "string", "maxLength": 16},
                "image_properties": {"type": "object"},
            },
            "required": ["import_from", "import_from_format", "image_properties"],
        },
    },
    "required": ["type", "input"],
}  # fmt: skip
_BRIEF = {
    "id": UUID, "type": TEXT, "status": TEXT, "owner": TEXT, "image_id": TEXT, "request_id": TEXT, "user_id": TEXT,
    "expires_at": nullable(MOMENT), "created_at": MOMENT, "updated_at": MOMENT, "self": TEXT, "schema": TEXT,
}  # fmt: skip
_WHOLE = {**_BRIEF, "input": {"type": "object"}, "result": nullable({"type": "object"}), "message": TEXT_OR_NULL}
_LIST = record({"tasks": array(record(_BRIEF)), "first": TEXT, "next": TEXT, "schema": TEXT}, optional=["next"])

ROUTES = [
    Route("GET", "/v2/tasks", index, rule="tasks_api_access", view=Told(whole=_LIST), unit="read"),
    Route("POST", "/v2/tasks", create, rule="tasks_api_access", body=Body(whole=_NEW), view=Told(whole=record(_WHOLE)),
          success=201, unit="write"),
    Route("GET", "/v2/tasks/{task_id}", show, rule="tasks_api_access", view=Told(whole=record(_WHOLE)), unit="read"),
    Route("GET", "/v2/images/{image_id}/tasks", of_image, rule="get_image",
          view=Told(whole=record({"tasks": array(record(_WHOLE))})), unit="read"),
]  # fmt: skip
