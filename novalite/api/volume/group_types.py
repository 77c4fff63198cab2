"""Types of groups, with their specs."""

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
from novalite.api.volume.shapes import ANY_QUERY, BOOLEAN, METADATA, NAME, REQUIRED_NAME, ROOT, flag, is_admin, truth
from novalite.cloud.volume import group_types
from novalite.cloud.volume.records import GroupType
from novalite.errors import Invalid, NotFound

VIEW = View(
    Field("id", schema=answers.UUID),
    Field("name", schema=answers.TEXT),
    Field("description", schema=answers.TEXT_OR_NULL),
    Field("is_public", schema=answers.FLAG),
    Field("group_specs", only=is_admin, schema=answers.TEXT_BY_NAME),
)
_NEW = Body("group_type", Item("name", REQUIRED_NAME, required=True), Item("description", NAME),
            Item("is_public", BOOLEAN), Item("group_specs", {**METADATA, "type": ["object", "null"]}))  # fmt: skip
_CHANGE = Body("group_type", Item("name", NAME), Item("description", NAME), Item("is_public", BOOLEAN))
_SPECS = Body("group_specs", whole=METADATA)
_ONE_SPEC = Body(whole={**METADATA, "minProperties": 1, "maxProperties": 1})
_QUERY = Query(
    *(Item(name, ANY_QUERY) for name in ("limit", "marker", "offset", "sort", "sort_key", "sort_dir", "is_public"))
)  # fmt: skip


def list_all(call: Call) -> Page:
    wanted, text = shapes.page(call), call.query.get("is_public", "")
    which = None if text in ("None", "none") else flag(call, "is_public") if text else True
    return full_page(group_types.list_visible(call.w, wanted, is_public=which), wanted.limit)


def show(call: Call) -> GroupType:
    return group_types.get(call.w, call.path["id"])


def show_default(call: Call) -> GroupType:
    """There is none: who makes a group names its type."""
    raise NotFound("group type", "default", message="Default group type can not be found.")


def create(call: Call) -> GroupType:
    body = call.body
    return group_types.create(
        call.w, body["name"].strip(), description=body.get("description"), is_public=truth(body.get("is_public", True)),
        group_specs=body.get("group_specs") or {},
    )  # fmt: skip


def update(call: Call) -> GroupType:
    values = {name: value for name, value in call.body.items() if value is not None}
    if "name" in values:
        values["name"] = values["name"].strip()
    if "is_public" in values:
        values["is_public"] = truth(values["is_public"])
    if not values or not values.get("name", "x"):
        raise Invalid("Specify group type name, description or a combination thereof.", field="name")
    return group_types.update(call.w, call.path["id"], values)


def delete(call: Call) -> None:
    group_types.delete(call.w, call.path["id"])


def list_specs(call: Call) -> dict[str, Any]:
    return {"group_specs": show(call).group_specs}


def add_specs(call: Call) -> dict[str, Any]:
    found = show(call)
    group_types.update(call.w, found.id, {"group_specs": {**found.group_specs, **call.body}})
    return {"group_specs": call.body}


def _known(call: Call) -> tuple[GroupType, str]:
    found, key = show(call), call.path["key"]
    if key not in found.group_specs:
        raise NotFound("group spec", key, message=f"Group Type {found.id} has no specs with key {key[:255]}.")
    return found, key


def show_spec(call: Call) -> dict[str, str]:
    found, key = _known(call)
    return {key: found.group_specs[key]}


def put_spec(call: Call) -> dict[str, str]:
    found, key = show(call), call.path["key"]
    if list(call.body) != [key]:
        raise Invalid("Request body and URI mismatch: the one item must be the one of the path.", field=key[:100])
    group_types.update(call.w, found.id, {"group_specs": {**found.group_specs, **call.body}})
    return dict(call.body)


def delete_spec(call: Call) -> None:
    found, key = _known(call)
    left = {name: value for name, value in found.group_specs.items() if name != key}
    group_types.update(call.w, found.id, {"group_specs": left})


_TOLD, _TOLD_ONE = Told("group_specs", whole=answers.TEXT_BY_NAME), Told(whole=answers.TEXT_BY_NAME)
_ALL, _ONE = f"{ROOT}/group_types", f"{ROOT}/group_types/{{id}}"
_ALL_SPECS, _SPEC = f"{_ONE}/group_specs", f"{_ONE}/group_specs/{{key}}"
_TYPE, _RULE = "group:group_types:", "group:group_types_specs:"
_SINCE: dict[str, Any] = {"since": "3.11"}
ROUTES = [
    Route("GET", _ALL, list_all, rule="volume:types", query=_QUERY, view=VIEW.many("group_types", nova_links),
          unit="read", **_SINCE),
    Route("POST", _ALL, create, rule=_TYPE + "create", body=_NEW, view=VIEW.one("group_type"), success=202,
          unit="write", **_SINCE),
    Route("GET", f"{_ALL}/default", show_default, rule="volume:types", success=404, unit="read", **_SINCE),
    Route("GET", _ONE, show, rule="volume:types", view=VIEW.one("group_type"), unit="read", **_SINCE),
    Route("PUT", _ONE, update, rule=_TYPE + "update", body=_CHANGE, view=VIEW.one("group_type"), unit="write",
          **_SINCE),
    Route("DELETE", _ONE, delete, rule=_TYPE + "delete", success=202, unit="write", **_SINCE),
    Route("GET", _ALL_SPECS, list_specs, rule=_RULE + "get_all", view=_TOLD, unit="read", **_SINCE),
    Route("POST", _ALL_SPECS, add_specs, rule=_RULE + "create", body=_SPECS, view=_TOLD, success=202, unit="write",
          **_SINCE),
    Route("GET", _SPEC, show_spec, rule=_RULE + "get", view=_TOLD_ONE, unit="read", **_SINCE),
    Route("PUT", _SPEC, put_spec, rule=_RULE + "update", body=_ONE_SPEC, view=_TOLD_ONE, unit="write", **_SINCE),
    Route("DELETE", _SPEC, delete_spec, rule=_RULE + "delete", success=202, unit="write", **_SINCE),
]  # fmt: skip
