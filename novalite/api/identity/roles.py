"""Roles, and giving them to users on projects, domains and the system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from novalite.api.identity.shapes import NAME, OPTIONS, ROOT, TEXT, constant, flag, links, values
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View
from novalite.cloud.identity import domains, projects, roles, users
from novalite.cloud.identity.records import Assignment, Role

ROLE = View(
    Field("id"), Field("name"), constant("domain_id", None), Field("description"), Field("options"),
    links("roles"),
)  # fmt: skip
_CHANGEABLE = (
    Item("description", TEXT), Item("options", OPTIONS), Item("domain_id", {"type": "null"}),
)  # fmt: skip
_NEW = Body("role", Item("name", NAME, required=True), *_CHANGEABLE, extra=True)
_CHANGE = Body("role", Item("name", NAME), *_CHANGEABLE, extra=True)


def create(call: Call) -> Role:
    return roles.create(call.w, call.body["name"], **values(call, "description options"))


def list_all(call: Call) -> list[Role]:
    return roles.find(call.w, call.query.get("name"))


def show(call: Call) -> Role:
    return roles.get(call.w, call.path["role_id"])


def update(call: Call) -> Role:
    return roles.update(call.w, call.path["role_id"], values(call, "name description options"))


def remove(call: Call) -> None:
    roles.remove(call.w, call.path["role_id"])


def _target(call: Call) -> tuple[str, str]:
    for kind in ("project", "domain"):
        if f"{kind}_id" in call.path:
            return kind, call.path[f"{kind}_id"]
    return "system", roles.SYSTEM


def grant(call: Call) -> None:
    roles.grant(call.w, call.path["user_id"], *_target(call), call.path["role_id"])


def revoke(call: Call) -> None:
    roles.revoke(call.w, call.path["user_id"], *_target(call), call.path["role_id"])


def check(call: Call) -> None:
    roles.check(call.w, call.path["user_id"], *_target(call), call.path["role_id"])


def list_held(call: Call) -> list[Role]:
    users.get(call.w, call.path["user_id"])
    return roles.held(call.w, call.path["user_id"], *_target(call))


def _grant_routes(target: str) -> list[Route]:
    held = f"{ROOT}/{target}/users/{{user_id}}/roles"
    one = held + "/{role_id}"
    return [
        Route("GET", held, list_held, rule="identity:list_grants", unit="read",
              view=ROLE.many("roles", keystone_links)),
        Route("PUT", one, grant, rule="identity:create_grant", success=204, unit="write"),
        Route("HEAD", one, check, rule="identity:check_grant", success=204, unit="read"),
        Route("GET", one, check, rule="identity:check_grant", success=204, unit="read"),
        Route("DELETE", one, revoke, rule="identity:revoke_grant", success=204, unit="write"),
    ]  # fmt: skip


def _wanted(call: Call) -> dict[str, str] | None:
    """The filters as columns; None when nothing can fit (groups)."""
    query = call.query
    if "group.id" in query:
        return None
    found = {key: query[name] for name, key in (("user.id", "user_id"), ("role.id", "role_id")) if name in query}
    for name, kind in (("scope.project.id", "project"), ("scope.domain.id", "domain")):
        if name in query:
            found |= {"target_kind": kind, "target_id": query[name]}
    if "scope.system" in query:
        found |= {"target_kind": "system"}
    return found


def list_assignments(call: Call) -> dict[str, Any]:
    wanted = _wanted(call)
    effective = bool(flag(call, "effective"))
    role_id = wanted.pop("role_id", None) if wanted and effective else None
    rows = [] if wanted is None else roles.assignments(call.w, wanted)
    names = _Names(call) if flag(call, "include_names") else None
    shown = []
    for row in rows:
        given = [roles.get(call.w, row.role_id)]
        for role in roles.effective(call.w, given) if effective else given:
            if role_id in (None, role.id):
                shown.append(_assignment(call, row, role, names))
    unique = {str(one): one for one in shown}
    return {"role_assignments": list(unique.values()), **keystone_links(call, "role_assignments", Page(shown))}


class _Names:
    """Names beside ids, for ``include_names``."""

    def __init__(self, call: Call) -> None:
        self._w = call.w

    def domain(self, domain_id: str) -> dict[str, str]:
        return {"id": domain_id, "name": domains.get(self._w, domain_id).name}

    def user(self, user_id: str) -> dict[str, Any]:
        user = users.get(self._w, user_id)
        return {"id": user_id, "name": user.name, "domain": self.domain(user.domain_id)}

    def project(self, project_id: str) -> dict[str, Any]:
        project = projects.get(self._w, project_id)
        return {"id": project_id, "name": project.name, "domain": self.domain(project.domain_id)}


def _only_id(item_id: str) -> dict[str, Any]:
    return {"id": item_id}


def _assignment(call: Call, row: Assignment, role: Role, names: _Names | None) -> dict[str, Any]:
    tell: dict[str, Callable[[str], dict[str, Any]]] = {
        "user": names.user if names else _only_id,
        "project": names.project if names else _only_id,
        "domain": names.domain if names else _only_id,
    }
    kind = row.target_kind
    scope: dict[str, Any] = {"system": {"all": True}} if kind == "system" else {kind: tell[kind](row.target_id)}
    where = "system" if kind == "system" else f"{kind}s/{row.target_id}"
    link = call.link(f"{ROOT}/{where}/users/{row.user_id}/roles/{row.role_id}")
    return {
        "role": {"id": role.id, "name": role.name} if names else {"id": role.id},
        "user": tell["user"](row.user_id),
        "scope": scope,
        "links": {"assignment": link},
    }


_ONE = f"{ROOT}/roles/{{role_id}}"
ROUTES = [
    Route("POST", f"{ROOT}/roles", create, rule="identity:create_role", body=_NEW, success=201,
          view=ROLE.one("role"), unit="write"),
    Route("GET", f"{ROOT}/roles", list_all, rule="identity:list_roles", unit="read",
          view=ROLE.many("roles", keystone_links)),
    Route("GET", _ONE, show, rule="identity:get_role", view=ROLE.one("role"), unit="read"),
    Route("PATCH", _ONE, update, rule="identity:update_role", body=_CHANGE, view=ROLE.one("role"), unit="write"),
    Route("DELETE", _ONE, remove, rule="identity:delete_role", success=204, unit="write"),
    *_grant_routes("projects/{project_id}"),
    *_grant_routes("domains/{domain_id}"),
    *_grant_routes("system"),
    Route("GET", f"{ROOT}/role_assignments", list_assignments, rule="identity:list_role_assignments",
          unit="read"),
]  # fmt: skip
