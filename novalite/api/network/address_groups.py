"""Address groups, which rules of security groups name."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import NAME, PROJECT, ROOT, common_fields, owner, shared
from novalite.cloud.network import address_groups

GROUP = View(*(field for field in common_fields() if field.name != "tags"), Field("addresses"), Field("shared", shared))
_ADDRESSES = {"type": "array", "items": {"type": "string", "maxLength": 64}}
NEW = Body(
    "address_group",
    Item("name", NAME),
    Item("description", NAME),
    Item("addresses", _ADDRESSES),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
)
CHANGES = Body("address_group", Item("name", NAME), Item("description", NAME))
ADDRESSES = Body("", Item("addresses", {**_ADDRESSES, "minItems": 1}, required=True))


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "address_groups", GROUP, address_groups.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "address_group", GROUP, address_groups.get(call.w, call.path["group_id"]))


def create(call: Call) -> Any:
    return address_groups.create(
        call.w,
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        addresses=call.body.get("addresses", ()),
        project_id=owner(call),
    )


def update(call: Call) -> Any:
    return address_groups.update(call.w, call.path["group_id"], dict(call.body))


def add_addresses(call: Call) -> Any:
    return address_groups.add_addresses(call.w, call.path["group_id"], call.body["addresses"])


def remove_addresses(call: Call) -> Any:
    return address_groups.remove_addresses(call.w, call.path["group_id"], call.body["addresses"])


def delete(call: Call) -> None:
    address_groups.delete(call.w, call.path["group_id"])


_ALL, _ONE = f"{ROOT}/address-groups", f"{ROOT}/address-groups/{{group_id}}"
_SHOWN = GROUP.one("address_group")
ROUTES = [
    Route("GET", _ALL, index, rule="get_address_group", unit="read"),
    Route("GET", _ONE, show, rule="get_address_group", unit="read"),
    Route("POST", _ALL, create, rule="create_address_group", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_address_group", body=CHANGES, view=_SHOWN, unit="write"),
    Route("PUT", f"{_ONE}/add_addresses", add_addresses, rule="update_address_group", body=ADDRESSES, view=_SHOWN,
          unit="write"),
    Route("PUT", f"{_ONE}/remove_addresses", remove_addresses, rule="update_address_group", body=ADDRESSES,
          view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_address_group", success=204, unit="write"),
]  # fmt: skip
