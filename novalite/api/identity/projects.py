"""Projects and their tags."""

from __future__ import annotations

from typing import Any

from novalite.api.identity.shapes import (
    FLAG,
    ID,
    NAME,
    OPTIONS,
    ROOT,
    TEXT,
    constant,
    filters,
    links,
    refuse_change,
    values,
)  # fmt: skip
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import policy, projects, roles
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Project
from novalite.errors import Invalid

TAG = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^,/]*$"}
TAGS = {"type": "array", "items": TAG, "maxItems": 80, "uniqueItems": True}
PROJECT = View(
    Field("id"), Field("name"), Field("domain_id"), Field("description"), Field("enabled"), Field("parent_id"),
    constant("is_domain", False), Field("tags"), Field("options"), links("projects"),
)  # fmt: skip
_CHANGEABLE = (
    Item("description", TEXT), Item("enabled", FLAG), Item("tags", TAGS), Item("options", OPTIONS),
    Item("domain_id", ID), Item("parent_id", {"type": ["string", "null"], "maxLength": 64}),
    Item("is_domain", FLAG),
)  # fmt: skip
_NEW = Body("project", Item("name", NAME, required=True), *_CHANGEABLE, extra=True)
_CHANGE = Body("project", Item("name", NAME), *_CHANGEABLE, extra=True)


def _values(call: Call) -> dict[str, Any]:
    found = values(call, "enabled tags options")
    if "description" in call.body:
        found["description"] = call.body["description"] or ""
    return found


def create(call: Call) -> Project:
    if call.body.get("is_domain"):
        raise Invalid("Make a domain with POST /v3/domains.", field="is_domain")
    return projects.create(
        call.w, call.body["name"], domain_id=call.body.get("domain_id", DEFAULT_DOMAIN),
        parent_id=call.body.get("parent_id") or "", **_values(call),
    )  # fmt: skip


def list_all(call: Call) -> list[Project]:
    if call.query.get("is_domain", "").lower() in ("true", "1"):
        return []
    tags = [tag for text in call.query.getlist("tags") for tag in text.split(",") if tag]
    return projects.find(call.w, filters(call, "name domain_id parent_id id", "enabled"), tags=tags)


def _may_see(call: Call, project_id: str) -> None:
    """Whoever has a role in it may see a project, whatever the token is scoped to; for others the rule counts."""
    if not roles.held(call.w, call.ctx.user_id, "project", project_id):
        policy.require("identity:get_project", call.ctx, project_id=project_id)


def show(call: Call) -> Project:
    _may_see(call, call.path["project_id"])
    return projects.get(call.w, call.path["project_id"])


def update(call: Call) -> Project:
    project = projects.get(call.w, call.path["project_id"])
    refuse_change(call, "domain_id", lambda: project.domain_id)
    refuse_change(call, "parent_id", lambda: project.parent_id)
    return projects.update(call.w, project.id, values(call, "name") | _values(call))


def remove(call: Call) -> None:
    projects.remove(call.w, call.path["project_id"])


_ONE = f"{ROOT}/projects/{{project_id}}"
ROUTES = [
    Route("POST", f"{ROOT}/projects", create, rule="identity:create_project", body=_NEW, success=201,
          view=PROJECT.one("project"), unit="write"),
    Route("GET", f"{ROOT}/projects", list_all, rule="identity:list_projects", unit="read",
          view=PROJECT.many("projects", keystone_links)),
    Route("GET", _ONE, show, rule="identity:get_project", policy_in_handler=True, view=PROJECT.one("project"),
          unit="read"),
    Route("PATCH", _ONE, update, rule="identity:update_project", body=_CHANGE, view=PROJECT.one("project"),
          unit="write"),
    Route("DELETE", _ONE, remove, rule="identity:delete_project", success=204, unit="write"),
]  # fmt: skip
