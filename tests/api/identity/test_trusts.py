"""Trusts: a user lets another act with some of the own roles in a project."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import PASSWORD, Ask, password_body


@pytest.fixture
def carol(ask: Ask, admin: str) -> str:
    """The trustee: a user without any role."""
    return str(ask(admin, "POST", "/users", {"user": {"name": "carol", "password": PASSWORD}}).json["user"]["id"])


def wanted(member: dict[str, str], trustee: str, **more: Any) -> dict[str, Any]:
    body = {
        "trustor_user_id": member["user"], "trustee_user_id": trustee, "project_id": member["project"],
        "impersonation": True, "roles": [{"name": "reader"}],
    }  # fmt: skip
    return {"trust": {**body, **more}}


@pytest.fixture
def trust(ask: Ask, member: dict[str, str], carol: str) -> dict[str, Any]:
    made = ask(member["token"], "POST", "/OS-TRUST/trusts", wanted(member, carol))
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json["trust"]
    return found


def scope(trust: dict[str, Any]) -> dict[str, Any]:
    return {"OS-TRUST:trust": {"id": trust["id"]}}


def test_the_trustee_acts_in_the_trustors_name_with_the_roles_given(
    ask: Ask, log_in: Ask, member: dict[str, str], trust: dict[str, Any], carol: str
) -> None:
    assert [role["name"] for role in trust["roles"]] == ["reader"]
    token = log_in("carol", scope=scope(trust))
    assert token.status_code == 201, token.text
    told = token.json["token"]
    assert told["user"]["id"] == member["user"]
    assert told["project"]["id"] == member["project"]
    assert [role["name"] for role in told["roles"]] == ["reader"]
    assert told["OS-TRUST:trust"]["trustee_user"] == {"id": carol}
    shown = ask(token.headers["X-Subject-Token"], "GET", f"/users/{member['user']}")
    assert shown.status_code == 200


def test_without_impersonation_the_token_is_the_trustees(
    ask: Ask, log_in: Ask, member: dict[str, str], carol: str
) -> None:
    body = wanted(member, carol, impersonation=False)
    made = ask(member["token"], "POST", "/OS-TRUST/trusts", body).json["trust"]
    told = log_in("carol", scope=scope(made)).json["token"]
    assert (told["user"]["id"], told["project"]["id"]) == (carol, member["project"])


def test_a_trust_is_for_its_trustee(log_in: Ask, trust: dict[str, Any]) -> None:
    assert log_in("admin", scope=scope(trust)).status_code == 403
    assert log_in("alice", scope=scope(trust)).status_code == 403
    assert log_in("carol", scope={"OS-TRUST:trust": {"id": "none"}}).status_code == 403


def test_what_is_taken_from_the_trustor_is_taken_from_the_trust(
    ask: Ask, admin: str, log_in: Ask, member: dict[str, str], trust: dict[str, Any]
) -> None:
    mine = log_in("carol", scope=scope(trust)).headers["X-Subject-Token"]
    assert ask(admin, "DELETE", member["grant"]).status_code == 204
    assert ask(mine, "GET", "/auth/projects").status_code == 401
    assert log_in("carol", scope=scope(trust)).status_code == 401


def test_a_disabled_trustee_acts_no_more(ask: Ask, admin: str, log_in: Ask, trust: dict[str, Any], carol: str) -> None:
    mine = log_in("carol", scope=scope(trust)).headers["X-Subject-Token"]
    assert ask(mine, "GET", "/auth/projects").status_code == 200
    assert ask(admin, "PATCH", f"/users/{carol}", {"user": {"enabled": False}}).status_code == 200
    assert ask(mine, "GET", "/auth/projects").status_code == 401


def test_the_end_of_a_trust_is_the_end_of_its_tokens(
    ask: Ask, log_in: Ask, member: dict[str, str], trust: dict[str, Any], carol: str
) -> None:
    path = f"/OS-TRUST/trusts/{trust['id']}"
    mine = log_in("carol", scope=scope(trust)).headers["X-Subject-Token"]
    own = log_in("carol", scope="unscoped").headers["X-Subject-Token"]
    assert ask(own, "GET", path).json["trust"]["id"] == trust["id"]
    assert ask(own, "DELETE", path).status_code == 403
    assert ask(member["token"], "DELETE", path).status_code == 204
    assert ask(mine, "GET", "/auth/projects").status_code == 401
    assert ask(member["token"], "GET", path).status_code == 404


def test_uses_are_counted(ask: Ask, log_in: Ask, member: dict[str, str], carol: str) -> None:
    made = ask(member["token"], "POST", "/OS-TRUST/trusts", wanted(member, carol, remaining_uses=1)).json["trust"]
    mine = log_in("carol", scope=scope(made))
    assert mine.status_code == 201
    assert ask(mine.headers["X-Subject-Token"], "GET", "/auth/projects").status_code == 200
    assert log_in("carol", scope=scope(made)).status_code == 403
    assert ask(member["token"], "GET", f"/OS-TRUST/trusts/{made['id']}").status_code == 404


def test_a_token_of_a_trust_makes_nothing_that_outlives_it(
    ask: Ask, client: Any, log_in: Ask, member: dict[str, str], trust: dict[str, Any], carol: str
) -> None:
    mine = log_in("carol", scope=scope(trust)).headers["X-Subject-Token"]
    assert ask(mine, "POST", "/OS-TRUST/trusts", wanted(member, carol)).status_code == 403
    new = {"application_credential": {"name": "kept"}}
    assert ask(mine, "POST", f"/users/{member['user']}/application_credentials", new).status_code == 403
    assert ask(mine, "POST", f"/users/{member['user']}/credentials/OS-EC2", {"tenant_id": member["project"]})
    again = password_body("carol", PASSWORD)
    again["auth"]["identity"] = {"methods": ["token"], "token": {"id": mine}}
    assert client.post("/identity/v3/auth/tokens", json=again).status_code == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"roles": []}, 403), ({"roles": [{"name": "admin"}]}, 403), ({"roles": [{"name": "none"}]}, 404),
        ({"trustor_user_id": "other"}, 403), ({"trustee_user_id": "none"}, 404), ({"project_id": None}, 400),
        ({"project_id": "none"}, 404), ({"expires_at": "2001-01-01T00:00:00Z"}, 400), ({"expires_at": "soon"}, 400),
        ({"remaining_uses": 0}, 400), ({"allow_redelegation": True}, 403), ({"impersonation": "yes"}, 400),
    ],
)  # fmt: skip
def test_what_is_no_trust(ask: Ask, member: dict[str, str], carol: str, change: dict[str, Any], status: int) -> None:
    assert ask(member["token"], "POST", "/OS-TRUST/trusts", wanted(member, carol, **change)).status_code == status


def test_who_sees_trusts(
    ask: Ask, admin: str, log_in: Ask, member: dict[str, str], trust: dict[str, Any], carol: str
) -> None:
    own = log_in("carol", scope="unscoped").headers["X-Subject-Token"]
    path = "/OS-TRUST/trusts"
    assert [one["id"] for one in ask(admin, "GET", path).json["trusts"]] == [trust["id"]]
    assert ask(member["token"], "GET", path).status_code == 403
    assert len(ask(member["token"], "GET", f"{path}?trustor_user_id={member['user']}").json["trusts"]) == 1
    assert len(ask(own, "GET", f"{path}?trustee_user_id={carol}").json["trusts"]) == 1
    assert ask(own, "GET", f"{path}?trustor_user_id={member['user']}").status_code == 403
    role = trust["roles"][0]["id"]
    assert ask(own, "HEAD", f"{path}/{trust['id']}/roles/{role}").status_code == 200
    assert ask(own, "GET", f"{path}/{trust['id']}/roles/{member['role']}").status_code == 404
