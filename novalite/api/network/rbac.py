"""RBAC policies: what projects let others see and use of theirs."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import PROJECT, ROOT, UUID, owner
from novalite.cloud.identity import policy
from novalite.cloud.network import rbac
from novalite.cloud.network.grants import EXTERNAL
from novalite.cloud.network.rbac_records import EVERYBODY
from novalite.errors import Invalid

POLICY = View(
    Field("id"),
    Field("object_type"),
    Field("object_id"),
    Field("action"),
    Field("target_tenant", "target_project"),
    Field("target_project_id", "target_project"),
    Field("project_id"),
    Field("tenant_id", "project_id"),
)
_WORD = {"type": "string", "maxLength": 255}
_TARGET = {"type": "string", "minLength": 1, "maxLength": 64}
NEW = Body(
    "rbac_policy",
    Item("object_type", _WORD, required=True),
    Item("object_id", UUID, required=True),
    Item("action", _WORD, required=True),
    Item("target_tenant", _TARGET),
    Item("target_project_id", _TARGET),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
)
CHANGES = Body("rbac_policy", Item("target_tenant", _TARGET), Item("target_project_id", _TARGET))


def _target(call: Call, verb: str) -> str:
    target = str(call.body.get("target_tenant") or call.body.get("target_project_id") or "")
    if not target:
        raise Invalid("Failed to parse request. Required attribute 'target_tenant' not specified",
                      field="target_tenant")  # fmt: skip
    if target == EVERYBODY:
        policy.require(f"{verb}_rbac_policy:target_tenant", call.ctx)
    return target


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "rbac_policies", POLICY, rbac.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "rbac_policy", POLICY, rbac.get(call.w, call.path["policy_id"]))


def create(call: Call) -> Any:
    """What makes a network external is for those who may make external ones: the machine is on it then."""
    if (call.body["object_type"], call.body["action"]) == ("network", EXTERNAL):
        policy.require("create_network:router:external", call.ctx)
    return rbac.create(
        call.w,
        object_type=call.body["object_type"],
        object_id=call.body["object_id"],
        action=call.body["action"],
        target_project=_target(call, "create"),
        project_id=owner(call),
    )


def update(call: Call) -> Any:
    return rbac.update(call.w, call.path["policy_id"], _target(call, "update"))


def delete(call: Call) -> None:
    rbac.delete(call.w, call.path["policy_id"])


_ALL, _ONE = f"{ROOT}/rbac-policies", f"{ROOT}/rbac-policies/{{policy_id}}"
_SHOWN = POLICY.one("rbac_policy")
ROUTES = [
    Route("GET", _ALL, index, rule="get_rbac_policy", unit="read"),
    Route("GET", _ONE, show, rule="get_rbac_policy", unit="read"),
    Route("POST", _ALL, create, rule="create_rbac_policy", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_rbac_policy", body=CHANGES, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_rbac_policy", success=204, unit="write"),
]
