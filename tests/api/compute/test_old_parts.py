"""What Compute served before other services did: answered from their records, in the versions that had it."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cloud

UNKNOWN = "12345678-1234-1234-1234-123456789abc"


@pytest.fixture(scope="module")
def host(admin: Cloud) -> str:
    return str(admin.get("/os-services").json["services"][0]["host"])


def test_hosts(admin: Cloud, member: Cloud, host: str) -> None:
    row = {"host_name": host, "service": "compute", "zone": "nova"}
    assert admin.get("/os-hosts?service=compute", "2.42").json == {"hosts": [row]}
    own = [{"host_name": host, "service": part, "zone": "internal"} for part in ("conductor", "scheduler")]
    assert admin.get("/os-hosts", "2.1").json == {"hosts": [row, *own]}
    assert admin.get("/os-hosts?zone=internal", "2.1").json == {"hosts": own}
    assert admin.get("/os-hosts?zone=mars", "2.1").json == {"hosts": []}
    assert admin.get("/os-hosts?service=cert", "2.1").json == {"hosts": []}
    assert admin.get("/os-hosts", "2.43").status_code == 404
    server = member.boot("counted")
    rows = [one["resource"] for one in admin.get(f"/os-hosts/{host}", "2.1").json["host"]]
    project = member.server(server)["tenant_id"]
    assert [one["project"] for one in rows] == ["(total)", "(used_now)", "(used_max)", project]
    assert rows[2]["memory_mb"] == rows[3]["memory_mb"] == member.server(server)["flavor"]["ram"]
    assert rows[1]["cpu"] == 1
    member.gone(server)
    rows = admin.get(f"/os-hosts/{host}", "2.1").json["host"]
    assert (len(rows), rows[2]["resource"]["cpu"]) == (3, 0)
    assert admin.get("/os-hosts/none", "2.1").status_code == 404


def test_hosts_are_switched(admin: Cloud, host: str) -> None:
    path = f"/os-hosts/{host}"
    assert admin.call("PUT", path, {"status": "disable"}, "2.1").json == {"host": host, "status": "disabled"}
    assert admin.get("/os-hosts?service=compute", "2.1").json == {"hosts": []}
    assert admin.call("PUT", path, {"status": "Enable"}, "2.1").json == {"host": host, "status": "enabled"}
    assert admin.call("PUT", path, {"maintenance_mode": "enable"}, "2.1").status_code == 501
    for bad in ({}, {"status": "off"}, {"status": "enable", "color": 1}, {"status": None}):
        assert admin.call("PUT", path, bad, "2.1").status_code == 400
    for name in ("startup", "shutdown", "reboot"):
        assert admin.get(f"{path}/{name}", "2.1").status_code == 501
        assert admin.get(f"/os-hosts/none/{name}", "2.1").status_code == 404


def test_images(member: Cloud, stranger: Cloud) -> None:
    (basic,) = member.get("/images", "2.35").json["images"]
    assert (basic["id"], basic["name"], len(basic["links"])) == (member.image_id, "tiny", 3)
    assert set(basic) == {"id", "name", "links"}
    (detail,) = member.get("/images/detail", "2.1").json["images"]
    assert (detail["status"], detail["progress"], detail["OS-EXT-IMG-SIZE:size"]) == ("ACTIVE", 100, 1 << 20)
    assert member.get(f"/images/{member.image_id}", "2.1").json == {"image": detail}
    assert member.get("/images", "2.36").status_code == 404
    assert stranger.call("DELETE", f"/images/{member.image_id}", version="2.1").status_code == 403
    for version in ("2.1", "2.35"):
        assert member.get(f"/images/{UNKNOWN}", version).status_code == 404


@pytest.mark.parametrize(("query", "count"), [
    ("name=tiny", 1), ("name=huge", 0), ("status=ACTIVE", 1), ("status=SAVING", 0), ("status=never", 0),
    ("limit=1", 1), ("limit=0", 0), ("minRam=0", 1), ("minDisk=5", 0), ("property-color=red", 0),
    ("type=snapshot", 0), (f"server={UNKNOWN}", 0), ("changes-since=2020-01-01T00:00:00Z", 1),
    ("changes-since=2120-01-01T00:00:00Z", 0),
])  # fmt: skip
def test_image_filters(member: Cloud, query: str, count: int) -> None:
    assert len(member.get(f"/images/detail?{query}", "2.1").json["images"]) == count


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "minRam=x", "changes-since=soon", "marker=none"])
def test_bad_image_lists(member: Cloud, query: str) -> None:
    assert member.get(f"/images?{query}", "2.1").status_code == 400


def test_an_images_metadata(admin: Cloud, reader: Cloud) -> None:
    image = admin.appliance.image("own")
    path = f"/images/{image}/metadata"
    with_a = {"metadata": {"a": "1", "b": "2"}}
    assert admin.call("PUT", path, with_a, "2.38").json == with_a
    assert admin.call("POST", path, {"metadata": {"b": "3"}}, "2.1").json == {"metadata": {"a": "1", "b": "3"}}
    assert admin.call("PUT", f"{path}/c", {"meta": {"c": "4"}}, "2.1").json == {"meta": {"c": "4"}}
    assert admin.call("PUT", f"{path}/c", {"meta": {"d": "4"}}, "2.1").status_code == 400
    assert reader.get(f"{path}/c", "2.1").json == {"meta": {"c": "4"}}
    assert reader.call("DELETE", f"{path}/c", version="2.1").status_code == 403
    assert admin.call("DELETE", f"{path}/c", version="2.1").status_code == 204
    assert admin.get(f"{path}/c", "2.1").status_code == 404
    assert admin.get(path, "2.1").json == {"metadata": {"a": "1", "b": "3"}}
    assert admin.get(path, "2.39").status_code == 404
    for bad in ({"a": 1}, {"a": "x" * 256}, "x"):
        assert admin.call("POST", path, {"metadata": bad}, "2.1").status_code == 400
    assert admin.call("DELETE", f"/images/{image}", version="2.1").status_code == 204
    assert admin.get(f"/images/{image}", "2.1").status_code == 404


def test_networks(admin: Cloud, member: Cloud) -> None:
    mine = member.get("/os-networks", "2.35").json["networks"][0]
    all_of_it = admin.get("/os-networks", "2.1").json["networks"][0]
    assert (len(mine), len(all_of_it)) == (11, 32)
    assert {name for name, value in all_of_it.items() if value is not None} == {"id", "label"}
    assert member.get(f"/os-networks/{mine['id']}", "2.1").json == {"network": mine}
    tenant = {"id": mine["id"], "label": mine["label"], "cidr": "None"}
    assert tenant in member.get("/os-tenant-networks", "2.1").json["networks"]
    assert member.get(f"/os-tenant-networks/{mine['id']}", "2.1").json == {"network": tenant}
    for path in ("os-networks", "os-tenant-networks"):
        assert member.get(f"/{path}/{UNKNOWN}", "2.1").status_code == 404
        assert member.get(f"/{path}", "2.36").status_code == 404
    assert member.get("/os-floating-ip-pools", "2.1").json == {"floating_ip_pools": [{"name": "public"}]}
    assert member.get("/os-floating-ip-pools", "2.36").status_code == 404


GONE: list[tuple[str, str, Any, str]] = [
    ("GET", "/os-agents", None, "2.1"), ("POST", "/os-agents", {}, "2.95"), ("DELETE", "/os-agents/1", None, "2.1"),
    ("GET", "/os-cloudpipe", None, "2.1"), ("GET", "/os-fping", None, "2.35"),
    ("POST", f"/servers/{UNKNOWN}/action", {"resetNetwork": None}, "2.1"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "version"), GONE)
def test_what_is_gone(admin: Cloud, method: str, path: str, body: Any, version: str) -> None:
    assert admin.call(method, path, body, version).status_code == 410


def test_bare_metal(admin: Cloud) -> None:
    assert admin.get("/os-baremetal-nodes", "2.35").status_code == 501
    assert admin.call("POST", "/os-baremetal-nodes", {}, "2.1").status_code == 400
    assert admin.get("/os-baremetal-nodes", "2.36").status_code == 404
    assert admin.get("/os-fping", "2.36").status_code == 410


ADMINS: list[tuple[str, str, Any]] = [
    ("GET", "/os-hosts", None), ("GET", "/os-hosts/x", None), ("PUT", "/os-hosts/x", {"status": "enable"}),
    ("GET", "/os-hosts/x/reboot", None), ("GET", "/os-baremetal-nodes", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), ADMINS)
def test_not_for_members(member: Cloud, reader: Cloud, method: str, path: str, body: Any) -> None:
    for cloud in (member, reader):
        assert cloud.call(method, path, body, "2.1").status_code == 403


@pytest.mark.parametrize("path", ["/images", "/os-networks", "/os-tenant-networks", "/os-security-groups"])
def test_readers_read(reader: Cloud, path: str) -> None:
    assert reader.get(path, "2.1").status_code == 200


def test_a_slash_at_the_end_is_another_path(admin: Cloud) -> None:
    assert admin.get("/os-hosts/", "2.1").status_code == 404
    assert admin.get("/os-simple-tenant-usage/", "2.1").status_code == 404
    assert admin.get("/", "2.1").status_code == 200
