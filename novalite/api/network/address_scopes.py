"""Address scopes: where the ranges of subnet pools are unique."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import BOOLEAN, NAME, PROJECT, ROOT, owner, shared
from novalite.cloud.identity import policy
from novalite.cloud.network import address_scopes

SCOPE = View(
    Field("id"),
    Field("name"),
    Field("project_id"),
    Field("tenant_id", "project_id"),
    Field("ip_version"),
    Field("shared", shared),
)
NEW = Body(
    "address_scope",
    Item("name", NAME),
    Item("ip_version", {"enum": [4, 6, "4", "6"]}, required=True),
    Item("shared", BOOLEAN),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
)
CHANGES = Body("address_scope", Item("name", NAME), Item("shared", BOOLEAN))


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "address_scopes", SCOPE, address_scopes.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "address_scope", SCOPE, address_scopes.get(call.w, call.path["scope_id"]))


def create(call: Call) -> Any:
    if call.body.get("shared"):
        policy.require("create_address_scope:shared", call.ctx)
    return address_scopes.create(
        call.w,
        name=call.body.get("name", ""),
        ip_version=int(call.body["ip_version"]),
        shared=call.body.get("shared", False),
        project_id=owner(call),
    )


def update(call: Call) -> Any:
    if "shared" in call.body:
        policy.require("update_address_scope:shared", call.ctx)
    return address_scopes.update(call.w, call.path["scope_id"], call.body)


def delete(call: Call) -> None:
    address_scopes.delete(call.w, call.path["scope_id"])


_ALL, _ONE = f"{ROOT}/address-scopes", f"{ROOT}/address-scopes/{{scope_id}}"
_SHOWN = SCOPE.one("address_scope")
ROUTES = [
    Route("GET", _ALL, index, rule="get_address_scope", unit="read"),
    Route("GET", _ONE, show, rule="get_address_scope", unit="read"),
    Route("POST", _ALL, create, rule="create_address_scope", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_address_scope", body=CHANGES, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_address_scope", success=204, unit="write"),
]
