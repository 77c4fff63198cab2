"""Volumes that go to another backend: asked for by an administrator, or because their new type wants it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novalite.errors import DriverError
from tests.api.conftest import Appliance, running, wait_for
from tests.api.volume.conftest import Cinder
from tests.api.volume.test_in_use import Server


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    wanted = ("one=fake", "two=fake", "full=fake?total_gib=1")
    with running(tmp_path_factory.mktemp("state"), volumes__backends=wanted) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def types(admin: Cinder) -> None:
    for name, specs in (
        ("on-one", {"volume_backend_name": "one"}), ("on-two", {"volume_backend_name": "two"}),
        ("faked", {"storage_protocol": "fake"}), ("elsewhere", {"storage_protocol": "ceph"}), ("any", {}),
    ):  # fmt: skip
        admin.ask("/types", {"volume_type": {"name": name, "extra_specs": specs}}, 200)


@pytest.fixture(scope="module")
def server(admin: Cinder) -> Server:
    return Server(admin)


def _there(admin: Cinder) -> dict[str, tuple[str, ...]]:
    backends = admin.appliance.built.parts.volumes
    return {name: backends.of(name).volume_ids() for name in ("one", "two")}


def _host(admin: Cinder, name: str) -> str:
    pools = [pool["name"] for pool in admin.get("/scheduler-stats/get_pools")["pools"]]
    return str(next(one for one in pools if f"@{name}#" in one))


def _shown(admin: Cinder, volume_id: str) -> dict[str, Any]:
    found: dict[str, Any] = admin.get(f"/volumes/{volume_id}")["volume"]
    return found


def _settled(admin: Cinder, volume_id: str, status: str, backend: str, migration: str | None) -> dict[str, Any]:
    """The volume once nothing goes on: where its data are, and nowhere else."""
    found = admin.until("volumes", volume_id, status)
    wait_for(lambda: [name for name, ids in _there(admin).items() if volume_id in ids] == [backend],
             why=f"it is not on {backend} alone")  # fmt: skip
    assert found["os-vol-host-attr:host"] == _host(admin, backend)
    assert found["migration_status"] == found["os-vol-mig-status-attr:migstat"] == migration
    return found


def _refused(admin: Cinder, volume_id: str, action: str, body: Any) -> str:
    status, message = admin.refused("POST", f"/volumes/{volume_id}/action", {action: body})
    assert status == 400, message
    return message


def test_a_volume_is_migrated_and_back(admin: Cinder) -> None:
    volume_id = admin.volume()["id"]
    admin.act(volume_id, "os-migrate_volume", {"host": _host(admin, "two")})
    _settled(admin, volume_id, "available", "two", "success")
    body = {"host": _host(admin, "one").partition("#")[0], "force_host_copy": True, "lock_volume": True}
    admin.act(volume_id, "os-migrate_volume", body)
    _settled(admin, volume_id, "available", "one", "success")
    admin.delete("volumes", volume_id)


def test_a_new_type_moves_it(admin: Cinder) -> None:
    volume = admin.volume(volume_type="on-one", name="kept", metadata={"a": "b"})
    volume_id = volume["id"]
    admin.act(volume_id, "os-retype", {"new_type": "on-two", "migration_policy": "on-demand"})
    found = _settled(admin, volume_id, "available", "two", "success")
    assert found["volume_type"] == "on-two"
    for same in ("id", "size", "name", "metadata", "user_id", "os-vol-tenant-attr:tenant_id"):
        assert found[same] == volume[same]
    admin.delete("volumes", volume_id)


def test_a_type_that_suits_moves_nothing(admin: Cinder) -> None:
    volume_id = admin.volume(volume_type="on-one")["id"]
    for name in ("faked", "any"):
        admin.act(volume_id, "os-retype", {"new_type": name, "migration_policy": "on-demand"})
        wait_for(lambda name=name: _shown(admin, volume_id)["volume_type"] == name)
        _settled(admin, volume_id, "available", "one", None)
    admin.delete("volumes", volume_id)


@pytest.mark.parametrize("policy", [{}, {"migration_policy": "never"}])
def test_what_may_not_move_stays(admin: Cinder, policy: dict[str, str]) -> None:
    volume_id = admin.volume(volume_type="on-one")["id"]
    admin.act(volume_id, "os-retype", {"new_type": "on-two", **policy})
    wait_for(lambda: admin.get(f"/messages?resource_uuid={volume_id}")["messages"], why="nobody is told why")
    (told,) = admin.get(f"/messages?resource_uuid={volume_id}")["messages"]
    assert "Retype requires migration but is not allowed" in told["user_message"]
    assert _settled(admin, volume_id, "available", "one", None)["volume_type"] == "on-one"
    admin.delete("volumes", volume_id)


@pytest.mark.parametrize("used", [False, True])
def test_what_fails_is_undone(admin: Cinder, server: Server, used: bool) -> None:
    """No room on the backend, a copy that breaks off, no backend that suits."""
    volume_id = admin.volume(volume_type="any", size=2)["id"]
    status = "in-use" if used else "available"
    if used:
        server.attach(volume_id)
    admin.act(volume_id, "os-migrate_volume", {"host": _host(admin, "full")})
    _settled(admin, volume_id, status, "one", "error")
    broken = DriverError("copy", "it broke off", code="driver.failed")
    if used:
        admin.appliance.driver.fail_next("swap_disk", broken)
    else:
        target: Any = admin.appliance.built.parts.volumes.of("two")
        target._driver.faults["ensure_volume"] = broken
    admin.act(volume_id, "os-migrate_volume", {"host": _host(admin, "two")})
    _settled(admin, volume_id, status, "one", "error")
    told = {one["user_message"] for one in admin.get(f"/messages?resource_uuid={volume_id}")["messages"]}
    assert any("it broke off" in one for one in told), told
    if not used:
        target._driver.faults.clear()
    admin.act(volume_id, "os-retype", {"new_type": "elsewhere", "migration_policy": "on-demand"})
    wait_for(lambda: _shown(admin, volume_id)["status"] == status)
    assert _settled(admin, volume_id, status, "one", None)["volume_type"] == "any"
    if used:
        server.detach(volume_id)
    admin.delete("volumes", volume_id)


def test_a_guest_that_has_it_goes_on(admin: Cinder, server: Server) -> None:
    volume_id = admin.volume(volume_type="on-one")["id"]
    server.attach(volume_id)
    admin.act(volume_id, "os-retype", {"new_type": "on-two", "migration_policy": "on-demand"})
    found = _settled(admin, volume_id, "in-use", "two", "success")
    assert [one["server_id"] for one in found["attachments"]] == [server.id]
    spec = admin.appliance.driver._guests[server.id].spec
    assert spec is not None
    (disk,) = (disk for disk in spec.disks if disk.path)
    place = admin.appliance.built.parts.volumes.of("two").place(volume_id)
    assert place is not None
    assert (disk.path, disk.serial) == (place.path, volume_id[:20])
    server.detach(volume_id)
    admin.act(volume_id, "os-retype", {"new_type": "on-one", "migration_policy": "on-demand"})
    _settled(admin, volume_id, "available", "one", "success")
    admin.delete("volumes", volume_id)


def test_what_an_earlier_move_has_left_is_not_taken_for_the_volume(admin: Cinder) -> None:
    volume_id = admin.volume()["id"]
    target: Any = admin.appliance.built.parts.volumes.of("two")
    left = target._driver._volumes / volume_id
    left.write_text("old data")
    admin.act(volume_id, "os-migrate_volume", {"host": _host(admin, "two")})
    _settled(admin, volume_id, "available", "two", "success")
    assert left.read_text() == "1"
    admin.delete("volumes", volume_id)


def test_nothing_comes_back_to_where_it_is_about_to_be_removed(admin: Cinder, server: Server) -> None:
    volume_id = admin.volume(volume_type="any")["id"]
    server.attach(volume_id)
    source: Any = admin.appliance.built.parts.volumes.of("one")
    source._driver.faults["delete_volume"] = DriverError("delete", "it is away", code="driver.failed", retryable=True)
    try:
        admin.act(volume_id, "os-migrate_volume", {"host": _host(admin, "two")})
        admin.until("volumes", volume_id, "in-use")
        assert _shown(admin, volume_id)["migration_status"] == "success"
        message = _refused(admin, volume_id, "os-migrate_volume", {"host": _host(admin, "one")})
        assert "are still being removed" in message
    finally:
        source._driver.faults.clear()
    _settled(admin, volume_id, "in-use", "two", "success")
    server.detach(volume_id)
    admin.delete("volumes", volume_id)


def test_what_cannot_move_is_refused(admin: Cinder, member: Cinder) -> None:
    volume_id = admin.volume(volume_type="on-one")["id"]
    one, two = _host(admin, "one"), _host(admin, "two")
    for body, why in (
        ({"host": one}, "destination host/cluster must be different"),
        ({"host": "nowhere"}, "No available service named nowhere"),
        ({"host": None}, "No available service"),
        ({"cluster": "c"}, "no clusters"),
        ({"host": two, "lock_volume": "perhaps"}, "lock_volume"),
    ):
        assert why in _refused(admin, volume_id, "os-migrate_volume", body)
    body = {"host": two.partition("#")[0], "binary": "cinder-volume"}
    admin.call("PUT", "/os-services/disable", body)
    assert "No available service" in _refused(admin, volume_id, "os-migrate_volume", {"host": two})
    admin.call("PUT", "/os-services/enable", body)
    snapshot_id = admin.snapshot(volume_id)["id"]
    assert "have snapshots" in _refused(admin, volume_id, "os-migrate_volume", {"host": two})
    retype = {"new_type": "on-two", "migration_policy": "on-demand"}
    assert "must not have snapshots" in _refused(admin, volume_id, "os-retype", retype)
    admin.delete("snapshots", snapshot_id)
    assert member.refused("POST", f"/volumes/{volume_id}/action", {"os-migrate_volume": {"host": two}})[0] == 403
    assert _shown(admin, volume_id)["status"] == "available"
    admin.delete("volumes", volume_id)


def test_completing_is_for_others(admin: Cinder) -> None:
    first, second = admin.volume()["id"], admin.volume()["id"]
    body = {"new_volume": second}
    told = admin.act(first, "os-migrate_volume_completion", body, status=200)
    assert told == {"save_volume_id": second}
    admin.act(second, "os-reset_status", {"migration_status": "migrating"})
    assert "Source volume not mid-migration" in _refused(admin, first, "os-migrate_volume_completion", body)
    admin.act(second, "os-reset_status", {"migration_status": "none"})
    assert _shown(admin, second)["migration_status"] is None
    for volume_id in (first, second):
        admin.delete("volumes", volume_id)


def test_an_empty_one_is_not_taken_for_a_copy(admin: Cinder) -> None:
    """It may have been made for a guest that is gone since, by a process that died."""
    volume_id = admin.volume(volume_type="any", size=3)["id"]
    two: Any = admin.appliance.built.parts.volumes.of("two")
    two.ensure_volume(volume_id, 1)
    admin.act(volume_id, "os-migrate_volume", {"host": _host(admin, "two")})
    _settled(admin, volume_id, "available", "two", "success")
    assert Path(two.place(volume_id).path).read_text() == "3", "what was there was taken"
    admin.delete("volumes", volume_id)
