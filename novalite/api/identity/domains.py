"""Domains."""

from __future__ import annotations

from novalite.api.identity.shapes import FLAG, NAME, OPTIONS, ROOT, TEXT, constant, flag, links, values
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import domains
from novalite.cloud.identity.records import Domain

DOMAIN = View(
    Field("id"), Field("name"), Field("description"), Field("enabled"), constant("tags", []),
    constant("options", {}), links("domains"),
)  # fmt: skip
_CHANGEABLE = (Item("description", TEXT), Item("enabled", FLAG), Item("options", OPTIONS))
_NEW = Body("domain", Item("name", NAME, required=True), *_CHANGEABLE, extra=True)
_CHANGE = Body("domain", Item("name", NAME), *_CHANGEABLE, extra=True)


def create(call: Call) -> Domain:
    return domains.create(
        call.w, call.body["name"], description=call.body.get("description") or "",
        enabled=call.body.get("enabled", True),
    )  # fmt: skip


def list_all(call: Call) -> list[Domain]:
    return domains.find(call.w, name=call.query.get("name"), enabled=flag(call, "enabled"))


def show(call: Call) -> Domain:
    return domains.get(call.w, call.path["domain_id"])


def update(call: Call) -> Domain:
    changes = values(call, "name enabled")
    if "description" in call.body:
        changes["description"] = call.body["description"] or ""
    return domains.update(call.w, call.path["domain_id"], changes)


def remove(call: Call) -> None:
    domains.remove(call.w, call.path["domain_id"])


_ONE = f"{ROOT}/domains/{{domain_id}}"
ROUTES = [
    Route("POST", f"{ROOT}/domains", create, rule="identity:create_domain", body=_NEW, success=201,
          view=DOMAIN.one("domain"), unit="write"),
    Route("GET", f"{ROOT}/domains", list_all, rule="identity:list_domains", unit="read",
          view=DOMAIN.many("domains", keystone_links)),
    Route("GET", _ONE, show, rule="identity:get_domain", view=DOMAIN.one("domain"), unit="read"),
    Route("PATCH", _ONE, update, rule="identity:update_domain", body=_CHANGE, view=DOMAIN.one("domain"),
          unit="write"),
    Route("DELETE", _ONE, remove, rule="identity:delete_domain", success=204, unit="write"),
]  # fmt: skip
