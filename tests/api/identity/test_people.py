"""Projects, users, roles, domains and application credentials, as admins and as members see them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from .conftest import Ask, project_scope


@pytest.mark.parametrize(
    ("noun", "body", "change"),
    [
        ("project", {"name": "p", "description": "d", "tags": ["a"]}, {"description": "e", "enabled": False}),
        ("user", {"name": "u", "email": "u@example.org", "password": "x"}, {"email": None, "description": "e"}),
        ("role", {"name": "r", "description": None}, {"name": "q"}),
        ("domain", {"name": "d", "enabled": False}, {"description": "e"}),
    ],
)
def test_the_life_of_each_noun(ask: Ask, admin: str, noun: str, body: dict[str, Any], change: dict[str, Any]) -> None:
    made = ask(admin, "POST", f"/{noun}s", {noun: body})
    assert made.status_code == 201
    item = made.json[noun]
    assert "password" not in made.text.replace("password_expires_at", "")
    assert ask(admin, "POST", f"/{noun}s", {noun: body}).status_code == 409
    assert ask(admin, "GET", f"/{noun}s/{item['id']}").json[noun] == item
    named = ask(admin, "GET", f"/{noun}s?name={body['name']}").json
    assert named[f"{noun}s"] == [item]
    assert named["links"]["self"].endswith(f"/identity/v3/{noun}s")
    changed = ask(admin, "PATCH", f"/{noun}s/{item['id']}", {noun: change})
    assert {key: changed.json[noun][key] for key in change} == change
    assert ask(admin, "DELETE", f"/{noun}s/{item['id']}").status_code == 204
    assert ask(admin, "GET", f"/{noun}s/{item['id']}").status_code == 404


@pytest.mark.parametrize(
    ("noun", "body", "field"),
    [
        ("project", {}, "name"),
        ("project", {"name": ""}, "name"),
        ("project", {"name": "x" * 256}, "name"),
        ("project", {"name": "p", "enabled": "yes"}, "enabled"),
        ("project", {"name": "p", "tags": ["a,b"]}, "tags"),
        ("user", {"name": 5}, "name"),
        ("user", {"name": "u", "password": ["x"]}, "password"),
        ("role", {"name": None}, "name"),
        ("domain", {"name": "   "}, "name"),
    ],
)
def test_bad_input_is_400_and_names_the_field(ask: Ask, admin: str, noun: str, body: Any, field: str) -> None:
    answer = ask(admin, "POST", f"/{noun}s", {noun: body})
    assert answer.status_code == 400
    assert field in answer.json["error"]["message"]


ADMIN_ONLY = [
    ("POST", "/projects", {"project": {"name": "x"}}), ("GET", "/projects", None), ("GET", "/users", None),
    ("POST", "/users", {"user": {"name": "x"}}), ("GET", "/roles", None), ("POST", "/roles", {"role": {"name": "x"}}),
    ("GET", "/domains", None), ("GET", "/role_assignments", None), ("GET", "/services", None),
    ("GET", "/endpoints", None), ("DELETE", "/users/{user}", None), ("PUT", "{grant}", None),
    ("PATCH", "/users/{user}", {"user": {"enabled": False}}), ("DELETE", "/projects/{project}", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ONLY)
def test_members_may_not_administer(ask: Ask, member: dict[str, str], method: str, path: str, body: Any) -> None:
    assert ask(member["token"], method, path.format(**member), body).status_code == 403


def test_members_see_themselves_and_their_projects_only(ask: Ask, admin: str, member: dict[str, str]) -> None:
    token = member["token"]
    others = ask(admin, "GET", "/users?name=admin").json["users"][0]["id"]
    foreign = ask(admin, "GET", "/projects?name=admin").json["projects"][0]["id"]
    assert ask(token, "GET", f"/users/{member['user']}").json["user"]["name"] == "alice"
    assert ask(token, "GET", f"/users/{member['user']}/projects").json["projects"][0]["name"] == "demo"
    assert ask(token, "GET", f"/projects/{member['project']}").status_code == 200
    assert ask(token, "GET", f"/users/{others}").status_code == 403
    assert ask(token, "GET", f"/projects/{foreign}").status_code == 403


def test_grants_can_be_checked_listed_and_taken_back(ask: Ask, admin: str, member: dict[str, str]) -> None:
    held = member["grant"].rpartition("/")[0]
    assert ask(admin, "HEAD", member["grant"]).status_code == 204
    assert [role["name"] for role in ask(admin, "GET", held).json["roles"]] == ["member"]
    assert ask(admin, "PUT", member["grant"]).status_code == 204
    assert ask(admin, "DELETE", member["grant"]).status_code == 204
    assert ask(admin, "HEAD", member["grant"]).status_code == 404
    assert ask(admin, "DELETE", member["grant"]).status_code == 404


def test_assignments_list_with_names_and_with_what_they_imply(ask: Ask, admin: str, member: dict[str, str]) -> None:
    query = f"user.id={member['user']}&include_names"
    (row,) = ask(admin, "GET", f"/role_assignments?{query}").json["role_assignments"]
    assert (row["role"]["name"], row["user"]["name"], row["scope"]["project"]["name"]) == ("member", "alice", "demo")
    rows = ask(admin, "GET", f"/role_assignments?{query}&effective").json["role_assignments"]
    assert {one["role"]["name"] for one in rows} == {"member", "reader"}
    system = ask(admin, "GET", "/role_assignments?scope.system=all").json["role_assignments"]
    assert [one["scope"] for one in system] == [{"system": {"all": True}}]
    assert ask(admin, "GET", "/role_assignments?group.id=x").json["role_assignments"] == []


def test_built_in_roles_and_the_default_domain_stay(ask: Ask, admin: str) -> None:
    role = ask(admin, "GET", "/roles?name=admin").json["roles"][0]["id"]
    assert ask(admin, "DELETE", f"/roles/{role}").status_code == 403
    assert ask(admin, "PATCH", f"/roles/{role}", {"role": {"name": "x"}}).status_code == 403
    assert ask(admin, "DELETE", "/domains/default").status_code == 403
    assert ask(admin, "PATCH", "/domains/default", {"domain": {"enabled": False}}).status_code == 403


def test_regions_services_and_endpoints_tell_the_catalogue(ask: Ask, admin: str) -> None:
    assert ask(admin, "GET", "/regions").json["regions"][0]["id"] == "RegionOne"
    (service,) = ask(admin, "GET", "/services?type=compute").json["services"]
    ends = ask(admin, "GET", f"/endpoints?service_id={service['id']}&interface=public").json["endpoints"]
    assert [end["url"] for end in ends] == ["http://localhost/compute/v2.1"]
    assert ask(admin, "GET", f"/services/{service['id']}").json["service"] == service
    assert ask(admin, "GET", "/services/none").status_code == 404


def _credential(ask: Ask, member: dict[str, str], **more: Any) -> Any:
    path = f"/users/{member['user']}/application_credentials"
    return ask(member["token"], "POST", path, {"application_credential": {"name": "ci", **more}})


def _log_in_with(client: FlaskClient, secret: str, **which: Any) -> Any:
    identity = {"methods": ["application_credential"], "application_credential": {"secret": secret, **which}}
    return client.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity}})


def test_an_application_credential_logs_a_program_in(ask: Ask, client: FlaskClient, member: dict[str, str]) -> None:
    made = _credential(ask, member).json["application_credential"]
    by_id = _log_in_with(client, made["secret"], id=made["id"])
    by_name = _log_in_with(client, made["secret"], name="ci", user={"name": "alice", "domain": {"id": "default"}})
    assert by_id.json["token"]["project"]["name"] == by_name.json["token"]["project"]["name"] == "demo"
    assert _log_in_with(client, "wrong", id=made["id"]).status_code == 401
    path = f"/users/{member['user']}/application_credentials"
    listed = ask(member["token"], "GET", path)
    assert [one["name"] for one in listed.json["application_credentials"]] == ["ci"]
    assert made["secret"] not in listed.text
    assert ask(member["token"], "DELETE", f"{path}/{made['id']}").status_code == 204
    assert ask(by_id.headers["X-Subject-Token"], "GET", "/auth/projects").status_code == 401
    assert _log_in_with(client, made["secret"], id=made["id"]).status_code == 401


def test_a_credential_never_has_more_than_its_maker_gave(
    ask: Ask, client: FlaskClient, log_in: Ask, member: dict[str, str]
) -> None:
    assert _credential(ask, member, roles=[{"name": "admin"}]).status_code == 400
    made = _credential(ask, member, roles=[{"name": "reader"}]).json["application_credential"]
    answer = _log_in_with(client, made["secret"], id=made["id"])
    assert [role["name"] for role in answer.json["token"]["roles"]] == ["reader"]
    token = answer.headers["X-Subject-Token"]
    path = f"/users/{member['user']}/application_credentials"
    assert ask(token, "POST", path, {"application_credential": {"name": "more"}}).status_code == 403
    rescoped = {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": project_scope("demo")}
    again = client.post("/identity/v3/auth/tokens", json={"auth": rescoped})
    assert [role["name"] for role in again.json["token"]["roles"]] == ["reader"]
    rescoped["scope"] = "unscoped"
    assert client.post("/identity/v3/auth/tokens", json={"auth": rescoped}).status_code == 401


def test_credentials_of_others_are_out_of_reach(ask: Ask, admin: str, member: dict[str, str]) -> None:
    others = ask(admin, "GET", "/users?name=admin").json["users"][0]["id"]
    path = f"/users/{others}/application_credentials"
    assert ask(member["token"], "GET", path).status_code == 403
    body = {"application_credential": {"name": "x"}}
    assert ask(member["token"], "POST", path, body).status_code == 403
