"""Subnet pools: ranges of which subnets are made."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import (
    BOOLEAN,
    NAME,
    PROJECT,
    ROOT,
    TAGS,
    common_fields,
    given_tags,
    owner,
    shared,
    whole_number,
)
from novalite.cloud.identity import policy
from novalite.cloud.network import subnet_pools

POOL = View(
    *common_fields(),
    Field("ip_version"),
    Field("prefixes"),
    Field("default_prefixlen"),
    Field("min_prefixlen"),
    Field("max_prefixlen"),
    Field("default_quota"),
    Field("is_default"),
    Field("shared", shared),
    Field("address_scope_id"),
)
_LENGTH = {"type": ["integer", "string"], "pattern": r"^[0-9]{1,3}$", "minimum": 0, "maximum": 128}
_PREFIXES = {"type": "array", "items": {"type": "string", "maxLength": 64}, "maxItems": 100}
_SHARED = (
    Item("name", NAME),
    Item("description", NAME),
    Item("prefixes", _PREFIXES),
    Item("default_prefixlen", _LENGTH),
    Item("min_prefixlen", _LENGTH),
    Item("max_prefixlen", _LENGTH),
    Item("default_quota", {"type": ["integer", "string", "null"], "pattern": r"^[0-9]{1,15}$", "minimum": 0,
                           "maximum": 2**31 - 1}),
    Item("is_default", BOOLEAN),
    Item("address_scope_id", {"type": ["string", "null"], "format": "uuid"}),
)  # fmt: skip
NEW = Body(
    "subnetpool",
    *_SHARED,
    Item("shared", BOOLEAN),
    Item("tags", TAGS),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
)
CHANGES = Body("subnetpool", *_SHARED)
PREFIXES = Body("", Item("prefixes", _PREFIXES, required=True))
_NUMBERS = ("default_prefixlen", "min_prefixlen", "max_prefixlen", "default_quota")


def _values(call: Call) -> dict[str, Any]:
    return {
        item.name: whole_number(call.body[item.name]) if item.name in _NUMBERS else call.body[item.name]
        for item in _SHARED
        if item.name in call.body
    }


def _require(call: Call, verb: str) -> None:
    for name in ("shared", "is_default"):
        if call.body.get(name):
            policy.require(f"{verb}_subnetpool:{name}", call.ctx)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "subnetpools", POOL, subnet_pools.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "subnetpool", POOL, subnet_pools.get(call.w, call.path["pool_id"]))


def create(call: Call) -> Any:
    _require(call, "create")
    values = {"name": "", "prefixes": (), **_values(call), "shared": call.body.get("shared", False)}
    values["prefixes"] = tuple(values["prefixes"])
    made = subnet_pools.create(call.w, subnet_pools.NewPool(**values, project_id=owner(call)))
    made.tags = given_tags(call)
    return made


def update(call: Call) -> Any:
    _require(call, "update")
    return subnet_pools.update(call.w, call.path["pool_id"], _values(call))


def add_prefixes(call: Call) -> dict[str, Any]:
    return {"prefixes": subnet_pools.add_prefixes(call.w, call.path["pool_id"], call.body["prefixes"]).prefixes}


def remove_prefixes(call: Call) -> dict[str, Any]:
    return {"prefixes": subnet_pools.remove_prefixes(call.w, call.path["pool_id"], call.body["prefixes"]).prefixes}


def delete(call: Call) -> None:
    subnet_pools.delete(call.w, call.path["pool_id"])


_ALL, _ONE = f"{ROOT}/subnetpools", f"{ROOT}/subnetpools/{{pool_id}}"
_SHOWN = POOL.one("subnetpool")
ROUTES = [
    Route("GET", _ALL, index, rule="get_subnetpool", unit="read"),
    Route("GET", _ONE, show, rule="get_subnetpool", unit="read"),
    Route("POST", _ALL, create, rule="create_subnetpool", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_subnetpool", body=CHANGES, view=_SHOWN, unit="write"),
    Route("PUT", f"{_ONE}/add_prefixes", add_prefixes, rule="add_prefixes", body=PREFIXES, unit="write"),
    Route("PUT", f"{_ONE}/remove_prefixes", remove_prefixes, rule="remove_prefixes", body=PREFIXES, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_subnetpool", success=204, unit="write"),
]
