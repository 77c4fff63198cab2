"""Policies as Keystone keeps them: texts for others to fetch."""

from __future__ import annotations

from novalite.api.identity.shapes import ROOT, links, values
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import policy_blobs
from novalite.cloud.identity.policy_blobs import PolicyBlob

POLICY = View(Field("id"), Field("type"), Field("blob"), links("policies"))
_TYPE = {"type": "string", "minLength": 1, "maxLength": 255}
_BLOB = {"type": "string", "maxLength": 60000}
_NEW = Body("policy", Item("type", _TYPE, required=True), Item("blob", _BLOB, required=True), extra=True)
_CHANGE = Body("policy", Item("type", _TYPE), Item("blob", _BLOB), extra=True)


def list_all(call: Call) -> list[PolicyBlob]:
    return policy_blobs.find(call.w, call.query.get("type"))


def show(call: Call) -> PolicyBlob:
    return policy_blobs.get(call.w, call.path["id"])


def create(call: Call) -> PolicyBlob:
    return policy_blobs.create(call.w, type=call.body["type"], blob=call.body["blob"])


def change(call: Call) -> PolicyBlob:
    return policy_blobs.change(call.w, call.path["id"], values(call, "type blob"))


def remove(call: Call) -> None:
    policy_blobs.remove(call.w, call.path["id"])


_ALL, _ONE = f"{ROOT}/policies", f"{ROOT}/policies/{{id}}"
ROUTES = [
    Route("GET", _ALL, list_all, rule="identity:list_policies", unit="read",
          view=POLICY.many("policies", keystone_links)),
    Route("POST", _ALL, create, rule="identity:create_policy", body=_NEW, success=201, unit="write",
          view=POLICY.one("policy")),
    Route("GET", _ONE, show, rule="identity:get_policy", unit="read", view=POLICY.one("policy")),
    Route("PATCH", _ONE, change, rule="identity:update_policy", body=_CHANGE, unit="write",
          view=POLICY.one("policy")),
    Route("DELETE", _ONE, remove, rule="identity:delete_policy", success=204, unit="write"),
]  # fmt: skip
