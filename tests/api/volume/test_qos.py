"""Quality of service: the specs, the types that have them, and what hosts are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import wait_for
from tests.api.volume.conftest import UNKNOWN, Cinder
from tests.api.volume.test_in_use import Server


@pytest.fixture
def slow(admin: Cinder) -> Iterator[dict[str, Any]]:
    """Specs and a type that has them."""
    body = {"name": "slow", "consumer": "front-end", "read_iops_sec": "100", "write_bytes_sec_per_gb": "1024"}
    specs = admin.ask("/qos-specs", {"qos_specs": body}, 200)["qos_specs"]
    kind = admin.ask("/types", {"volume_type": {"name": "slow"}}, 200)["volume_type"]
    assert admin.call("GET", f"/qos-specs/{specs['id']}/associate?vol_type_id={kind['id']}").status_code == 202
    yield {**specs, "type_id": kind["id"]}
    assert admin.call("DELETE", f"/qos-specs/{specs['id']}?force=true").status_code == 202
    assert admin.call("DELETE", f"/types/{kind['id']}").status_code == 202


def test_specs_have_types(admin: Cinder, member: Cinder, slow: dict[str, Any]) -> None:
    path = f"/qos-specs/{slow['id']}"
    assert admin.get(path)["qos_specs"]["specs"] == {"read_iops_sec": "100", "write_bytes_sec_per_gb": "1024"}
    assert admin.get(f"/types/{slow['type_id']}")["volume_type"]["qos_specs_id"] == slow["id"]
    (association,) = admin.get(f"{path}/associations")["qos_associations"]
    assert association == {"association_type": "volume_type", "name": "slow", "id": slow["type_id"]}
    assert admin.refused("DELETE", path)[0] == 400
    assert member.refused("GET", path)[0] == 403
    assert [one["name"] for one in admin.get("/qos-specs")["qos_specs"]] == ["slow"]
    changed = admin.call("PUT", path, {"qos_specs": {"read_iops_sec": 50, "consumer": "both"}})
    assert changed.json["qos_specs"] == {"read_iops_sec": 50, "consumer": "both"}
    assert admin.call("PUT", f"{path}/delete_keys", {"keys": ["write_bytes_sec_per_gb"]}).status_code == 202
    assert admin.refused("PUT", f"{path}/delete_keys", {"keys": ["none"]})[0] == 404
    now = admin.get(path)["qos_specs"]
    assert (now["consumer"], now["specs"]) == ("both", {"read_iops_sec": "50"})
    assert admin.call("GET", f"{path}/disassociate_all").status_code == 202
    assert admin.get(f"{path}/associations")["qos_associations"] == []
    assert admin.get(f"/types/{slow['type_id']}")["volume_type"]["qos_specs_id"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [({"name": "slow"}, 409), ({}, 400), ({"name": "x", "consumer": "me"}, 400),
     ({"name": "x", "read_iops_sec": "many"}, 400), ({"name": "x", "total_bytes_sec": "1", "read_bytes_sec": "1"}, 400),
     ({"name": "x", "read_iops_sec": -1}, 400)],
)  # fmt: skip
def test_bad_specs(admin: Cinder, slow: dict[str, Any], body: dict[str, Any], status: int) -> None:
    assert admin.refused("POST", "/qos-specs", {"qos_specs": body})[0] == status


def test_a_type_has_one(admin: Cinder, slow: dict[str, Any]) -> None:
    second = admin.ask("/qos-specs", {"qos_specs": {"name": "second"}}, 200)["qos_specs"]
    assert second["consumer"] == "back-end"
    path = f"/qos-specs/{second['id']}"
    assert admin.refused("GET", f"{path}/associate?vol_type_id={slow['type_id']}")[0] == 400
    assert admin.refused("GET", f"{path}/associate?vol_type_id={UNKNOWN}")[0] == 404
    assert admin.refused("GET", f"{path}/associate?vol_type_id=x")[0] == 400
    assert admin.refused("GET", f"/qos-specs/{UNKNOWN}")[0] == 404
    assert admin.call("DELETE", path).status_code == 202


def _limits(admin: Cinder, server_id: str, volume_id: str) -> Any:
    spec = admin.appliance.driver._guests[server_id].spec
    assert spec is not None
    return next((dict(disk.limits) for disk in spec.disks if disk.serial == volume_id[:20]), None)


def test_guests_are_held_to_them_and_to_changes(admin: Cinder, slow: dict[str, Any]) -> None:
    volume_id = admin.volume(volume_type="slow", size=2)["id"]
    server = Server(admin)
    server_id = server.id
    server.attach(volume_id)
    assert _limits(admin, server_id, volume_id) == {"read_iops_sec": 100, "write_bytes_sec": 2048}
    admin.call("PUT", f"/qos-specs/{slow['id']}", {"qos_specs": {"read_iops_sec": "7"}})
    wait_for(lambda: _limits(admin, server_id, volume_id)["read_iops_sec"] == 7, why="the new limit did not arrive")
    admin.act(volume_id, "os-retype", {"new_type": "__DEFAULT__", "migration_policy": "never"})
    wait_for(lambda: _limits(admin, server_id, volume_id) == {}, why="the limits of the old type stayed")
    server.detach(volume_id)
    admin.delete("volumes", volume_id)
