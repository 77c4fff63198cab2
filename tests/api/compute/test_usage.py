"""What is counted: quotas under a rush of requests, and the hours a project has used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Cloud


def test_a_rush_of_requests_never_exceeds_the_quota(member: Cloud) -> None:
    codes: list[int] = []

    def ask() -> None:
        codes.append(member.new("rush").status_code)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(codes) == [202] * 10 + [403] * 6
    found = member.get("/servers").json["servers"]
    assert len(found) == 10
    for server in found:
        member.wait(server["id"], "ACTIVE")
        member.gone(server["id"])
    assert member.get("/limits").json["limits"]["absolute"]["totalInstancesUsed"] == 0


def test_a_rush_of_key_pairs_never_exceeds_the_quota(admin: Cloud, stranger: Cloud, fresh: Callable[..., Any]) -> None:
    appliance = fresh(quota__key_pairs=3)
    codes: list[int] = []

    def ask(number: int) -> None:
        body = {"keypair": {"name": f"k{number}"}}
        codes.append(appliance.post("/compute/v2.1/os-keypairs", body).status_code)

    appliance.token()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(codes) == [200] * 3 + [403] * 3


def test_hours_are_told_by_project(admin: Cloud, member: Cloud, stranger: Cloud) -> None:
    server_id = member.boot("billed")
    project = member.server(server_id)["tenant_id"]
    member.gone(server_id)
    use = member.get(f"/os-simple-tenant-usage/{project}").json["tenant_usage"]
    (row,) = [row for row in use["server_usages"] if row["instance_id"] == server_id]
    assert (row["name"], row["flavor"], row["state"]) == ("billed", "m1.tiny", "terminated")
    assert 0 <= row["hours"] < 1
    assert use["total_vcpus_usage"] == pytest.approx(use["total_hours"])
    everyone = admin.get("/os-simple-tenant-usage?detailed=1").json["tenant_usages"]
    assert project in {one["tenant_id"] for one in everyone}
    assert "server_usages" not in admin.get("/os-simple-tenant-usage").json["tenant_usages"][0]
    assert member.get("/os-simple-tenant-usage").status_code == 403
    assert stranger.get(f"/os-simple-tenant-usage/{project}").status_code == 403
    old = "start=2000-01-01T00:00:00&end=2000-01-02T00:00:00"
    assert member.get(f"/os-simple-tenant-usage/{project}?{old}").json == {"tenant_usage": {}}
    for bad in ("start=x", "start=2001-01-01&end=2000-01-01", "limit=x", "marker=x", "more=1"):
        assert member.get(f"/os-simple-tenant-usage/{project}?{bad}").status_code == 400, bad


def test_usage_pages_walk_all_servers(member: Cloud) -> None:
    made = [member.boot(f"page-{number}") for number in range(3)]
    project, seen = member.server(made[0])["tenant_id"], []
    path = f"/os-simple-tenant-usage/{project}?limit=2"
    while path:
        answer = member.get(path).json
        seen += [row["instance_id"] for row in answer["tenant_usage"].get("server_usages", [])]
        links = answer.get("tenant_usage_links", [])
        path = links[0]["href"].removeprefix("http://localhost/compute/v2.1") if links else ""
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)
    for server_id in made:
        member.gone(server_id)
