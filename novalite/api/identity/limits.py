"""Limits of projects and domains, and the model by which they are enforced."""

from __future__ import annotations

from typing import Any

from novalite.api.identity.registered_limits import NUMBER, REGION, known, several
from novalite.api.identity.shapes import ID, NAME, ROOT, TEXT, filters, links
from novalite.api.kit import answers
from novalite.api.kit.answers import Told, record
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import limits, policy, tokens
from novalite.cloud.identity.limits import Limit, NewLimit, Sight

VIEW = View(
    Field("id"), Field("project_id"), Field("domain_id"), Field("service_id"), Field("region_id"),
    Field("resource_name"), Field("resource_limit"), Field("description"), links("limits"),
)  # fmt: skip
_OWNER = {**ID, "type": ["string", "null"]}
_NEW = several(
    "limits",
    {
        "project_id": _OWNER, "domain_id": _OWNER, "service_id": ID, "region_id": REGION, "resource_name": NAME,
        "resource_limit": NUMBER, "description": TEXT,
    },
    required=["service_id", "resource_name", "resource_limit"],
    oneOf=[{"required": ["project_id"]}, {"required": ["domain_id"]}],
)  # fmt: skip
_CHANGE = Body("limit", Item("resource_limit", NUMBER), Item("description", TEXT))
_MODEL = {
    "name": "flat",
    "description": "Limit enforcement and validation does not take project hierarchy into consideration.",
}


def model(call: Call) -> dict[str, Any]:
    return {"model": _MODEL}


def _domain(call: Call) -> str:
    """The domain that the token is scoped to, if any."""
    token = tokens.resolve(call.w, call.token).token
    return token.scope_id if token.scope_kind == "domain" else ""


def list_all(call: Call) -> list[Limit]:
    """All for who runs the cloud, else those of the token's domain or project."""
    everything = call.ctx.system or bool(call.ctx.roles & {"admin", "service"})
    sight = Sight(everything, call.ctx.project_id, "" if everything else _domain(call))
    return limits.find(call.w, filters(call, "service_id region_id resource_name project_id domain_id"), sight)


def show(call: Call) -> Limit:
    """Whoever may not see it learns nothing of whether it is there."""
    limit_id, domain = call.path["id"], _domain(call)
    found = limits.seen(call.w, limit_id, Sight(everything=True))
    if not domain or limits.seen(call.w, limit_id, Sight(domain_id=domain)) is None:
        project_id = found.project_id if found else None
        policy.require("identity:get_limit", call.ctx, project_id=project_id or "of no project")
    return limits.get(call.w, limit_id)


def create(call: Call) -> list[Limit]:
    return limits.create(call.w, [NewLimit(**one) for one in call.body], known(call))


def change(call: Call) -> Limit:
    return limits.update(call.w, call.path["id"], call.body)


def remove(call: Call) -> None:
    limits.remove(call.w, call.path["id"])


_ALL, _ONE = f"{ROOT}/limits", f"{ROOT}/limits/{{id}}"
ROUTES = [
    Route("GET", f"{_ALL}/model", model, rule="identity:get_limit_model",
          view=Told("model", whole=record({"name": answers.TEXT, "description": answers.TEXT}))),
    Route("GET", _ALL, list_all, rule="identity:list_limits", unit="read", view=VIEW.many("limits", keystone_links)),
    Route("POST", _ALL, create, rule="identity:create_limits", body=_NEW, success=201, unit="write",
          view=VIEW.many("limits")),
    Route("GET", _ONE, show, rule="identity:get_limit", policy_in_handler=True, unit="read", view=VIEW.one("limit")),
    Route("PATCH", _ONE, change, rule="identity:update_limit", body=_CHANGE, unit="write", view=VIEW.one("limit")),
    Route("DELETE", _ONE, remove, rule="identity:delete_limit", success=204, unit="write"),
]  # fmt: skip
