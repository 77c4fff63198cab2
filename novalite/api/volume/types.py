"""Types of volumes with their extra specs, and who may use those that are not public."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, BOOLEAN, EXTENSION, NAME, REQUIRED_NAME, ROOT, flag, is_admin
from novalite.cloud.volume import types
from novalite.cloud.volume.records import VolumeType
from novalite.errors import Invalid, NotFound

_SPECS: dict[str, Any] = {
    "type": "object",
    "patternProperties": {r"^[a-zA-Z0-9-_:. ]{1,255}\Z": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
}
_FOR_EVERYBODY = ("multiattach", "RESKEY:availability_zones", "replication_enabled")


def _specs(item: VolumeType, call: Call) -> dict[str, str]:
    """Only what users must know of a type, to those who do not run the cloud."""
    if is_admin(call):
        return item.extra_specs
    return {key: value for key, value in item.extra_specs.items() if key in _FOR_EVERYBODY}


VIEW = View(
    Field("id", schema=answers.UUID),
    Field("name", schema=answers.TEXT),
    Field("is_public", schema=answers.FLAG),
    Field("description", schema=answers.TEXT_OR_NULL),
    Field("extra_specs", _specs, schema=answers.TEXT_BY_NAME),
    Field("qos_specs_id", only=is_admin, schema=answers.nullable(answers.UUID)),
    Field("os-volume-type-access:is_public", "is_public", schema=answers.FLAG),
)
ANSWERED = VIEW.extended(without=["qos_specs_id"])
CHANGED = ANSWERED.extended(without=["os-volume-type-access:is_public"])
_DESCRIPTION = {"type": ["string", "null"], "maxLength": 255}
_NEW = Body(
    "volume_type",
    Item("name", REQUIRED_NAME, required=True),
    Item("description", _DESCRIPTION),
    Item("extra_specs", {**_SPECS, "type": ["object", "null"]}),
    Item("os-volume-type-access:is_public", BOOLEAN),
)
_CHANGE = Body(
    "volume_type", Item("name", NAME), Item("description", _DESCRIPTION), Item("is_public", BOOLEAN)
)  # fmt: skip
_NEW_SPECS = Body("extra_specs", whole=_SPECS)
_ONE_SPEC = Body(whole={**_SPECS, "minProperties": 1, "maxProperties": 1})
_PROJECT = Item("project", {"type": "string", "minLength": 1, "maxLength": 64}, required=True)
_TOLD, _TOLD_ONE = Told("extra_specs", whole=answers.TEXT_BY_NAME), Told(whole=answers.TEXT_BY_NAME)
_HAS_ACCESS = Told(
    "volume_type_access",
    whole=answers.array(answers.record({"volume_type_id": answers.UUID, "project_id": answers.TEXT})),
)
_QUERY = Query(
    *(Item(name, ANY_QUERY) for name in ("limit", "marker", "offset", "sort", "sort_key", "sort_dir", "is_public"))
)  # fmt: skip


def list_all(call: Call) -> Page:
    wanted = shapes.page(call)
    text = call.query.get("is_public", "")
    rows = types.list_visible(call.w, wanted, is_public=_which(call, text))
    return full_page(rows, wanted.limit)


def _which(call: Call, text: str) -> bool | None:
    """Public ones unless something else is asked for; ``None`` in the query asks for both."""
    if text in ("None", "none"):
        return None
    return flag(call, "is_public") if text else True


def show(call: Call) -> VolumeType:
    return types.get(call.w, call.path["id"])


def show_default(call: Call) -> VolumeType:
    return types.ensure_default(call.w)


def create(call: Call) -> VolumeType:
    body = call.body
    return types.create(
        call.w, body["name"].strip(), description=body.get("description"), extra_specs=body.get("extra_specs") or {},
        is_public=shapes.truth(body.get("os-volume-type-access:is_public", True)),
    )  # fmt: skip


def update(call: Call) -> VolumeType:
    values = {name: value for name, value in call.body.items() if value is not None}
    if "name" in values:
        values["name"] = values["name"].strip()
        if not values["name"]:
            raise Invalid("Volume type name can not be empty.", field="name")
    if "is_public" in values:
        values["is_public"] = shapes.truth(values["is_public"])
    if not values:
        raise Invalid("Specify volume type name, description, is_public or a combination thereof.", field="name")
    return types.update(call.w, call.path["id"], values)


def delete(call: Call) -> None:
    types.delete(call.w, call.path["id"])


def list_specs(call: Call) -> dict[str, Any]:
    return {"extra_specs": _specs(types.get(call.w, call.path["id"]), call)}


def add_specs(call: Call) -> dict[str, Any]:
    found = types.get(call.w, call.path["id"])
    types.update(call.w, found.id, {"extra_specs": {**found.extra_specs, **call.body}})
    return {"extra_specs": call.body}


def _known(call: Call) -> tuple[VolumeType, str]:
    found, key = types.get(call.w, call.path["id"]), call.path["key"]
    if key not in _specs(found, call):
        raise NotFound("extra spec", key, message=f"Volume Type {found.id} has no extra specs with key {key[:255]}.")
    return found, key


def show_spec(call: Call) -> dict[str, str]:
    found, key = _known(call)
    return {key: found.extra_specs[key]}


def put_spec(call: Call) -> dict[str, str]:
    found, key = types.get(call.w, call.path["id"]), call.path["key"]
    if list(call.body) != [key]:
        raise Invalid("Request body and URI mismatch: the one item must be the one of the path.", field=key[:100])
    types.update(call.w, found.id, {"extra_specs": {**found.extra_specs, **call.body}})
    return dict(call.body)


def delete_spec(call: Call) -> None:
    found, key = _known(call)
    left = {name: value for name, value in found.extra_specs.items() if name != key}
    types.update(call.w, found.id, {"extra_specs": left})


def list_access(call: Call) -> dict[str, Any]:
    type_id = call.path["id"]
    rows = [{"volume_type_id": type_id, "project_id": project_id} for project_id in types.access(call.w, type_id)]
    return {"volume_type_access": rows}


def allow(call: Call) -> None:
    types.allow(call.w, call.path["id"], call.body["project"])


def forbid(call: Call) -> None:
    types.forbid(call.w, call.path["id"], call.body["project"])


_ALL, _ONE = f"{ROOT}/types", f"{ROOT}/types/{{id}}"
_SPEC, _RULE = EXTENSION + "types_extra_specs:", EXTENSION + "type_"
_ACCESS = EXTENSION + "volume_type_access"
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "get_all", query=_QUERY, view=VIEW.many("volume_types", nova_links),
          unit="read"),
    Route("POST", _ALL, create, rule=_RULE + "create", body=_NEW,
          view=ANSWERED.one("volume_type"), unit="write"),
    Route("GET", f"{_ALL}/default", show_default, rule=_RULE + "get", view=VIEW.one("volume_type"), unit="write"),
    Route("GET", _ONE, show, rule=_RULE + "get", view=VIEW.one("volume_type"), unit="read"),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_CHANGE, view=CHANGED.one("volume_type"), unit="write"),
    Route("DELETE", _ONE, delete, rule=_RULE + "delete", success=202, unit="write"),
    Route("GET", f"{_ONE}/extra_specs", list_specs, rule=_SPEC + "index", view=_TOLD, unit="read"),
    Route("POST", f"{_ONE}/extra_specs", add_specs, rule=_SPEC + "create", body=_NEW_SPECS, view=_TOLD, unit="write"),
    Route("GET", f"{_ONE}/extra_specs/{{key}}", show_spec, rule=_SPEC + "show", view=_TOLD_ONE, unit="read"),
    Route("PUT", f"{_ONE}/extra_specs/{{key}}", put_spec, rule=_SPEC + "update", body=_ONE_SPEC,
          view=_TOLD_ONE, unit="write"),
    Route("DELETE", f"{_ONE}/extra_specs/{{key}}", delete_spec, rule=_SPEC + "delete", success=202, unit="write"),
    Route("GET", f"{_ONE}/os-volume-type-access", list_access, rule=_ACCESS + ":get_all_for_type",
          view=_HAS_ACCESS, unit="read"),
    Route("POST", f"{_ONE}/action", allow, rule=_ACCESS + ":addProjectAccess", action="addProjectAccess",
          body=Body("addProjectAccess", _PROJECT), success=202, unit="write"),
    Route("POST", f"{_ONE}/action", forbid, rule=_ACCESS + ":removeProjectAccess", action="removeProjectAccess",
          body=Body("removeProjectAccess", _PROJECT), success=202, unit="write"),
]  # fmt: skip
