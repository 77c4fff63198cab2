"""What is asked about the cloud as a whole: extensions, quota classes, audits; and what other services tell."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cloud

UNKNOWN = "12345678-1234-1234-1234-123456789abc"
CLASS = "/os-quota-class-sets/default"
EVENTS = "/os-server-external-events"


def test_extensions(member: Cloud) -> None:
    listed = member.get("/extensions", "2.1").json["extensions"]
    assert {"os-keypairs", "os-aggregates"} <= {one["alias"] for one in listed}
    assert member.get("/extensions/os-keypairs").json["extension"] in listed
    assert member.get("/extensions/os-nothing").status_code == 404


def test_quota_classes_by_version(admin: Cloud) -> None:
    old, middle, new = (admin.get(CLASS, version).json["quota_class_set"] for version in ("2.49", "2.50", "2.57"))
    assert old["id"] == "default"
    assert "server_groups" not in old
    assert {"fixed_ips", "injected_files"} < set(old)
    assert {"server_groups", "injected_files"} < set(middle)
    assert "fixed_ips" not in middle
    assert "injected_files" not in new


def test_forgetting_quotas_leaves_those_of_other_services(admin: Cloud, member: Cloud) -> None:
    project = admin.appliance.get("/identity/v3/projects?name=alice").json["projects"][0]["id"]
    network, volume = f"/network/v2.0/quotas/{project}", f"/volume/v3/os-quota-sets/{project}"
    one_user = f"/os-quota-sets/{project}?user_id=somebody"
    for path, body in ((network, {"quota": {"floatingip": 3}}), (volume, {"quota_set": {"volumes": 4}})):
        assert admin.appliance.call("PUT", path, json=body).status_code == 200
    assert admin.call("PUT", one_user, {"quota_set": {"cores": 1}}).status_code == 200
    assert admin.call("DELETE", f"/os-quota-sets/{project}").status_code == 202
    assert admin.appliance.get(network).json["quota"]["floatingip"] == 3
    assert admin.appliance.get(volume).json["quota_set"]["volumes"] == 4
    assert admin.get(one_user).json["quota_set"]["cores"] > 1
    for path in (network, volume):
        assert admin.appliance.call("DELETE", path).status_code < 300


def test_the_default_class_is_what_projects_have(admin: Cloud, member: Cloud) -> None:
    before = admin.get(CLASS).json["quota_class_set"]["cores"]
    project = admin.appliance.get("/identity/v3/projects?name=alice").json["projects"][0]["id"]
    changed = admin.call("PUT", CLASS, {"quota_class_set": {"cores": "7"}})
    assert (changed.json["quota_class_set"]["cores"], "id" in changed.json["quota_class_set"]) == (7, False)
    assert member.get(f"/os-quota-sets/{project}").json["quota_set"]["cores"] == 7
    assert member.get(f"/os-quota-sets/{project}/defaults").json["quota_set"]["cores"] == 7
    own = {"quota_set": {"cores": 9}}
    assert admin.call("PUT", f"/os-quota-sets/{project}", own).status_code == 200
    assert member.get(f"/os-quota-sets/{project}").json["quota_set"]["cores"] == 9
    assert admin.call("DELETE", f"/os-quota-sets/{project}").status_code == 202
    assert member.get(f"/os-quota-sets/{project}").json["quota_set"]["cores"] == 7
    other = admin.call("PUT", "/os-quota-class-sets/gold", {"quota_class_set": {"cores": 1}})
    assert other.json["quota_class_set"]["cores"] == 1
    assert admin.get(CLASS).json["quota_class_set"]["cores"] == 7
    assert admin.call("PUT", CLASS, {"quota_class_set": {"cores": before}}).status_code == 200


@pytest.mark.parametrize(("values", "version"), [
    ({"cores": -2}, "2.1"), ({"cores": "x"}, "2.1"), ({"cores": 2**31}, "2.1"), ({"color": 1}, "2.1"),
    ({"fixed_ips": 1}, "2.50"), ({"injected_files": 1}, "2.57"), ("x", "2.1"), ({"cores": None}, "2.1"),
])  # fmt: skip
def test_bad_classes(admin: Cloud, values: Any, version: str) -> None:
    assert admin.call("PUT", CLASS, {"quota_class_set": values}, version).status_code == 400


def test_a_class_with_a_long_name_is_refused(admin: Cloud) -> None:
    body = {"quota_class_set": {"cores": 1}}
    assert admin.call("PUT", "/os-quota-class-sets/" + "x" * 59, body).status_code == 400


def test_audits(admin: Cloud) -> None:
    path = "/os-instance_usage_audit_log"
    latest = admin.get(path).json["instance_usage_audit_logs"]
    assert (latest["num_hosts"], latest["num_hosts_not_run"], latest["log"]) == (0, 0, {})
    shown = admin.get(f"{path}/2026-03-01 00:00:00").json["instance_usage_audit_log"]
    assert (shown["period_beginning"], shown["period_ending"]) == ("2026-01-01 00:00:00", "2026-02-01 00:00:00")
    shown = admin.get(f"{path}/2026-03-01 00:00:00.5").json["instance_usage_audit_log"]
    assert (shown["period_beginning"], shown["period_ending"]) == ("2026-02-01 00:00:00", "2026-03-01 00:00:00")
    for bad in ("yesterday", "2026-13-01 00:00:00", "0001-01-01 00:00:00"):
        assert admin.get(f"{path}/{bad}").status_code == 400


def _tell(cloud: Cloud, *events: dict[str, Any], version: str = "2.93") -> Any:
    return cloud.call("POST", EVENTS, {"events": list(events)}, version)


def test_each_event_has_its_own_answer(admin: Cloud, member: Cloud) -> None:
    server = member.boot("told")
    good = {"server_uuid": server, "name": "network-changed", "tag": UNKNOWN}
    assert _tell(admin, good).json == {"events": [{**good, "status": "completed", "code": 200}]}
    mixed = _tell(admin, good, {"server_uuid": UNKNOWN, "name": "network-changed"},
                  {"server_uuid": server, "name": "volume-extended"},
                  {"server_uuid": server, "name": "power-update"},
                  {"server_uuid": server, "name": "power-update", "tag": "PERHAPS"},
                  {"server_uuid": server, "name": "power-update", "tag": "POWER_ON"})  # fmt: skip
    assert mixed.status_code == 207
    assert [event["code"] for event in mixed.json["events"]] == [200, 404, 400, 400, 200, 200]
    assert [event["status"] for event in mixed.json["events"]].count("failed") == 3
    member.gone(server)
    assert _tell(admin, good).status_code == 207


def test_a_server_without_a_host_cannot_be_told(admin: Cloud, member: Cloud) -> None:
    (service,) = admin.get("/os-services?binary=nova-compute").json["services"]
    path = f"/os-services/{service['id']}"
    assert admin.call("PUT", path, {"status": "disabled"}).status_code == 200
    server = member.new("nowhere").json["server"]["id"]
    member.wait(server, "ERROR")
    answer = _tell(admin, {"server_uuid": server, "name": "network-changed"})
    assert (answer.status_code, answer.json["events"][0]["code"]) == (207, 422)
    assert admin.call("PUT", path, {"status": "enabled"}).status_code == 200
    member.gone(server)


@pytest.mark.parametrize(("name", "since"), [
    ("volume-extended", "2.51"), ("power-update", "2.76"), ("accelerator-request-bound", "2.82"),
    ("volume-reimaged", "2.93"),
])  # fmt: skip
def test_events_by_version(admin: Cloud, name: str, since: str) -> None:
    event = {"server_uuid": UNKNOWN, "name": name, "tag": "t"}
    before = f"2.{int(since.partition('.')[2]) - 1}"
    assert _tell(admin, event, version=before).status_code == 400
    assert _tell(admin, event, version=since).status_code == 207


@pytest.mark.parametrize("event", [
    {}, {"server_uuid": "x", "name": "network-changed"}, {"server_uuid": UNKNOWN, "name": "x"},
    {"server_uuid": UNKNOWN, "name": "network-changed", "status": "x"},
    {"server_uuid": UNKNOWN, "name": "network-changed", "tag": "t" * 256},
    {"server_uuid": UNKNOWN, "name": "network-changed", "color": 1},
])  # fmt: skip
def test_bad_events(admin: Cloud, event: dict[str, Any]) -> None:
    assert _tell(admin, event).status_code == 400
    assert admin.call("POST", EVENTS, {"events": []}).status_code == 400


ADMINS: list[tuple[str, str, Any]] = [
    ("GET", CLASS, None), ("PUT", CLASS, {"quota_class_set": {}}), ("GET", "/os-instance_usage_audit_log", None),
    ("GET", "/os-instance_usage_audit_log/2026-01-01 00:00:00", None),
    ("POST", EVENTS, {"events": [{"server_uuid": UNKNOWN, "name": "network-changed"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), ADMINS)
def test_not_for_members(member: Cloud, reader: Cloud, method: str, path: str, body: Any) -> None:
    for cloud in (member, reader):
        assert cloud.call(method, path, body).status_code == 403


def test_older_names_of_network_quotas_are_kept(admin: Cloud) -> None:
    body = {"quota_class_set": {"floating_ips": 7, "security_groups": 8}}
    path = "/os-quota-class-sets/kept"
    assert admin.call("PUT", path, body, version="2.1").json["quota_class_set"]["floating_ips"] == 7
    shown = admin.get(path, "2.49").json["quota_class_set"]
    assert (shown["floating_ips"], shown["security_groups"]) == (7, 8)
    assert shown["fixed_ips"] == admin.get("/os-quota-class-sets/other", "2.49").json["quota_class_set"]["fixed_ips"]
    assert "floating_ips" not in admin.get(path, "2.50").json["quota_class_set"]
