"""What operators add to the catalogue, and what users keep here for other protocols."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from novalite.cloud.identity.sealing import KEY_FILE, cipher

from .conftest import Ask, project_scope


def test_a_registered_service_with_an_endpoint_is_in_the_catalogue(ask: Ask, admin: str, log_in: Ask) -> None:
    region = ask(admin, "POST", "/regions", {"region": {"id": "far", "description": "far away"}})
    assert region.status_code == 201
    made = ask(admin, "POST", "/services", {"service": {"type": "object-store", "name": "swift"}})
    assert made.status_code == 201
    service = made.json["service"]
    assert "description" not in service
    endpoint = {"service_id": service["id"], "interface": "public", "url": "http://far/v1", "region_id": "far"}
    made = ask(admin, "POST", "/endpoints", {"endpoint": endpoint})
    assert made.status_code == 201
    assert made.json["endpoint"]["region"] == "far"
    entries = log_in("admin").json["token"]["catalog"]
    (entry,) = [each for each in entries if each["type"] == "object-store"]
    assert [each["url"] for each in entry["endpoints"]] == ["http://far/v1"]
    assert ask(admin, "DELETE", "/regions/far").status_code == 403
    path = f"/services/{service['id']}"
    assert ask(admin, "PATCH", path, {"service": {"enabled": False}}).json["service"]["enabled"] is False
    assert "object-store" not in [each["type"] for each in log_in("admin").json["token"]["catalog"]]
    assert ask(admin, "DELETE", path).status_code == 204
    assert ask(admin, "GET", f"/endpoints/{made.json['endpoint']['id']}").status_code == 404
    assert ask(admin, "DELETE", "/regions/far").status_code == 204


def test_what_the_appliance_has_by_itself_stays(ask: Ask, admin: str) -> None:
    (service,) = ask(admin, "GET", "/services?type=compute").json["services"]
    endpoint = ask(admin, "GET", f"/endpoints?service_id={service['id']}").json["endpoints"][0]
    assert ask(admin, "DELETE", f"/services/{service['id']}").status_code == 403
    assert ask(admin, "PATCH", f"/endpoints/{endpoint['id']}", {"endpoint": {"enabled": False}}).status_code == 403
    assert ask(admin, "POST", "/regions", {"region": {"id": endpoint["region"]}}).status_code == 409


def test_endpoints_of_nothing_are_refused(ask: Ask, admin: str) -> None:
    endpoint = {"service_id": "none", "interface": "public", "url": "http://x/"}
    assert ask(admin, "POST", "/endpoints", {"endpoint": endpoint}).status_code == 400
    (service,) = ask(admin, "GET", "/services?type=compute").json["services"]
    endpoint["service_id"] = service["id"]
    assert ask(admin, "POST", "/endpoints", {"endpoint": {**endpoint, "region_id": "none"}}).status_code == 400
    named = ask(admin, "POST", "/endpoints", {"endpoint": {**endpoint, "region": "new"}})
    assert named.status_code == 201
    assert ask(admin, "GET", "/regions/new").status_code == 200


def test_policies_are_kept(ask: Ask, admin: str, member: dict[str, str]) -> None:
    made = ask(admin, "POST", "/policies", {"policy": {"type": "application/json", "blob": "{}"}})
    assert made.status_code == 201
    path = f"/policies/{made.json['policy']['id']}"
    assert ask(admin, "PATCH", path, {"policy": {"blob": "[]"}}).json["policy"]["blob"] == "[]"
    assert [each["blob"] for each in ask(admin, "GET", "/policies").json["policies"]] == ["[]"]
    assert ask(member["token"], "GET", path).status_code == 403
    assert ask(admin, "DELETE", path).status_code == 204
    assert ask(admin, "GET", path).status_code == 404


@pytest.fixture
def keys(client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key lies."""
    monkeypatch.setattr("novalite.api.identity.credentials.cipher", lambda _: cipher(tmp_path))
    return tmp_path


def test_credentials_are_kept_sealed(ask: Ask, keys: Path, member: dict[str, str], admin: str) -> None:
    blob = json.dumps({"access": "key", "secret": "Very-Secret"})
    body = {"type": "ec2", "blob": blob, "user_id": member["user"], "project_id": member["project"]}
    made = ask(member["token"], "POST", "/credentials", {"credential": body})
    assert made.status_code == 201
    shown = made.json["credential"]
    assert (shown["blob"], shown["id"]) == (blob, hashlib.sha256(b"key").hexdigest())
    assert b"Very-Secret" not in b"".join(file.read_bytes() for file in keys.glob("cloud.db*"))
    assert stat.S_IMODE((keys / KEY_FILE).stat().st_mode) == 0o600
    assert ask(member["token"], "POST", "/credentials", {"credential": body}).status_code == 409
    path = f"/credentials/{shown['id']}"
    other = json.dumps({"access": "key", "secret": "another"})
    assert ask(member["token"], "PATCH", path, {"credential": {"blob": other}}).json["credential"]["blob"] == other
    assert ask(member["token"], "PATCH", path, {"credential": {"type": "cert"}}).status_code == 403
    assert len(ask(admin, "GET", f"/credentials?user_id={member['user']}").json["credentials"]) == 1
    assert ask(member["token"], "DELETE", path).status_code == 204


def test_credentials_of_others_are_not_shown(ask: Ask, keys: Path, member: dict[str, str], admin: str) -> None:
    mine = ask(admin, "GET", "/users?name=admin").json["users"][0]["id"]
    body = {"type": "cert", "blob": "x", "user_id": mine}
    made = ask(admin, "POST", "/credentials", {"credential": body}).json["credential"]
    assert ask(member["token"], "GET", "/credentials").json["credentials"] == []
    assert ask(member["token"], "GET", f"/credentials/{made['id']}").status_code == 403
    assert ask(member["token"], "POST", "/credentials", {"credential": body}).status_code == 403


@pytest.mark.parametrize("blob", ["no json", "{}", "[]", '{"access": 1}', '"text"'])
def test_ec2_blobs_hold_an_access_key(ask: Ask, keys: Path, member: dict[str, str], blob: str) -> None:
    body = {"type": "ec2", "blob": blob, "user_id": member["user"], "project_id": member["project"]}
    assert ask(member["token"], "POST", "/credentials", {"credential": body}).status_code == 400


def test_ec2_credentials_in_their_older_form(ask: Ask, keys: Path, member: dict[str, str], admin: str) -> None:
    path = f"/users/{member['user']}/credentials/OS-EC2"
    made = ask(member["token"], "POST", path, {"tenant_id": member["project"]})
    assert made.status_code == 201
    credential = made.json["credential"]
    assert len(credential["secret"]) == 32
    assert ask(member["token"], "GET", path).json["credentials"] == [credential]
    one = f"{path}/{credential['access']}"
    assert ask(member["token"], "GET", one).json["credential"] == credential
    other = ask(admin, "POST", "/projects", {"project": {"name": "closed"}}).json["project"]["id"]
    assert ask(member["token"], "POST", path, {"tenant_id": other}).status_code == 403
    assert ask(member["token"], "DELETE", one).status_code == 204
    assert ask(member["token"], "GET", one).status_code == 404


def test_credentials_end_with_their_user(ask: Ask, keys: Path, member: dict[str, str], admin: str) -> None:
    path = f"/users/{member['user']}/credentials/OS-EC2"
    ask(member["token"], "POST", path, {"tenant_id": member["project"]})
    assert ask(admin, "DELETE", f"/users/{member['user']}").status_code == 204
    assert ask(admin, "GET", "/credentials").json["credentials"] == []


def test_the_scope_of_a_token_does_not_hide_services(log_in: Ask, member: dict[str, str]) -> None:
    token = log_in("alice", scope=project_scope("demo")).json["token"]
    assert {each["type"] for each in token["catalog"]} == {"identity", "compute"}
