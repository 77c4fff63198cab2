"""Tokens: how one is asked for, what it says, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from novalite.cloud.identity.records import Token, User
from novalite.context import internal
from novalite.db.work import Database

from .conftest import PASSWORD, Ask, password_body, project_scope


def test_version_documents_need_no_token(client: FlaskClient) -> None:
    many, one = client.get("/identity/"), client.get("/identity/v3/")
    assert (many.status_code, one.status_code) == (300, 200)
    assert many.json["versions"]["values"] == [one.json["version"]]
    assert one.json["version"]["links"][0]["href"] == "http://localhost/identity/v3/"


def test_a_password_gives_a_token_in_the_users_own_project(log_in: Ask) -> None:
    answer = log_in("admin")
    token = answer.json["token"]
    assert answer.status_code == 201
    assert (token["project"]["name"], token["user"]["name"], token["methods"]) == ("admin", "admin", ["password"])
    assert {role["name"] for role in token["roles"]} == {"admin", "manager", "member", "reader"}
    public = [end["url"] for entry in token["catalog"] for end in entry["endpoints"] if end["interface"] == "public"]
    assert public == ["http://localhost/identity/v3", "http://localhost/compute/v2.1"]


@pytest.mark.parametrize(
    ("scope", "key"),
    [(project_scope("admin"), "project"), ({"system": {"all": True}}, "system"), ("unscoped", None)],
)
def test_each_scope(log_in: Ask, scope: Any, key: str | None) -> None:
    token = log_in("admin", scope=scope).json["token"]
    assert [name for name in ("project", "system", "domain", "roles") if name in token] == (
        [key, "roles"] if key else []
    )


def test_a_wrong_name_and_a_wrong_password_read_the_same(log_in: Ask) -> None:
    wrong_password, wrong_name = log_in("admin", "nonsense"), log_in("nobody", "nonsense")
    assert wrong_password.status_code == wrong_name.status_code == 401
    assert wrong_password.json == wrong_name.json


def test_a_name_that_failed_often_waits(log_in: Ask) -> None:
    for _ in range(5):
        log_in("admin", "nonsense")
    assert log_in("admin").status_code == 401
    assert "Too many" in log_in("admin").json["error"]["message"]


def test_a_scope_without_a_role_is_refused(log_in: Ask, member: dict[str, str]) -> None:
    assert log_in("alice", scope=project_scope("admin")).status_code == 401
    assert log_in("alice", scope={"system": {"all": True}}).status_code == 401
    assert log_in("alice", scope=project_scope("nothing")).status_code == 401


def test_a_token_can_be_shown_rescoped_and_ended(ask: Ask, client: FlaskClient, member: dict[str, str]) -> None:
    token = member["token"]
    shown = ask(token, "GET", "/auth/tokens?nocatalog", **{"X-Subject-Token": token})
    assert shown.json["token"]["user"]["id"] == member["user"]
    assert "catalog" not in shown.json["token"]
    assert ask(token, "HEAD", "/auth/tokens", **{"X-Subject-Token": token}).status_code == 200
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": project_scope("demo")}}
    again = client.post("/identity/v3/auth/tokens", json=body)
    assert again.json["token"]["methods"] == ["password", "token"]
    assert again.json["token"]["expires_at"] == shown.json["token"]["expires_at"]
    assert ask(token, "DELETE", "/auth/tokens", **{"X-Subject-Token": token}).status_code == 204
    assert ask(token, "GET", "/auth/projects").status_code == 401


def test_only_admins_see_the_tokens_of_others(ask: Ask, admin: str, member: dict[str, str]) -> None:
    assert ask(member["token"], "GET", "/auth/tokens", **{"X-Subject-Token": admin}).status_code == 403
    assert ask(admin, "GET", "/auth/tokens", **{"X-Subject-Token": member["token"]}).status_code == 200
    assert ask(admin, "GET", "/auth/tokens", **{"X-Subject-Token": "dead"}).status_code == 404


LOSSES = {
    "role taken away": ("DELETE", "{grant}", None),
    "user disabled": ("PATCH", "/users/{user}", {"user": {"enabled": False}}),
    "user deleted": ("DELETE", "/users/{user}", None),
    "password changed": ("PATCH", "/users/{user}", {"user": {"password": "another"}}),
    "project disabled": ("PATCH", "/projects/{project}", {"project": {"enabled": False}}),
    "project deleted": ("DELETE", "/projects/{project}", None),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_ends_a_token_ends_it_at_once(ask: Ask, admin: str, member: dict[str, str], loss: str) -> None:
    method, path, body = LOSSES[loss]
    assert ask(member["token"], "GET", "/auth/projects").status_code == 200
    assert ask(admin, method, path.format(**member), body).status_code in (200, 204)
    assert ask(member["token"], "GET", "/auth/projects").status_code == 401


def test_a_user_changes_the_own_password(ask: Ask, client: FlaskClient, log_in: Ask, member: dict[str, str]) -> None:
    path = f"/identity/v3/users/{member['user']}/password"
    wrong = {"user": {"original_password": "wrong", "password": "new one"}}
    right = {"user": {"original_password": PASSWORD, "password": "new one"}}
    assert client.post(path, json=wrong).status_code == 401
    assert client.post(path, json=right).status_code == 204
    assert ask(member["token"], "GET", "/auth/projects").status_code == 401
    assert log_in("alice", PASSWORD).status_code == 401
    assert log_in("alice", "new one").status_code == 201


def test_what_a_token_could_be_scoped_to(ask: Ask, admin: str, member: dict[str, str]) -> None:
    mine = ask(member["token"], "GET", "/auth/projects").json["projects"]
    assert [project["name"] for project in mine] == ["demo"]
    assert ask(admin, "GET", "/auth/system").json["system"] == [{"all": True}]
    assert ask(member["token"], "GET", "/auth/system").json["system"] == []
    assert ask(member["token"], "GET", "/auth/domains").json["domains"] == []
    assert len(ask(member["token"], "GET", "/auth/catalog").json["catalog"]) == 2


def test_secrets_are_kept_as_hashes(database: Database, admin: str) -> None:
    with database.read(internal()) as w:
        hashes = list(w.session.scalars(sa.select(Token.token_hash)))
        password_hash = w.session.scalar(sa.select(User.password_hash))
    assert admin not in hashes
    assert password_hash is not None
    assert password_hash.startswith("$argon2id$")


BAD = [
    ({}, "auth"),
    ({"auth": {}}, "identity"),
    ({"auth": {"identity": {}}}, "methods"),
    ({"auth": {"identity": {"methods": "password"}}}, "methods"),
    ({"auth": {"identity": {"methods": ["password"]}}}, "password"),
    ({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": 5}}}}}, "name"),
    (password_body("admin", PASSWORD, {"planet": {}}), "planet"),
    (password_body("admin", PASSWORD, {"system": {"all": False}}), "system"),
]


@pytest.mark.parametrize(("body", "names"), BAD)
def test_bad_requests_are_400_and_name_the_field(client: FlaskClient, body: Any, names: str) -> None:
    answer = client.post("/identity/v3/auth/tokens", json=body)
    assert answer.status_code == 400
    assert names in answer.json["error"]["message"]
    assert PASSWORD not in answer.text


def test_a_long_password_is_refused_before_it_is_hashed(client: FlaskClient) -> None:
    answer = client.post("/identity/v3/auth/tokens", json=password_body("admin", "x" * 5000))
    assert answer.status_code == 400
    assert "x" * 100 not in answer.text
