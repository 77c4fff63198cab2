"""Copies of servers and volumes by the clock: asked for, made, rotated, restored."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from novalite.cloud.compute import protection, protection_runs
from novalite.context import internal
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.conftest import wait_for

P = "/admin/protections"


def _call(cloud: Cloud, method: str, path: str, body: Any = None) -> Any:
    return cloud.appliance.call(method, f"{P}{path}", token=cloud.token, **({} if body is None else {"json": body}))


def _protect(cloud: Cloud, resource_id: str, schedule: str) -> Any:
    answer = _call(cloud, "PUT", f"/{resource_id}", {"protection": {"schedule": schedule}})
    assert answer.status_code == 200, answer.text
    return answer.json["protection"]


def _shown(cloud: Cloud, resource_id: str) -> Any:
    return _call(cloud, "GET", f"/{resource_id}").json["protection"]


def _runs(cloud: Cloud, resource_id: str) -> list[Any]:
    return list(_call(cloud, "GET", f"/{resource_id}/runs").json["runs"])


def _due(cloud: Cloud, resource_id: str, **later: float) -> bool:
    """What the clock does when that time has come: whether a run was begun."""
    with cloud.appliance.built.database.write(internal()) as w:
        w.now += timedelta(**later)
        if resource_id not in protection.due(w):
            return False
        return protection.begin_due(w, resource_id)


def _ended(cloud: Cloud, resource_id: str) -> Any:
    wait_for(lambda: not _shown(cloud, resource_id)["running"], why="the run did not end")
    return _runs(cloud, resource_id)[0]


def _copy(cloud: Cloud, resource_id: str) -> Any:
    assert _call(cloud, "POST", f"/{resource_id}/runs").status_code == 202
    return _ended(cloud, resource_id)


def _image(cloud: Cloud, image_id: str) -> Any:
    return cloud.appliance.get(f"/image/v2/images/{image_id}", token=cloud.token)


def test_what_is_protected_is_listed_in_pages(member: Cloud, stranger: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [member.boot(f"paged-{number}") for number in range(3)]
    for each in ids:
        _protect(member, each, "daily, keep 2")
    for each in ids[:2]:
        assert _copy(member, each)["result"] == "done"
    monkeypatch.setattr(protection, "_MOST_AT_ONCE", 1)
    first = _call(member, "GET", "?limit=2").json
    assert [(each["resource_id"], each["copies"]) for each in first["protections"]] == [(ids[0], 1), (ids[1], 1)]
    [link] = first["protections_links"]
    assert link["rel"] == "next"
    assert f"limit=2&marker={ids[1]}" in link["href"]
    rest = _call(member, "GET", f"?limit=2&marker={ids[1]}").json
    assert [(each["resource_id"], each["copies"]) for each in rest["protections"]] == [(ids[2], 0)]
    assert "protections_links" not in rest
    assert "protections_links" not in _call(member, "GET", "").json
    assert _call(member, "GET", "?limit=0").json == {"protections": []}
    for query in ("limit=x", "limit=-1", f"marker={ids[0][::-1]}"):
        assert _call(member, "GET", f"?{query}").status_code == 400, query
    assert _call(stranger, "GET", f"?marker={ids[0]}").status_code == 400, "it would tell of what others have"
    for each in ids:
        assert _call(member, "DELETE", f"/{each}").status_code == 204
        member.gone(each)
    with member.appliance.built.database.write(internal()) as w:
        for each in ids:
            w.session.delete(protection.find(w, each))


def test_a_server_is_copied_by_the_clock_and_the_oldest_copies_go(member: Cloud, stranger: Cloud) -> None:
    server_id = member.boot("shop")
    told = _protect(member, server_id, "hourly, keep 2; daily, keep 1")
    assert (told["schedule"], told["resource_type"]) == ("hourly, keep 2; daily, keep 1", "server")
    assert (told["last_run"], told["copies"], told["running"]) == (None, 0, False)
    at = datetime.fromisoformat(told["next_run_at"])
    assert not _due(member, server_id), "not yet"
    other = member.boot("other")
    assert member.act(server_id, "createImage", {"name": "by hand"}, "2.95").status_code == 202
    member.wait(server_id, "ACTIVE")
    made = []
    for number in range(4):  # each after two days of downtime: missed ones are made up for once
        assert _due(member, server_id, days=2 * number + 2)
        assert not _due(member, server_id, days=2 * number + 2), "one at a time"
        made.append(_ended(member, server_id))
    assert [run["result"] for run in made] == ["done"] * 4
    assert made[0]["frequencies"] == ["hourly", "daily"]
    assert datetime.fromisoformat(_shown(member, server_id)["next_run_at"]) > at + timedelta(days=7)
    runs = _runs(member, server_id)
    assert [run["id"] for run in runs] == [made[3]["id"], made[2]["id"]]
    shown = _shown(member, server_id)
    assert (shown["copies"], shown["size_bytes"]) == (2, sum(run["size_bytes"] for run in runs))
    assert [_image(member, run["copy_id"]).status_code for run in made] == [404, 404, 200, 200]
    image = _image(member, runs[0]["copy_id"]).json
    assert (image["status"], image["size"], image["protection"]) == ("active", runs[0]["size_bytes"], "hourly,daily")
    assert image["owner"] == member.server(server_id)["tenant_id"]
    assert image["name"].startswith("shop 20")
    named = member.appliance.get("/image/v2/images?name=by hand", token=member.token).json["images"]
    assert [one["status"] for one in named] == ["active"], "what others made stays"
    assert [each["resource_id"] for each in _call(member, "GET", "").json["protections"]] == [server_id]
    assert _call(stranger, "GET", "").json["protections"] == []
    for method, path, body in (
        ("GET", "", None), ("DELETE", "", None), ("GET", "/runs", None), ("POST", "/runs", None),
        ("POST", "/restore", {"restore": {"name": "x"}}), ("PUT", "", {"protection": {"schedule": "daily, keep 1"}}),
    ):  # fmt: skip
        assert _call(stranger, method, f"/{server_id}{path}", body).status_code == 404, (method, path)
    member.gone(other)
    member.gone(server_id)


@pytest.mark.parametrize("schedule", ["", "hourly", "hourly, keep 0", "hourly, keep 1; hourly, keep 2", 5, None])
def test_a_schedule_that_makes_no_sense(member: Cloud, schedule: Any) -> None:
    server_id = "12345678-1234-1234-1234-123456789abc"
    answer = _call(member, "PUT", f"/{server_id}", {"protection": {"schedule": schedule}})
    assert answer.status_code == 400
    assert "schedule" in answer.text
    assert _call(member, "GET", f"/{server_id}").status_code == 404


def test_what_cannot_be_protected(member: Cloud) -> None:
    missing = "12345678-1234-1234-1234-123456789abc"
    body = {"protection": {"schedule": "daily, keep 1"}}
    assert _call(member, "PUT", f"/{missing}", body).status_code == 404


def test_a_copy_becomes_a_server_like_the_one_that_is_gone(member: Cloud) -> None:
    key = member.call("POST", "/os-keypairs", {"keypair": {"name": "mine", "type": "ssh", "public_key": _KEY}})
    assert key.status_code == 201, key.text
    group = member.appliance.post("/network/v2.0/security-groups", {"security_group": {"name": "web"}},
                                  token=member.token)  # fmt: skip
    assert group.status_code == 201, group.text
    server_id = member.boot("lost", key_name="mine", security_groups=[{"name": "web"}], metadata={"a": "b"},
                            flavorRef="2")  # fmt: skip
    before = member.server(server_id)
    _protect(member, server_id, "daily, keep 3")
    asked = {"restore": {"name": "back"}}
    assert _call(member, "POST", f"/{server_id}/restore", asked).status_code == 409, "no copy yet"
    first, second = _copy(member, server_id), _copy(member, server_id)
    member.gone(server_id)
    assert member.call("DELETE", "/os-keypairs/mine").status_code == 204
    assert _due(member, server_id, days=3) is False
    assert _shown(member, server_id)["schedule"] == "", "nothing to be copied any more"
    restored = _call(member, "POST", f"/{server_id}/restore", {"restore": {"name": "back", "run_id": first["id"]}})
    assert restored.status_code == 202, restored.text
    made = restored.json["restored"]
    assert (made["resource_type"], made["name"]) == ("server", "back")
    after = member.wait(made["id"], "ACTIVE")
    assert after["image"]["id"] == first["copy_id"] != second["copy_id"]
    assert (after["key_name"], after["metadata"]) == ("mine", {"a": "b"})
    assert after["flavor"] == before["flavor"]
    assert after["security_groups"] == before["security_groups"] == [{"name": "web"}]
    assert list(after["addresses"]) == list(before["addresses"])
    for wrong, status in (({"name": ""}, 400), ({}, 400), ({"name": "x", "run_id": "no"}, 400),
                          ({"name": "x", "run_id": made["id"]}, 404)):  # fmt: skip
        assert _call(member, "POST", f"/{server_id}/restore", {"restore": wrong}).status_code == status, wrong
    assert member.appliance.call("DELETE", f"/image/v2/images/{second['copy_id']}",
                                 token=member.token).status_code == 204  # fmt: skip
    chosen = {"restore": {"name": "x", "run_id": second["id"]}}
    assert _call(member, "POST", f"/{server_id}/restore", chosen).status_code == 409
    assert [run["copy_id"] for run in _runs(member, server_id)] == [None, first["copy_id"]]
    member.gone(made["id"])


def test_a_run_that_fails_is_told_and_leaves_nothing(member: Cloud) -> None:
    server_id = member.boot("broken")
    _protect(member, server_id, "hourly, keep 2")
    member.appliance.driver.fail_next(
        "take_snapshot", DriverError("take_snapshot", "The disk is full.", code="disk.full")
    )
    run = _copy(member, server_id)
    assert (run["result"], run["size_bytes"], run["copy_id"]) == ("failed", None, None)
    assert "The disk is full." in run["problem"]
    assert _shown(member, server_id)["copies"] == 0
    member.wait(server_id, "ACTIVE")
    assert _copy(member, server_id)["result"] == "done"
    member.gone(server_id)


def test_a_server_that_is_being_copied_already_is_waited_for(member: Cloud) -> None:
    server_id = member.boot("busy")
    _protect(member, server_id, "hourly, keep 2")
    gate: threading.Event = member.appliance.driver.hold("take_snapshot")
    gate.clear()
    assert member.act(server_id, "createImage", {"name": "slow"}, "2.95").status_code == 202
    assert _call(member, "POST", f"/{server_id}/runs").status_code == 202
    again = _call(member, "POST", f"/{server_id}/runs")
    assert (again.status_code, "copied already" in again.text) == (409, True)
    assert _call(member, "DELETE", f"/{server_id}").status_code == 204
    gate.set()
    assert _ended(member, server_id)["result"] == "done", "what was begun is made"
    shown = _shown(member, server_id)
    assert (shown["schedule"], shown["next_run_at"], shown["copies"]) == ("", None, 1)
    assert _call(member, "POST", f"/{server_id}/runs").status_code == 409
    member.gone(server_id)


def test_a_server_deleted_while_it_is_copied(member: Cloud) -> None:
    server_id = member.boot("going")
    _protect(member, server_id, "hourly, keep 2")
    gate: threading.Event = member.appliance.driver.hold("take_snapshot")
    gate.clear()
    assert _call(member, "POST", f"/{server_id}/runs").status_code == 202
    wait_for(lambda: member.server(server_id)["OS-EXT-STS:task_state"] == "image_snapshot")
    assert member.call("DELETE", f"/servers/{server_id}").status_code == 204
    gate.set()
    run = _ended(member, server_id)
    assert (run["result"], run["copy_id"]) == ("failed", None)


def test_a_volume_is_backed_up_and_comes_back(member: Cloud) -> None:
    def volumes(method: str, path: str, **more: Any) -> Any:
        return member.appliance.call(method, f"/volume/v3{path}", token=member.token, **more)

    made = volumes("POST", "/volumes", json={"volume": {"size": 1, "name": "data"}}).json["volume"]["id"]
    wait_for(lambda: volumes("GET", f"/volumes/{made}").json["volume"]["status"] == "available")
    assert _protect(member, made, "weekly, keep 1")["resource_type"] == "volume"
    assert _due(member, made, days=8)
    old = _ended(member, made)
    assert _due(member, made, days=16)
    new = _ended(member, made)
    assert (old["result"], new["result"], new["problem"]) == ("done", "done", "")
    wait_for(lambda: volumes("GET", f"/backups/{old['copy_id']}").status_code == 404)
    assert volumes("GET", f"/backups/{new['copy_id']}").json["backup"]["status"] == "available"
    restored = _call(member, "POST", f"/{made}/restore", {"restore": {"name": "again"}})
    assert restored.status_code == 202, restored.text
    again = restored.json["restored"]["id"]
    wait_for(lambda: volumes("GET", f"/volumes/{again}").json["volume"]["status"] == "available")
    wait_for(lambda: volumes("GET", f"/backups/{new['copy_id']}").json["backup"]["status"] == "available")


def test_a_volume_that_was_given_away_is_protected_anew(member: Cloud, stranger: Cloud) -> None:
    def volumes(cloud: Cloud, method: str, path: str, body: Any = None) -> Any:
        return member.appliance.call(method, f"/volume/v3{path}", token=cloud.token, json=body)

    made = volumes(member, "POST", "/volumes", {"volume": {"size": 1, "name": "given"}}).json["volume"]["id"]
    wait_for(lambda: volumes(member, "GET", f"/volumes/{made}").json["volume"]["status"] == "available")
    _protect(member, made, "weekly, keep 1")
    assert _due(member, made, days=8)
    theirs = _ended(member, made)["copy_id"]
    wait_for(lambda: volumes(member, "GET", f"/volumes/{made}").json["volume"]["status"] == "available")
    offer = volumes(member, "POST", "/os-volume-transfer", {"transfer": {"volume_id": made}}).json["transfer"]
    accept = {"accept": {"auth_key": offer["auth_key"]}}
    assert volumes(stranger, "POST", f"/os-volume-transfer/{offer['id']}/accept", accept).status_code == 202
    assert not _due(member, made, days=16), "it is not theirs any more"
    assert _shown(member, made)["schedule"] == ""
    _protect(stranger, made, "weekly, keep 1")
    assert _runs(stranger, made) == []
    assert _call(stranger, "POST", f"/{made}/restore", {"restore": {"name": "x"}}).status_code == 409
    assert _call(stranger, "POST", f"/{made}/tests").status_code in (400, 409)
    copied = _copy(stranger, made)
    assert (copied["result"], copied["problem"]) == ("done", "")
    assert volumes(member, "GET", f"/backups/{theirs}").json["backup"]["status"] == "available"


def test_a_run_whose_task_was_lost_is_ended_and_old_runs_are_forgotten(member: Cloud) -> None:
    server_id = member.boot("orphan")
    _protect(member, server_id, "hourly, keep 2")
    run = _copy(member, server_id)
    database = member.appliance.built.database
    with database.write(internal()) as w:
        found = protection.find(w, server_id)
        assert found is not None
        found.run_id = run["id"]
    with database.write(internal()) as w:
        assert protection_runs.end_orphans(w) == 1
    assert _shown(member, server_id)["running"] is False
    assert _runs(member, server_id)[0]["result"] == "done"
    with database.write(internal()) as w:
        protection_runs.prune(w, older_than=w.now + timedelta(days=1))
    assert [one["id"] for one in _runs(member, server_id)] == [run["id"]], "its copy is there"
    gone = member.appliance.call("DELETE", f"/image/v2/images/{run['copy_id']}", token=member.token)
    assert gone.status_code == 204
    assert _call(member, "DELETE", f"/{server_id}").status_code == 204
    with database.write(internal()) as w:
        protection_runs.prune(w, older_than=w.now + timedelta(days=1))
    assert _call(member, "GET", f"/{server_id}").status_code == 404
    member.gone(server_id)


_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHS3lDUgDl+wr/NrmfSbOIqYbDkk0rRq1bBJ5DzrKFaT a@b"
