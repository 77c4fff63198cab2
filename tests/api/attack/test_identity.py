"""Attacks on identity: tokens that should have ended, guessing, credentials that grow, answers that tell names."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.api.conftest import Appliance

V3 = "/identity/v3"
PASSWORD = "a-long-passphrase"


def log_in(appliance: Appliance, name: str, password: str = PASSWORD, **more: Any) -> Any:
    user = {"name": name, "domain": {"id": "default"}, "password": password}
    identity = {"methods": ["password"], "password": {"user": user}}
    return appliance.client.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity, **more}})


def ids(appliance: Appliance, name: str) -> tuple[str, str]:
    """(user, project) called ``name``."""
    user = appliance.get(f"{V3}/users?name={name}").json["users"][0]["id"]
    project = appliance.get(f"{V3}/projects?name={name}").json["projects"][0]["id"]
    return user, project


def works(appliance: Appliance, token: str) -> bool:
    status = appliance.get("/compute/v2.1/servers", token=token).status_code
    assert status in (200, 401)
    return bool(status == 200)


@pytest.mark.parametrize("end", ["disable user", "disable project", "password", "own password", "role", "delete user",
                                 "delete project", "revoke"])  # fmt: skip
def test_a_token_ends_with_its_reason(appliance: Appliance, end: str) -> None:
    name = "ends-" + end.replace(" ", "-")
    token = appliance.member(name)
    user, project = ids(appliance, name)
    assert works(appliance, token)
    roles = appliance.get(f"{V3}/projects/{project}/users/{user}/roles").json["roles"]
    changes: dict[str, tuple[str, str, Any]] = {
        "disable user": ("PATCH", f"{V3}/users/{user}", {"user": {"enabled": False}}),
        "disable project": ("PATCH", f"{V3}/projects/{project}", {"project": {"enabled": False}}),
        "password": ("PATCH", f"{V3}/users/{user}", {"user": {"password": "another-passphrase"}}),
        "own password": ("POST", f"{V3}/users/{user}/password",
                         {"user": {"original_password": PASSWORD, "password": "another-passphrase"}}),
        "role": ("DELETE", f"{V3}/projects/{project}/users/{user}/roles/{roles[0]['id']}", None),
        "delete user": ("DELETE", f"{V3}/users/{user}", None),
        "delete project": ("DELETE", f"{V3}/projects/{project}", None),
        "revoke": ("DELETE", f"{V3}/auth/tokens", None),
    }  # fmt: skip
    method, path, body = changes[end]
    sent = {} if body is None else {"json": body}
    subject = {"X-Subject-Token": token} if end == "revoke" else {}
    assert appliance.call(method, path, headers=subject, **sent).status_code in (200, 204)
    assert not works(appliance, token)
    if end not in ("password", "own password", "revoke"):
        assert log_in(appliance, name, scope={"project": {"id": project}}).status_code == 401


@pytest.mark.parametrize("method", [[], ["password", "token"], ["saml2"], ["password"] * 5, [1], "password"])
def test_odd_methods_log_nobody_in(appliance: Appliance, method: Any) -> None:
    answer = appliance.client.post(f"{V3}/auth/tokens", json={"auth": {"identity": {"methods": method}}})
    assert answer.status_code in (400, 401)


def test_an_unknown_name_and_a_wrong_password_are_told_alike(appliance: Appliance) -> None:
    appliance.member("known")
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    texts = set()
    for _ in range(4):
        for name, times in took.items():
            begun = time.thread_time()
            answer = log_in(appliance, name, "wrong")
            times.append(time.thread_time() - begun)
            assert answer.status_code == 401
            texts.add(answer.text)
    assert len(texts) == 1
    assert min(took["unknown"]) > 0.3 * min(took["known"])


def test_guessing_is_slowed_down_and_ends_for_the_right_password_too(appliance: Appliance) -> None:
    appliance.member("guessed")
    for _ in range(10):
        assert log_in(appliance, "guessed", "wrong").status_code == 401
    assert log_in(appliance, "guessed").status_code == 401
    assert log_in(appliance, "GUESSED").status_code == 401


@pytest.mark.parametrize("password", ["x" * 5000, "", "\u202e", "a\nb", " "])
def test_odd_passwords_are_no_errors(appliance: Appliance, password: str) -> None:
    assert log_in(appliance, "odd-password-user", password).status_code in (400, 401)


def credential(appliance: Appliance, token: str, user: str, **more: Any) -> Any:
    body = {"application_credential": {"name": f"c{time.monotonic_ns()}", **more}}
    return appliance.post(f"{V3}/users/{user}/application_credentials", body, token=token)


def by_credential(appliance: Appliance, made: dict[str, Any], **more: Any) -> Any:
    secret = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": secret}
    return appliance.client.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity, **more}})


def test_a_credential_does_not_grow(appliance: Appliance) -> None:
    token = appliance.member("maker")
    user, project = ids(appliance, "maker")
    admin_role = appliance.get(f"{V3}/roles?name=admin").json["roles"][0]["id"]
    assert credential(appliance, token, user, roles=[{"id": admin_role}]).status_code == 400
    made = credential(appliance, token, user).json["application_credential"]
    other = appliance.get(f"{V3}/projects?name=admin").json["projects"][0]["id"]
    assert by_credential(appliance, made, scope={"project": {"id": other}}).status_code == 401
    assert by_credential(appliance, made, scope={"system": {"all": True}}).status_code == 401
    grown = by_credential(appliance, made).headers["X-Subject-Token"]
    assert credential(appliance, grown, user).status_code == 403
    renewed = appliance.client.post(
        f"{V3}/auth/tokens", json={"auth": {"identity": {"methods": ["token"], "token": {"id": grown}}}}
    )
    told: Any = renewed.json
    assert told["token"]["project"]["id"] == project
    assert credential(appliance, renewed.headers["X-Subject-Token"], user).status_code == 403
    assert appliance.call("PATCH", f"{V3}/users/{user}", json={"user": {"enabled": False}}).status_code == 200
    assert by_credential(appliance, made).status_code == 401
    assert not works(appliance, grown)


def test_a_restricted_credential_deletes_no_others(appliance: Appliance) -> None:
    token = appliance.member("deleter")
    user, _ = ids(appliance, "deleter")
    made = credential(appliance, token, user).json["application_credential"]
    other = credential(appliance, token, user).json["application_credential"]
    grown = by_credential(appliance, made).headers["X-Subject-Token"]
    path = f"{V3}/users/{user}/application_credentials/{other['id']}"
    assert appliance.call("DELETE", path, token=grown).status_code == 403


def test_nobody_reads_or_makes_the_credentials_of_others(appliance: Appliance, mallory: str) -> None:
    me = appliance.get(f"{V3}/users?name=admin").json["users"][0]["id"]
    mine = credential(appliance, appliance.token(), me).json["application_credential"]["id"]
    assert credential(appliance, mallory, me).status_code == 403
    assert appliance.get(f"{V3}/users/{me}/application_credentials", token=mallory).status_code == 403
    assert appliance.get(f"{V3}/users/{me}/application_credentials/{mine}", token=mallory).status_code in (403, 404)


def test_a_member_does_not_raise_itself(appliance: Appliance, mallory: str) -> None:
    user, project = ids(appliance, "mallory")
    admin_role = appliance.get(f"{V3}/roles?name=admin").json["roles"][0]["id"]
    grant = f"{V3}/projects/{project}/users/{user}/roles/{admin_role}"
    assert appliance.call("PUT", grant, token=mallory).status_code == 403
    for change in ({"enabled": True}, {"default_project_id": "x"}, {"roles": ["admin"]}, {"password": "x"}):
        assert appliance.call("PATCH", f"{V3}/users/{user}", token=mallory, json={"user": change}).status_code == 403
    for scope in ({"system": {"all": True}}, {"project": {"name": "admin", "domain": {"id": "default"}}},
                  {"domain": {"id": "default"}}):  # fmt: skip
        assert log_in(appliance, "mallory", scope=scope).status_code == 401


def test_a_token_of_another_user_is_neither_shown_nor_ended(appliance: Appliance, mallory: str) -> None:
    subject = {"X-Subject-Token": appliance.token()}
    assert appliance.get(f"{V3}/auth/tokens", token=mallory, headers=subject).status_code in (403, 404)
    assert appliance.call("DELETE", f"{V3}/auth/tokens", token=mallory, headers=subject).status_code in (403, 404)
    assert works(appliance, appliance.token())
