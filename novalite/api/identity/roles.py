"""Roles, and giving them to users on projects, domains and the system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from novalite.api.identity.shapes import NAME, OPTIONS, ROOT, TEXT, constant, flag, links, values
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Handler, Route
from novalite.api.kit.view import Field, Page, View
from novalite.cloud.identity import domains, groups, projects, roles, users
from novalite.cloud.identity.group_records import GroupAssignment
from novalite.cloud.identity.records import Assignment, Role
from novalite.db.work import Work

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


def target(call: Call) -> tuple[str, str]:
    for kind in ("project", "domain"):
        if f"{kind}_id" in call.path:
            return kind, call.path[f"{kind}_id"]
    return "system", roles.SYSTEM


def grant(call: Call) -> None:
    roles.grant(call.w, call.path["user_id"], *target(call), call.path["role_id"])


def revoke(call: Call) -> None:
    roles.revoke(call.w, call.path["user_id"], *target(call), call.path["role_id"])


def check(call: Call) -> None:
    roles.check(call.w, call.path["user_id"], *target(call), call.path["role_id"])


def list_held(call: Call) -> list[Role]:
    users.get(call.w, call.path["user_id"])
    return roles.held_directly(call.w, call.path["user_id"], *target(call))


def grant_routes(holder: str, list_held: Handler, grant: Handler, check: Handler, revoke: Handler) -> list[Route]:
    """The operations on roles that ``holder`` (the part of the path that names it) has in each kind of place."""

    def routes(where: str) -> list[Route]:
        held = f"{ROOT}/{where}/{holder}/roles"
        one = held + "/{role_id}"
        return [
            Route("GET", held, list_held, rule="identity:list_grants", unit="read",
                  view=ROLE.many("roles", keystone_links)),
            Route("PUT", one, grant, rule="identity:create_grant", success=204, unit="write"),
            Route("HEAD", one, check, rule="identity:check_grant", success=204, unit="read"),
            Route("GET", one, check, rule="identity:check_grant", success=204, unit="read"),
            Route("DELETE", one, revoke, rule="identity:revoke_grant", success=204, unit="write"),
        ]  # fmt: skip

    return [route for where in ("projects/{project_id}", "domains/{domain_id}", "system") for route in routes(where)]


def _wanted(call: Call) -> dict[str, str]:
    """The filters as columns."""
    query = call.query
    names = (("user.id", "user_id"), ("group.id", "group_id"), ("role.id", "role_id"))
    found = {key: query[name] for name, key in names if name in query}
    for name, kind in (("scope.project.id", "project"), ("scope.domain.id", "domain")):
        if name in query:
            found |= {"target_kind": kind, "target_id": query[name]}
    if "scope.system" in query:
        found |= {"target_kind": "system"}
    return found


def list_assignments(call: Call) -> dict[str, Any]:
    wanted, effective = _wanted(call), bool(flag(call, "effective"))
    role_id = wanted.pop("role_id", None) if effective else None
    names = _Names(call) if flag(call, "include_names") else None
    shown = []
    for actor, row in _given(call.w, wanted, effective=effective):
        given = [roles.get(call.w, row.role_id)]
        for role in roles.effective(call.w, given) if effective else given:
            if role_id in (None, role.id):
                shown.append(_assignment(call, actor, row, role, names))
    unique = {str(one): one for one in shown}
    return {"role_assignments": list(unique.values()), **keystone_links(call, "role_assignments", Page(shown))}


Actor = tuple[str, str]
"""Who has a role: user or group, and its id."""
Given = Assignment | GroupAssignment


def _given(w: Work, wanted: dict[str, str], *, effective: bool) -> list[tuple[Actor, Given]]:
    """Assignments that fit; effective ones are those of each member instead of the group's."""
    by_user = {name: value for name, value in wanted.items() if name != "group_id"}
    by_group = {name: value for name, value in wanted.items() if name != "user_id"}
    found: list[tuple[Actor, Given]] = []
    if "group_id" not in wanted:
        found += [(("user", row.user_id), row) for row in roles.assignments(w, by_user)]
    if not effective:
        if "user_id" not in wanted:
            found += [(("group", row.group_id), row) for row in groups.assignments(w, by_group)]
        return found
    rows = groups.assignments(w, by_group)
    members = groups.ids_of_members(w, {row.group_id for row in rows})
    of_members = ((("user", user_id), row) for row in rows for user_id in members[row.group_id])
    return found + [one for one in of_members if wanted.get("user_id", one[0][1]) == one[0][1]]


class _Names:
    """Names beside ids, for ``include_names``."""

    def __init__(self, call: Call) -> None:
        self._w = call.w

    def domain(self, domain_id: str) -> dict[str, str]:
        return {"id": domain_id, "name": domains.get(self._w, domain_id).name}

    def user(self, user_id: str) -> dict[str, Any]:
        user = users.get(self._w, user_id)
        return {"id": user_id, "name": user.name, "domain": self.domain(user.domain_id)}

    def group(self, group_id: str) -> dict[str, Any]:
        group = groups.get(self._w, group_id)
        return {"id": group_id, "name": group.name, "domain": self.domain(group.domain_id)}

    def project(self, project_id: str) -> dict[str, Any]:
        project = projects.get(self._w, project_id)
        return {"id": project_id, "name": project.name, "domain": self.domain(project.domain_id)}


def _only_id(item_id: str) -> dict[str, Any]:
    return {"id": item_id}


def _assignment(call: Call, actor: Actor, row: Given, role: Role, names: _Names | None) -> dict[str, Any]:
    tell: dict[str, Callable[[str], dict[str, Any]]] = {
        "user": names.user if names else _only_id,
        "group": names.group if names else _only_id,
        "project": names.project if names else _only_id,
        "domain": names.domain if names else _only_id,
    }
    kind = row.target_kind
    scope: dict[str, Any] = {"system": {"all": True}} if kind == "system" else {kind: tell[kind](row.target_id)}
    where = "system" if kind == "system" else f"{kind}s/{row.target_id}"
    link = call.link(f"{ROOT}/{where}/{actor[0]}s/{actor[1]}/roles/{row.role_id}")
    return {
        "role": {"id": role.id, "name": role.name} if names else {"id": role.id},
        actor[0]: tell[actor[0]](actor[1]),
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
    *grant_routes("users/{user_id}", list_held, grant, check, revoke),
    Route("GET", f"{ROOT}/role_assignments", list_assignments, rule="identity:list_role_assignments",
          unit="read"),
]  # fmt: skip
