"""Other hosts for servers, as requests may ask for them at each microversion, and the list of their moves."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Cloud

UNKNOWN = "12345678-1234-1234-1234-123456789abc"


@pytest.fixture(scope="module")
def one(member: Cloud) -> str:
    return member.boot("moved")


@pytest.fixture(scope="module")
def host(admin: Cloud, one: str) -> str:
    return str(admin.server(one)["OS-EXT-SRV-ATTR:host"])


def why(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(next(iter(answer.json.values()))["message"])


def settled(admin: Cloud, server_id: str) -> None:
    admin.wait(server_id, "ACTIVE")


def test_members_move_nothing(member: Cloud, one: str) -> None:
    live = {"host": None, "block_migration": "auto"}
    for action, value in (("migrate", None), ("os-migrateLive", live), ("evacuate", {})):
        assert member.act(one, action, value).status_code == 403


def test_managers_migrate_but_not_to_hosts_of_their_choice(admin: Cloud, host: str) -> None:
    manager = Cloud(admin.appliance, admin.appliance.member("carol", role="manager"), admin.image_id)
    assert "index:all_projects" in why(manager.get("/os-migrations"), 403)
    assert manager.get("/os-migrations?project_id=other", "2.80").status_code == 403
    assert manager.get(f"/servers/{UNKNOWN}/migrations/1").status_code == 403
    assert manager.get(f"/servers/{UNKNOWN}/migrations").status_code == 404
    mine = str(admin.appliance.get("/identity/v3/projects?name=carol").json["projects"][0]["id"])
    assert manager.get(f"/os-migrations?project_id={mine}", "2.80").json == {"migrations": []}
    assert "migrate:host" in why(manager.act(UNKNOWN, "migrate", {"host": host}), 403)
    live = {"host": host, "block_migration": "auto"}
    assert "migrate_live:host" in why(manager.act(UNKNOWN, "os-migrateLive", live), 403)
    assert manager.act(UNKNOWN, "migrate", None).status_code == 404


@pytest.mark.parametrize(
    ("version", "body", "status"),
    [
        ("2.1", None, 202), ("2.55", None, 202), ("2.55", {"anything": 1}, 202), ("2.56", {}, 202),
        ("2.56", {"host": None}, 202), ("2.104", None, 202), ("2.56", {"anything": 1}, 400), ("2.56", "host", 400),
        ("2.56", {"host": ""}, 400), ("2.56", {"host": "no host!"}, 400), ("2.56", {"host": "unknown"}, 400),
    ],
)  # fmt: skip
def test_migrate(admin: Cloud, one: str, version: str, body: Any, status: int) -> None:
    settled(admin, one)
    assert admin.act(one, "migrate", body, version).status_code == status
    settled(admin, one)


def test_hosts_to_migrate_to(admin: Cloud, one: str, host: str) -> None:
    same = why(admin.act(one, "migrate", {"host": host}), 400)
    assert same == "Cannot migrate to the host where the server exists."
    assert why(admin.act(one, "migrate", {"host": "unknown"}), 400) == "Compute host unknown could not be found."


OLD = {"host": None, "block_migration": False, "disk_over_commit": False}
NEW = {"host": None, "block_migration": "auto"}


@pytest.mark.parametrize(
    ("version", "body", "status"),
    [
        ("2.1", OLD, 400), ("2.24", OLD, 400), ("2.24", {**OLD, "disk_over_commit": "maybe"}, 400),
        ("2.24", NEW, 400), ("2.25", OLD, 400), ("2.25", NEW, 400), ("2.33", NEW, 400),
        ("2.34", NEW, 202), ("2.34", {**NEW, "block_migration": "True"}, 202),
        ("2.34", {**NEW, "block_migration": "maybe"}, 400), ("2.34", {**NEW, "force": True}, 400),
        ("2.34", {**NEW, "force": "false"}, 202), ("2.67", {**NEW, "force": False}, 202),
        ("2.68", {**NEW, "force": False}, 400), ("2.104", NEW, 202), ("2.104", {"block_migration": "auto"}, 400),
        ("2.104", {"host": None}, 400), ("2.104", None, 400), ("2.34", {**NEW, "host": "unknown"}, 400),
    ],
)  # fmt: skip
def test_live_migration(admin: Cloud, one: str, version: str, body: Any, status: int) -> None:
    settled(admin, one)
    assert admin.act(one, "os-migrateLive", body, version).status_code == status
    settled(admin, one)


def test_what_is_told_of_a_live_migration_that_cannot_be(admin: Cloud, one: str, host: str) -> None:
    none = "No valid host was found. There are not enough hosts available."
    assert why(admin.act(one, "os-migrateLive", OLD, "2.1"), 400) == none
    assert why(admin.act(one, "os-migrateLive", {**OLD, "host": host}, "2.1"), 400) == (
        f"Unable to migrate instance ({one}) to current host ({host})."
    )
    unforced = why(admin.act(one, "os-migrateLive", {**NEW, "force": True}, "2.34"), 400)
    assert unforced == "Can't force to a non-provided destination"
    stopped = admin.boot("stopped")
    admin.act(stopped, "os-stop")
    admin.wait(stopped, "SHUTOFF")
    text = f"Cannot 'os-migrateLive' instance {stopped} while it is in vm_state stopped"
    assert why(admin.act(stopped, "os-migrateLive", NEW), 409) == text
    admin.gone(stopped)


@pytest.mark.parametrize(
    ("version", "body", "text"),
    [
        ("2.13", {}, "'onSharedStorage' is a required property"),
        ("2.13", {"onSharedStorage": True, "adminPass": "x"}, "admin password can't be changed on existing disk"),
        ("2.13", {"onSharedStorage": False}, "is still in use"), ("2.14", {"onSharedStorage": False}, "onShared"),
        ("2.14", {}, "is still in use"), ("2.28", {"force": True, "host": "x"}, "force"),
        ("2.29", {"force": True}, "Can't force to a non-provided destination"),
        ("2.29", {"force": False}, "is still in use"), ("2.68", {"force": False}, "force"),
        ("2.95", {"adminPass": "secret"}, "is still in use"), ("2.95", {"host": ""}, "host"), ("2.95", None, "null"),
    ],
)  # fmt: skip
def test_evacuate_is_refused(admin: Cloud, one: str, version: str, body: Any, text: str) -> None:
    answer = admin.act(one, "evacuate", body, version)
    if text == "null":
        assert answer.status_code == 400
    else:
        assert text in why(answer, 400)


def test_hosts_to_evacuate_to(admin: Cloud, one: str, host: str) -> None:
    assert why(admin.act(one, "evacuate", {"host": "unknown"}), 404) == "Compute host unknown not found."
    assert why(admin.act(one, "evacuate", {"host": host}), 400) == "The target host can't be the same one."


@pytest.mark.parametrize(
    ("version", "shared", "told"), [("2.13", False, True), ("2.13", True, True), ("2.14", None, False)]
)
def test_the_password_of_an_evacuated_server(admin: Cloud, version: str, shared: Any, told: bool) -> None:
    server_id = admin.boot("evacuated")
    services = admin.get("/os-services?binary=nova-compute").json["services"]
    path = f"/os-services/{services[0]['id']}"
    assert admin.call("PUT", path, {"forced_down": True}).status_code == 200
    answer = admin.act(server_id, "evacuate", {} if shared is None else {"onSharedStorage": shared}, version)
    assert admin.call("PUT", path, {"forced_down": False}).status_code == 200
    assert answer.status_code == 200
    if told:
        assert set(answer.json) == {"adminPass"}
        assert (answer.json["adminPass"] is None) == bool(shared)
    else:
        assert answer.text == ""
    admin.wait(server_id, "ERROR")
    admin.gone(server_id)


def test_no_live_migration_is_there_to_be_shown_ended_or_hurried(admin: Cloud, one: str) -> None:
    settled(admin, one)
    moves = admin.get(f"/os-migrations?instance_uuid={one}").json["migrations"]
    live = next(row["id"] for row in moves if row["migration_type"] == "live-migration")
    cold = next(row["id"] for row in moves if row["migration_type"] == "migration")
    path = f"/servers/{one}/migrations"
    assert admin.get(path, "2.22").status_code == 404
    assert admin.get(path, "2.23").json == {"migrations": []}
    assert "is not in progress" in why(admin.get(f"{path}/{live}", "2.23"), 404)
    assert "is not live-migration" in why(admin.get(f"{path}/{cold}", "2.23"), 404)
    assert "is not found for server" in why(admin.get(f"{path}/999", "2.23"), 404)
    assert "is not found for server" in why(admin.get(f"{path}/x", "2.23"), 404)
    assert admin.call("DELETE", f"{path}/{live}", version="2.23").status_code == 404
    text = f"Cannot 'abort live migration' instance {one} while it is in task_state None"
    assert why(admin.call("DELETE", f"{path}/{live}", version="2.24"), 409) == text
    hurry = {"force_complete": None}
    assert admin.call("POST", f"{path}/{live}/action", hurry, "2.21").status_code == 404
    assert admin.call("POST", f"{path}/{live}/action", hurry, "2.22").status_code == 409
    assert admin.call("POST", f"{path}/{live}/action", {"force_complete": {}}, "2.22").status_code == 400


def test_the_list(admin: Cloud, one: str, host: str) -> None:
    settled(admin, one)
    everything = admin.get("/os-migrations", "2.80").json["migrations"]
    assert len(everything) > 3
    shown = {"id", "status", "instance_uuid", "source_compute", "source_node", "dest_compute", "dest_node",
             "dest_host", "old_instance_type_id", "new_instance_type_id", "created_at", "updated_at"}  # fmt: skip
    for version, more in (("2.22", set()), ("2.23", {"migration_type"}), ("2.59", {"migration_type", "uuid"}),
                          ("2.80", {"migration_type", "uuid", "user_id", "project_id"})):  # fmt: skip
        rows = admin.get("/os-migrations", version).json["migrations"]
        assert all(set(row) == shown | more for row in rows)
        order = [row["id"] for row in rows]
        assert order == sorted(order, reverse=version >= "2.59")
    assert everything[0]["source_compute"] == host

    def count(query: str, version: str = "2.80") -> int:
        return len(admin.get(f"/os-migrations?{query}", version).json["migrations"])

    assert count(f"host={host}&source_compute={host}&instance_uuid={one}&status=error") > 3
    assert count("status=done") == count("host=x") == count("migration_type=resize") == count("hidden=true") == 0
    assert count(f"user_id={everything[0]['user_id']}") == len(everything)
    assert count("user_id=y&color=red", "2.58") == len(everything)
    assert count("changes-since=2000-01-01T00:00:00", "2.59") == len(everything)
    assert count("changes-before=2000-01-01T00:00:00", "2.66") == 0
    swapped = "/os-migrations?changes-before=2000-01-01T00:00:00&changes-since=2001-01-01T00:00:00"
    assert "changes-since must be less than" in why(admin.get(swapped, "2.66"), 400)


def test_pages_of_the_list(admin: Cloud, one: str) -> None:
    settled(admin, one)
    rows = [row["uuid"] for row in admin.get("/os-migrations", "2.59").json["migrations"]]
    first = admin.get("/os-migrations?limit=2", "2.59").json
    assert [row["uuid"] for row in first["migrations"]] == rows[:2]
    (link,) = first["migrations_links"]
    assert (link["rel"], link["href"].endswith(f"/os-migrations?limit=2&marker={rows[1]}")) == ("next", True)
    second = admin.get(f"/os-migrations?limit=2&marker={rows[1]}", "2.59").json
    assert [row["uuid"] for row in second["migrations"]] == rows[2:4]
    assert len(admin.get("/os-migrations?limit=2", "2.58").json["migrations"]) == len(rows)


@pytest.mark.parametrize(
    ("query", "version", "status"),
    [
        ("color=red", "2.58", 200), ("color=red", "2.59", 400), (f"marker={UNKNOWN}", "2.59", 400),
        ("limit=x", "2.59", 400), ("changes-since=yesterday", "2.59", 400),
        ("changes-before=2026-01-01T00:00:00", "2.65", 400), ("project_id=x", "2.79", 400),
        ("project_id=x&user_id=y", "2.80", 200),
    ],
)  # fmt: skip
def test_what_the_list_is_asked_for(admin: Cloud, query: str, version: str, status: int) -> None:
    assert admin.get(f"/os-migrations?{query}", version).status_code == status


def test_before_2_80_too_managers_see_what_is_their_projects(admin: Cloud, one: str) -> None:
    assert admin.act(one, "migrate", None).status_code == 202
    settled(admin, one)
    assert admin.get("/os-migrations", "2.1").json["migrations"]
    manager = Cloud(admin.appliance, admin.appliance.member("dora", role="manager"), admin.image_id)
    mine = str(admin.appliance.get("/identity/v3/projects?name=dora").json["projects"][0]["id"])
    for version in ("2.1", "2.58", "2.80"):
        assert manager.get(f"/os-migrations?project_id={mine}", version).json == {"migrations": []}


def test_what_failed_in_detail_is_for_administrators(admin: Cloud, member: Cloud) -> None:
    server = member.boot()
    path = f"/servers/{server}/os-instance-actions"
    path += "/" + member.get(path).json["instanceActions"][0]["request_id"]
    assert all("details" not in event for event in member.get(path, "2.84").json["instanceAction"]["events"])
    assert all("details" in event for event in admin.get(path, "2.84").json["instanceAction"]["events"])
    member.gone(server)
