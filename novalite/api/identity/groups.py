"""Groups, who is in them, and the roles given to them."""

from __future__ import annotations

from novalite.api.identity.roles import grant_routes, target
from novalite.api.identity.shapes import ID, NAME, ROOT, TEXT, filters, links, refuse_change, values
from novalite.api.identity.users import USER
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import groups, policy, users
from novalite.cloud.identity.group_records import Group
from novalite.cloud.identity.records import DEFAULT_DOMAIN, Role, User

GROUP = View(Field("id"), Field("name"), Field("domain_id"), Field("description"), links("groups"))
_NEW = Body("group", Item("name", NAME, required=True), Item("description", TEXT), Item("domain_id", ID), extra=True)
_CHANGE = Body("group", Item("name", NAME), Item("description", TEXT), Item("domain_id", ID), extra=True)


def create(call: Call) -> Group:
    body = call.body
    return groups.create(
        call.w, body["name"], domain_id=body.get("domain_id") or DEFAULT_DOMAIN,
        description=body.get("description") or "",
    )  # fmt: skip


def list_all(call: Call) -> list[Group]:
    return groups.find(call.w, filters(call, "name domain_id"))


def list_of_user(call: Call) -> list[Group]:
    user_id = call.path["user_id"]
    policy.require("identity:list_groups_for_user", call.ctx, user_id=user_id)
    users.get(call.w, user_id)
    return groups.find(call.w, filters(call, "name"), user_id=user_id)


def show(call: Call) -> Group:
    return groups.get(call.w, call.path["group_id"])


def update(call: Call) -> Group:
    group_id = call.path["group_id"]
    refuse_change(call, "domain_id", lambda: groups.get(call.w, group_id).domain_id)
    changes = values(call, "name description")
    if "description" in changes:
        changes["description"] = changes["description"] or ""
    return groups.update(call.w, group_id, changes)


def remove(call: Call) -> None:
    groups.remove(call.w, call.path["group_id"])


def list_members(call: Call) -> list[User]:
    return groups.members(call.w, call.path["group_id"])


def add_member(call: Call) -> None:
    groups.add_user(call.w, call.path["group_id"], call.path["user_id"])


def check_member(call: Call) -> None:
    policy.require("identity:check_user_in_group", call.ctx, user_id=call.path["user_id"])
    groups.check_user(call.w, call.path["group_id"], call.path["user_id"])


def remove_member(call: Call) -> None:
    groups.remove_user(call.w, call.path["group_id"], call.path["user_id"])


def grant(call: Call) -> None:
    groups.grant(call.w, call.path["group_id"], *target(call), call.path["role_id"])


def revoke(call: Call) -> None:
    groups.revoke(call.w, call.path["group_id"], *target(call), call.path["role_id"])


def check(call: Call) -> None:
    groups.check(call.w, call.path["group_id"], *target(call), call.path["role_id"])


def list_held(call: Call) -> list[Role]:
    return groups.held(call.w, call.path["group_id"], *target(call))


_ALL, _ONE = f"{ROOT}/groups", f"{ROOT}/groups/{{group_id}}"
_MEMBER = f"{_ONE}/users/{{user_id}}"
ROUTES = [
    Route("POST", _ALL, create, rule="identity:create_group", body=_NEW, success=201, view=GROUP.one("group"),
          unit="write"),
    Route("GET", _ALL, list_all, rule="identity:list_groups", unit="read", view=GROUP.many("groups", keystone_links)),
    Route("GET", _ONE, show, rule="identity:get_group", unit="read", view=GROUP.one("group")),
    Route("PATCH", _ONE, update, rule="identity:update_group", body=_CHANGE, view=GROUP.one("group"), unit="write"),
    Route("DELETE", _ONE, remove, rule="identity:delete_group", success=204, unit="write"),
    Route("GET", f"{_ONE}/users", list_members, rule="identity:list_users_in_group", unit="read",
          view=USER.many("users", keystone_links)),
    Route("PUT", _MEMBER, add_member, rule="identity:add_user_to_group", success=204, unit="write"),
    Route("HEAD", _MEMBER, check_member, rule="identity:check_user_in_group", policy_in_handler=True, success=204,
          unit="read"),
    Route("GET", _MEMBER, check_member, rule="identity:check_user_in_group", policy_in_handler=True, success=204,
          unit="read"),
    Route("DELETE", _MEMBER, remove_member, rule="identity:remove_user_from_group", success=204, unit="write"),
    Route("GET", f"{ROOT}/users/{{user_id}}/groups", list_of_user, rule="identity:list_groups_for_user",
          policy_in_handler=True, unit="read", view=GROUP.many("groups", keystone_links)),
    *grant_routes("groups/{group_id}", list_held, grant, check, revoke),
]  # fmt: skip
