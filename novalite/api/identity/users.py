"""Users, their own password, and the projects they are in."""

from __future__ import annotations

from typing import Any

from novalite.api.identity.projects import PROJECT
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
from novalite.api.kit.routes import PUBLIC, Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import passwords, policy, projects, users
from novalite.cloud.identity.login import Named
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Project, User

USER = View(
    Field("id"), Field("name"), Field("domain_id"), Field("enabled"), Field("email"), Field("description"),
    Field("default_project_id"), constant("password_expires_at", None), Field("options"), links("users"),
)  # fmt: skip
PASSWORD = {"type": ["string", "null"], "maxLength": passwords.LONGEST}
_CHANGEABLE = (
    Item("password", PASSWORD), Item("email", TEXT), Item("description", TEXT), Item("enabled", FLAG),
    Item("default_project_id", {"type": ["string", "null"], "maxLength": 64}), Item("options", OPTIONS),
    Item("domain_id", ID),
)  # fmt: skip
_NEW = Body("user", Item("name", NAME, required=True), *_CHANGEABLE, extra=True)
_CHANGE = Body("user", Item("name", NAME), *_CHANGEABLE, extra=True)
_SECRET = {"type": "string", "maxLength": passwords.LONGEST}
_OWN_PASSWORD = Body(
    "user", Item("original_password", _SECRET, required=True), Item("password", _SECRET, required=True)
)


def _values(call: Call) -> dict[str, Any]:
    """Hashing takes tens of milliseconds, so it happens before any unit is opened."""
    found = values(call, "email description enabled default_project_id options")
    if call.body.get("password"):
        found["password_hash"] = passwords.make_hash(call.body["password"])
    return found


def create(call: Call) -> User:
    given = _values(call)
    with call.parts.database.write(call.ctx) as w:
        domain_id = call.body.get("domain_id", DEFAULT_DOMAIN)
        return users.create(w, call.body["name"], domain_id=domain_id, **given)


def list_all(call: Call) -> list[User]:
    return users.find(call.w, filters(call, "name domain_id id", "enabled"))


def show(call: Call) -> User:
    policy.require("identity:get_user", call.ctx, user_id=call.path["user_id"])
    return users.get(call.w, call.path["user_id"])


def update(call: Call) -> User:
    changes = values(call, "name") | _values(call)
    with call.parts.database.write(call.ctx) as w:
        user = users.get(w, call.path["user_id"])
        refuse_change(call, "domain_id", lambda: user.domain_id)
        return users.update(w, user.id, changes)


def remove(call: Call) -> None:
    users.remove(call.w, call.path["user_id"])


def list_projects(call: Call) -> list[Project]:
    policy.require("identity:list_user_projects", call.ctx, user_id=call.path["user_id"])
    users.get(call.w, call.path["user_id"])
    return projects.of_user(call.w, call.path["user_id"])


def change_own_password(call: Call) -> None:
    """The old password is the credential, as with a login."""
    proof = call.parts.logins.password(Named(id=call.path["user_id"]), call.body["original_password"])
    new_hash = passwords.make_hash(call.body["password"])
    with call.parts.database.write(call.ctx) as w:
        users.update(w, proof.user_id, {"password_hash": new_hash})


_ONE = f"{ROOT}/users/{{user_id}}"
ROUTES = [
    Route("POST", f"{ROOT}/users", create, rule="identity:create_user", body=_NEW, success=201,
          view=USER.one("user")),
    Route("GET", f"{ROOT}/users", list_all, rule="identity:list_users", unit="read",
          view=USER.many("users", keystone_links)),
    Route("GET", _ONE, show, rule="identity:get_user", policy_in_handler=True, view=USER.one("user"),
          unit="read"),
    Route("PATCH", _ONE, update, rule="identity:update_user", body=_CHANGE, view=USER.one("user")),
    Route("DELETE", _ONE, remove, rule="identity:delete_user", success=204, unit="write"),
    Route("GET", f"{_ONE}/projects", list_projects, rule="identity:list_user_projects", unit="read",
          policy_in_handler=True, view=PROJECT.many("projects", keystone_links)),
    Route("POST", f"{_ONE}/password", change_own_password, rule=PUBLIC, body=_OWN_PASSWORD, success=204),
]  # fmt: skip
