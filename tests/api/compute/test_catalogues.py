"""Flavors, keys, groups, quotas, limits, hosts: what surrounds servers."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.api.conftest import Appliance

from .conftest import Cloud


def _public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_bytes(*form).decode() + " me@here"


def test_version_documents_need_no_token(appliance: Appliance) -> None:
    many = appliance.client.get("/compute/").json["versions"]
    one = appliance.client.get("/compute/v2.1/").json["version"]
    assert [(each["id"], each["version"], each["min_version"]) for each in many] == [
        ("v2.0", "", ""),
        ("v2.1", "2.104", "2.1"),
    ]
    assert one["links"][0]["href"] == "http://localhost/compute/v2.1/"
    assert appliance.client.get("/compute/v2.1/servers").status_code == 401


def test_a_flavors_life(admin: Cloud, member: Cloud) -> None:
    body = {"flavor": {"name": "f1", "ram": "128", "vcpus": 1, "disk": 0, "id": "f1", "description": "d"}}
    made = admin.call("POST", "/flavors", body)
    assert (made.status_code, made.json["flavor"]["ram"], made.json["flavor"]["swap"]) == (200, 128, 0)
    assert admin.call("POST", "/flavors", body).status_code == 409
    assert admin.call("PUT", "/flavors/f1", {"flavor": {"description": "e"}}).json["flavor"]["description"] == "e"
    old = member.get("/flavors/f1", "2.54").json["flavor"]
    assert old["swap"] == ""
    assert not {"description", "extra_specs"} & set(old)
    assert admin.call("DELETE", "/flavors/f1").status_code == 202
    assert member.get("/flavors/f1").status_code == 404


def test_extra_specs(admin: Cloud, member: Cloud) -> None:
    path = "/flavors/2/os-extra_specs"
    added = admin.call("POST", path, {"extra_specs": {"x:a": "1", "b": 2}})
    assert added.json == {"extra_specs": {"x:a": "1", "b": "2"}}
    assert member.get(path).json["extra_specs"]["b"] == "2"
    assert admin.call("PUT", f"{path}/b", {"b": "3"}).json == {"b": "3"}
    assert admin.call("PUT", f"{path}/b", {"c": "3"}).status_code == 400
    assert member.get(f"{path}/b").json == {"b": "3"}
    assert admin.call("DELETE", f"{path}/b").status_code == 200
    assert admin.call("DELETE", f"{path}/b").status_code == 404


def test_flavors_that_are_not_public(admin: Cloud, member: Cloud, appliance: Appliance) -> None:
    body = {"flavor": {"name": "own", "ram": 1, "vcpus": 1, "disk": 0, "id": "own",
                       "os-flavor-access:is_public": False}}  # fmt: skip
    assert admin.call("POST", "/flavors", body).status_code == 200
    project = appliance.get("/identity/v3/projects?name=alice").json["projects"][0]["id"]
    assert member.get("/flavors/own").status_code == 404
    grant = {"addTenantAccess": {"tenant": project}}
    assert admin.call("POST", "/flavors/own/action", grant).json["flavor_access"][0]["tenant_id"] == project
    assert admin.call("POST", "/flavors/own/action", grant).status_code == 409
    assert member.get("/flavors/own").status_code == 200
    assert admin.get("/flavors/1/os-flavor-access").status_code == 404
    assert admin.call("POST", "/flavors/1/action", grant).status_code == 409
    listed = {flavor["id"] for flavor in admin.get("/flavors?is_public=None").json["flavors"]}
    assert {"own", "1"} <= listed
    revoke = {"removeTenantAccess": {"tenant": project}}
    assert admin.call("POST", "/flavors/own/action", revoke).json == {"flavor_access": []}
    assert member.get("/flavors/own").status_code == 404


def test_flavor_lists(member: Cloud) -> None:
    pages, path = [], "/flavors?limit=2&sort_key=memory_mb&sort_dir=asc"
    while path:
        answer = member.get(path).json
        pages.append([flavor["id"] for flavor in answer["flavors"]])
        links = answer.get("flavors_links", [])
        path = links[0]["href"].removeprefix("http://localhost/compute/v2.1") if links else ""
    assert pages[:2] == [["1", "2"], ["3", "4"]]
    assert [f["id"] for f in member.get("/flavors/detail?minRam=8000").json["flavors"]] == ["5"]
    assert member.get("/flavors?minRam=x").status_code == 400
    assert member.get("/flavors?is_public=perhaps").status_code == 400


def test_key_pairs_by_version(member: Cloud) -> None:
    public = _public_key()
    old = member.call("POST", "/os-keypairs", {"keypair": {"name": "old", "public_key": public}}, "2.1")
    assert (old.status_code, "type" in old.json["keypair"]) == (200, False)
    assert member.call("POST", "/os-keypairs", {"keypair": {"name": "old", "public_key": public}}).status_code == 409
    made = member.call("POST", "/os-keypairs", {"keypair": {"name": "made"}}, "2.91")
    assert made.json["keypair"]["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert len(made.json["keypair"]["fingerprint"].split(":")) == 16
    new = member.call("POST", "/os-keypairs", {"keypair": {"name": "a@b.c", "public_key": public, "type": "ssh"}})
    assert (new.status_code, new.json["keypair"]["type"]) == (201, "ssh")
    listed = member.get("/os-keypairs?limit=2").json
    assert [row["keypair"]["name"] for row in listed["keypairs"]] == ["a@b.c", "made"]
    assert "marker=made" in listed["keypairs_links"][0]["href"]
    shown = member.get("/os-keypairs/made").json["keypair"]
    assert "private_key" not in shown
    assert member.call("DELETE", "/os-keypairs/old", version="2.1").status_code == 202
    for name in ("made", "a@b.c"):
        assert member.call("DELETE", f"/os-keypairs/{name}").status_code == 204
    assert member.get("/os-keypairs").json["keypairs"] == []


def test_key_pairs_belong_to_users(admin: Cloud, member: Cloud, appliance: Appliance) -> None:
    alice = appliance.get("/identity/v3/users?name=alice").json["users"][0]["id"]
    body = {"keypair": {"name": "given", "public_key": _public_key(), "user_id": alice}}
    assert admin.call("POST", "/os-keypairs", body).status_code == 201
    assert member.get("/os-keypairs/given").status_code == 200
    assert admin.get("/os-keypairs/given").status_code == 404
    assert admin.get(f"/os-keypairs/given?user_id={alice}").status_code == 200
    assert member.get("/os-keypairs?user_id=somebody").status_code == 403
    assert member.call("DELETE", "/os-keypairs/given").status_code == 204


def test_server_groups_by_version(member: Cloud, stranger: Cloud) -> None:
    new = {"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}}
    made = member.call("POST", "/os-server-groups", new).json["server_group"]
    assert (made["policy"], made["rules"], made["members"]) == ("anti-affinity", {"max_server_per_host": 2}, [])
    old = member.get(f"/os-server-groups/{made['id']}", "2.63").json["server_group"]
    assert (old["policies"], old["metadata"]) == (["anti-affinity"], {})
    assert stranger.get(f"/os-server-groups/{made['id']}").status_code == 404
    server_id = str(member.new("grouped", beside={"os:scheduler_hints": {"group": made["id"]}}).json["server"]["id"])
    member.wait(server_id, "ACTIVE")
    assert member.get("/os-server-groups").json["server_groups"][0]["members"] == [server_id]
    assert member.server(server_id)["server_groups"] == [made["id"]]
    assert member.get("/os-server-groups?all_projects").status_code == 403
    assert member.call("DELETE", f"/os-server-groups/{made['id']}").status_code == 204
    member.gone(server_id)


def test_quota_sets(admin: Cloud, member: Cloud, stranger: Cloud, appliance: Appliance) -> None:
    project = appliance.get("/identity/v3/projects?name=alice").json["projects"][0]["id"]
    path = f"/os-quota-sets/{project}"
    shown = member.get(path).json["quota_set"]
    assert (shown["id"], shown["instances"], shown["ram"]) == (project, 10, 51200)
    assert "injected_files" not in shown
    assert {"injected_files", "floating_ips"} <= set(member.get(path, "2.1").json["quota_set"])
    assert stranger.get(path).status_code == 403
    assert member.call("PUT", path, {"quota_set": {"instances": 5}}).status_code == 403
    assert admin.call("PUT", path, {"quota_set": {"instances": 5, "cores": "7"}}).json["quota_set"]["cores"] == 7
    for bad in ({"instances": -2}, {"instances": "x"}, {"pigs": 1}, {"instances": 2**40}):
        assert admin.call("PUT", path, {"quota_set": bad}).status_code == 400, bad
    assert member.get(f"{path}/detail").json["quota_set"]["instances"] == {"limit": 5, "in_use": 0, "reserved": 0}
    assert member.get(f"{path}/defaults").json["quota_set"]["instances"] == 10
    assert admin.call("DELETE", path).status_code == 202
    assert member.get(path).json["quota_set"]["instances"] == 10


def test_a_quota_below_use_needs_force(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("counted")
    project = member.server(server_id)["tenant_id"]
    path = f"/os-quota-sets/{project}"
    assert admin.call("PUT", path, {"quota_set": {"instances": 0}}).status_code == 400
    assert admin.call("PUT", path, {"quota_set": {"instances": 0, "force": True}}).status_code == 200
    assert member.new("refused").status_code == 403
    assert admin.call("DELETE", path).status_code == 202
    absolute = member.get("/limits").json["limits"]["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (1, 1, 256)
    member.gone(server_id)


def test_limits_by_version(admin: Cloud, member: Cloud) -> None:
    assert member.get("/limits").json["limits"]["rate"] == []
    assert "maxImageMeta" in member.get("/limits", "2.38").json["limits"]["absolute"]
    assert "maxImageMeta" not in member.get("/limits", "2.39").json["limits"]["absolute"]
    assert member.get("/limits?tenant_id=other").status_code == 403
    assert admin.get("/limits?tenant_id=other").status_code == 200


def test_hypervisors_by_version(admin: Cloud) -> None:
    (old,) = admin.get("/os-hypervisors/detail", "2.1").json["hypervisors"]
    (new,) = admin.get("/os-hypervisors/detail").json["hypervisors"]
    assert isinstance(old["id"], int)
    assert isinstance(old["cpu_info"], str)
    assert (old["state"], old["vcpus"], len(new["id"])) == ("up", 64, 36)
    assert "vcpus" not in new
    assert "uptime" in new
    assert admin.get(f"/os-hypervisors/{old['id']}", "2.1").status_code == 200
    assert admin.get(f"/os-hypervisors/{new['id']}").status_code == 200
    assert admin.get(f"/os-hypervisors/{old['id']}").status_code == 400
    name = new["hypervisor_hostname"]
    assert admin.get(f"/os-hypervisors/{name}/search", "2.1").json["hypervisors"][0]["id"] == old["id"]
    assert admin.get(f"/os-hypervisors?hypervisor_hostname_pattern={name}").status_code == 200
    assert admin.get("/os-hypervisors?hypervisor_hostname_pattern=none-such").status_code == 404
    assert admin.get("/os-hypervisors/statistics", "2.87").json["hypervisor_statistics"]["count"] == 1
    assert admin.get("/os-hypervisors/statistics").status_code == 404


def test_hypervisors_tell_their_servers(admin: Cloud, member: Cloud) -> None:
    server_id = member.boot("placed")
    (host,) = admin.get("/os-hypervisors?with_servers=true").json["hypervisors"]
    assert server_id in [server["uuid"] for server in host["servers"]]
    member.gone(server_id)


def test_services_by_version(admin: Cloud, member: Cloud) -> None:
    old, conductor, _ = admin.get("/os-services", "2.1").json["services"]
    (new,) = admin.get("/os-services?binary=nova-compute").json["services"]
    assert (old["binary"], old["state"], old["status"]) == ("nova-compute", "up", "enabled")
    which = {"host": old["host"], "binary": "nova-compute"}
    reason = {**which, "disabled_reason": "repair"}
    assert admin.call("PUT", "/os-services/disable-log-reason", reason, "2.1").status_code == 200
    assert admin.get("/os-services").json["services"][0]["disabled_reason"] == "repair"
    assert member.new("nowhere").status_code == 202
    assert admin.call("PUT", f"/os-services/{new['id']}", {"status": "enabled"}).json["service"]["status"] == "enabled"
    assert admin.call("PUT", f"/os-services/{new['id']}", {"forced_down": True}).json["service"]["state"] == "down"
    assert admin.call("PUT", f"/os-services/{new['id']}", {"forced_down": False}).status_code == 200
    assert admin.call("PUT", f"/os-services/{new['id']}", {}).status_code == 400
    assert admin.call("PUT", "/os-services/enable", which).status_code == 404
    assert (conductor["binary"], conductor["state"], conductor["zone"]) == ("nova-conductor", "up", "internal")
    own = {"host": conductor["host"], "binary": "nova-conductor"}
    refused = admin.call("PUT", "/os-services/disable", own, "2.1")
    assert (refused.status_code, "nova-conductor" in refused.json["badRequest"]["message"]) == (400, True)
    assert admin.call("PUT", "/os-services/enable", {**which, "host": "none"}, "2.1").status_code == 404


def test_zones(admin: Cloud, member: Cloud) -> None:
    (zone,) = member.get("/os-availability-zone").json["availabilityZoneInfo"]
    assert zone == {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    own, detail = admin.get("/os-availability-zone/detail").json["availabilityZoneInfo"]
    assert own["zoneName"] == "internal"
    assert [set(parts) for parts in own["hosts"].values()] == [{"nova-conductor", "nova-scheduler"}]
    assert list(own["hosts"]) == list(detail["hosts"])
    (services,) = detail["hosts"].values()
    assert services["nova-compute"]["available"] is True


READS = ["/servers", "/servers/detail", "/flavors", "/os-keypairs", "/limits", "/os-server-groups",
         "/os-availability-zone"]  # fmt: skip
WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/servers", {"server": {}}), ("PUT", "/servers/x", {"server": {}}), ("DELETE", "/servers/x", None),
    ("POST", "/servers/x/action", {"os-stop": None}), ("POST", "/servers/x/action", {"reboot": {"type": "HARD"}}),
    ("POST", "/servers/x/action", {"os-getConsoleOutput": {}}), ("PUT", "/servers/x/metadata", {"metadata": {}}),
    ("PUT", "/servers/x/tags/a", None), ("POST", "/os-server-groups", {"server_group": {}}),
    ("POST", "/servers/x/remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}),
]  # fmt: skip
ADMINS: list[tuple[str, str, Any]] = [
    ("POST", "/flavors", {"flavor": {}}), ("DELETE", "/flavors/1", None), ("GET", "/os-hypervisors", None),
    ("GET", "/os-hypervisors/detail", None), ("GET", "/os-services", None),
    ("PUT", "/os-services/x", {"status": "disabled"}), ("GET", "/os-availability-zone/detail", None),
    ("POST", "/servers/x/action", {"os-resetState": {"state": "active"}}),
    ("PUT", "/os-quota-sets/x", {"quota_set": {}}),
    ("POST", "/flavors/1/os-extra_specs", {"extra_specs": {}}), ("GET", "/flavors/1/os-flavor-access", None),
]  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_readers_read(reader: Cloud, path: str) -> None:
    assert reader.get(path).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_readers_change_nothing(reader: Cloud, method: str, path: str, body: Any) -> None:
    assert reader.call(method, path, body).status_code == 403


@pytest.mark.parametrize(("method", "path", "body"), ADMINS)
def test_members_do_not_administer(member: Cloud, method: str, path: str, body: Any) -> None:
    assert member.call(method, path, body).status_code == 403


def test_a_certificate_is_made_when_none_is_given(member: Cloud) -> None:
    made = member.call("POST", "/os-keypairs", {"keypair": {"name": "windows", "type": "x509"}}, version="2.2")
    assert made.status_code == 201, made.text
    pair = made.json["keypair"]
    certificate = x509.load_pem_x509_certificate(pair["public_key"].encode())
    private = serialization.load_pem_private_key(pair["private_key"].encode(), None)
    assert certificate.public_key() == private.public_key()
    assert pair["fingerprint"].replace(":", "") == certificate.fingerprint(hashes.SHA1()).hex()
    assert member.get("/os-keypairs/windows", "2.2").json["keypair"]["type"] == "x509"
