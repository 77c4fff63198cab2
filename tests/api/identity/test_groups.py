"""Groups: who is in them, and what everybody in them may do by that."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import PASSWORD, Ask, project_scope


@pytest.fixture
def group(ask: Ask, admin: str) -> str:
    made = ask(admin, "POST", "/groups", {"group": {"name": "crew", "description": None}})
    assert made.status_code == 201
    return str(made.json["group"]["id"])


@pytest.fixture
def carol(ask: Ask, admin: str) -> str:
    """A user without any role."""
    return str(ask(admin, "POST", "/users", {"user": {"name": "carol", "password": PASSWORD}}).json["user"]["id"])


def test_the_life_of_a_group(ask: Ask, admin: str, group: str) -> None:
    shown = ask(admin, "GET", f"/groups/{group}").json["group"]
    assert {name: shown[name] for name in ("name", "domain_id", "description")} == {
        "name": "crew", "domain_id": "default", "description": "",
    }  # fmt: skip
    assert ask(admin, "POST", "/groups", {"group": {"name": "crew"}}).status_code == 409
    assert ask(admin, "PATCH", f"/groups/{group}", {"group": {"name": "staff"}}).json["group"]["name"] == "staff"
    assert [one["id"] for one in ask(admin, "GET", "/groups?name=staff").json["groups"]] == [group]
    assert ask(admin, "PATCH", f"/groups/{group}", {"group": {"domain_id": "x"}}).status_code == 400
    assert ask(admin, "DELETE", f"/groups/{group}").status_code == 204
    assert ask(admin, "GET", f"/groups/{group}").status_code == 404


def test_members(ask: Ask, admin: str, group: str, carol: str) -> None:
    path = f"/groups/{group}/users/{carol}"
    assert ask(admin, "HEAD", path).status_code == 404
    assert [ask(admin, "PUT", path).status_code for _ in range(2)] == [204, 204]
    assert ask(admin, "HEAD", path).status_code == 204
    assert [one["id"] for one in ask(admin, "GET", f"/groups/{group}/users").json["users"]] == [carol]
    assert [one["id"] for one in ask(admin, "GET", f"/users/{carol}/groups").json["groups"]] == [group]
    assert ask(admin, "DELETE", path).status_code == 204
    assert ask(admin, "DELETE", path).status_code == 404
    assert ask(admin, "GET", f"/users/{carol}/groups").json["groups"] == []


def test_a_role_of_a_group_is_one_of_its_members_until_it_is_taken(
    ask: Ask, admin: str, group: str, carol: str, member: dict[str, str], log_in: Ask
) -> None:
    grant = f"/projects/{member['project']}/groups/{group}/roles/{member['role']}"
    assert ask(admin, "PUT", grant).status_code == 204
    assert log_in("carol", scope=project_scope("demo")).status_code == 401
    ask(admin, "PUT", f"/groups/{group}/users/{carol}")
    token = log_in("carol", scope=project_scope("demo"))
    assert {role["name"] for role in token.json["token"]["roles"]} == {"member", "reader"}
    mine = token.headers["X-Subject-Token"]
    assert [one["name"] for one in ask(mine, "GET", "/auth/projects").json["projects"]] == ["demo"]
    direct = f"/projects/{member['project']}/users/{carol}/roles"
    assert ask(admin, "GET", direct).json["roles"] == []
    assert ask(admin, "HEAD", grant).status_code == 204
    assert ask(admin, "DELETE", grant).status_code == 204
    assert ask(mine, "GET", "/auth/projects").status_code == 401
    assert ask(admin, "HEAD", grant).status_code == 404


@pytest.mark.parametrize("way", ["out", "gone"])
def test_who_leaves_a_group_is_logged_out(
    ask: Ask, admin: str, group: str, carol: str, member: dict[str, str], log_in: Ask, way: str
) -> None:
    ask(admin, "PUT", f"/projects/{member['project']}/groups/{group}/roles/{member['role']}")
    ask(admin, "PUT", f"/groups/{group}/users/{carol}")
    mine = log_in("carol", scope=project_scope("demo")).headers["X-Subject-Token"]
    path = f"/groups/{group}/users/{carol}" if way == "out" else f"/groups/{group}"
    assert ask(admin, "DELETE", path).status_code == 204
    assert ask(mine, "GET", "/auth/projects").status_code == 401


def test_assignments_of_groups(ask: Ask, admin: str, group: str, carol: str, member: dict[str, str]) -> None:
    ask(admin, "PUT", f"/projects/{member['project']}/groups/{group}/roles/{member['role']}")
    ask(admin, "PUT", f"/groups/{group}/users/{carol}")

    def listed(query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(admin, "GET", f"/role_assignments?{query}").json["role_assignments"]
        return found

    (given,) = listed(f"group.id={group}&include_names")
    assert (given["group"]["name"], given["scope"]["project"]["name"]) == ("crew", "demo")
    assert listed(f"user.id={carol}") == []
    effective = listed(f"user.id={carol}&effective&include_names")
    assert {one["role"]["name"] for one in effective} == {"member", "reader"}
    assert {one["user"]["name"] for one in effective} == {"carol"}


def test_members_do_not_manage_groups(ask: Ask, group: str, member: dict[str, str]) -> None:
    token, path = member["token"], f"/groups/{group}/users/{member['user']}"
    assert ask(token, "PUT", path).status_code == 403
    assert ask(token, "GET", "/groups").status_code == 403
    assert ask(token, "GET", f"/users/{member['user']}/groups").json["groups"] == []


def test_groups_end_with_their_domain(ask: Ask, admin: str) -> None:
    domain = ask(admin, "POST", "/domains", {"domain": {"name": "d", "enabled": False}}).json["domain"]["id"]
    made = ask(admin, "POST", "/groups", {"group": {"name": "crew", "domain_id": domain}}).json["group"]["id"]
    assert ask(admin, "DELETE", f"/domains/{domain}").status_code == 204
    assert ask(admin, "GET", f"/groups/{made}").status_code == 404
