"""kill -9 at every boundary of a run of a protection: it ends, with one copy, and only the oldest goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
_KIND = "protection.run"
_STEPS = [step.name for step in registry().flow(_KIND).steps]
_BOUNDARIES = [
    f"{_KIND}/claimed",
    *(f"{_KIND}/{step}:{edge}" for step in _STEPS for edge in ("begin", "done", "recorded")),
]
V = "/volume/v3"


class _Protected:
    """One server and one volume over all the lives, each with one copy."""

    def __init__(self, cloud: Doomed) -> None:
        self.cloud = cloud
        self.base = cloud.image(bytes(1 << 20))
        self.server_id = cloud.create("s", self.base, "1")
        cloud.wait_status(self.server_id, "ACTIVE")
        self.volume_id = str(cloud.post(f"{V}/volumes", {"volume": {"size": 1}})["volume"]["id"])
        until(lambda: cloud.get(f"{V}/volumes/{self.volume_id}")["volume"]["status"] == "available", "the volume")
        for resource_id in (self.server_id, self.volume_id):
            body = {"protection": {"schedule": "monthly, keep 1"}}
            assert cloud.call("PUT", f"/admin/protections/{resource_id}", json=body).status_code == 200
            self.begin(resource_id)
            self.ended(resource_id)

    def with_volumes(self) -> str:
        """A server that boots from a volume and has another, with one copy."""
        root = {"boot_index": 0, "source_type": "image", "destination_type": "volume", "volume_size": 1,
                "uuid": self.base, "delete_on_termination": True}  # fmt: skip
        beside = {"boot_index": -1, "source_type": "blank", "destination_type": "volume", "volume_size": 1,
                  "delete_on_termination": True}  # fmt: skip
        server_id = self.cloud.create("v", "", "1", block_device_mapping_v2=[root, beside])
        self.cloud.wait_status(server_id, "ACTIVE")
        body = {"protection": {"schedule": "monthly, keep 1"}}
        assert self.cloud.call("PUT", f"/admin/protections/{server_id}", json=body).status_code == 200
        self.begin(server_id)
        self.ended(server_id)
        return server_id

    def begin(self, resource_id: str) -> None:
        assert self.cloud.call("POST", f"/admin/protections/{resource_id}/runs").status_code == 202

    def ended(self, resource_id: str) -> None:
        def shown() -> Any:
            return self.cloud.get(f"/admin/protections/{resource_id}")["protection"]

        until(lambda: not shown()["running"], f"the run ends\n{self.cloud.log[-3000:]}")
        self.cloud.idle()
        assert (shown()["last_run"]["result"], shown()["last_run"]["problem"]) == ("done", "")

    def runs(self, resource_id: str) -> list[Any]:
        return list(self.cloud.get(f"/admin/protections/{resource_id}/runs")["runs"])

    def images(self) -> list[tuple[str, str]]:
        found = self.cloud.get("/image/v2/images")["images"]
        return [(image["id"], image["status"]) for image in found if image["id"] != self.base]

    def backups(self) -> list[tuple[str, str]]:
        return [(one["id"], one["status"]) for one in self.cloud.get(f"{V}/backups/detail")["backups"]]


@pytest.fixture(scope="module")
def one(doomed: Callable[..., Doomed]) -> _Protected:
    return _Protected(doomed("protection", compute__stop_timeout_seconds=2))


def test_the_flow_has_the_steps_this_test_was_written_for() -> None:
    assert _STEPS == ["copy", "moment", "await", "rotate", "finish"]


@pytest.mark.parametrize("boundary", _BOUNDARIES)
def test_a_server_is_copied_once(one: _Protected, boundary: str) -> None:
    [before] = one.runs(one.server_id)
    one.cloud.hold_at(boundary)
    one.begin(one.server_id)
    one.cloud.dies_at(boundary)
    one.ended(one.server_id)
    [after] = one.runs(one.server_id)
    assert after["id"] != before["id"]
    assert one.images() == [(after["copy_id"], "active")]
    assert one.cloud.server(one.server_id)["OS-EXT-STS:task_state"] is None  # type: ignore[index]
    assert one.cloud.doctor() == []


@pytest.mark.parametrize("boundary", [each for each in _BOUNDARIES if each.endswith(":done")])
def test_a_volume_is_copied_once(one: _Protected, boundary: str) -> None:
    [before] = one.runs(one.volume_id)
    one.cloud.hold_at(boundary)
    one.begin(one.volume_id)
    one.cloud.dies_at(boundary)
    one.ended(one.volume_id)
    [after] = one.runs(one.volume_id)
    assert after["id"] != before["id"]
    assert one.backups() == [(after["copy_id"], "available")]
    assert one.cloud.doctor() == []


@pytest.fixture(scope="module")
def with_volumes(one: _Protected) -> str:
    return one.with_volumes()


@pytest.mark.parametrize("boundary", [each for each in _BOUNDARIES if each.endswith(":done")])
def test_a_server_is_copied_once_with_its_volumes(one: _Protected, with_volumes: str, boundary: str) -> None:
    [before], others = one.runs(with_volumes), one.backups()
    one.cloud.hold_at(boundary)
    one.begin(with_volumes)
    one.cloud.dies_at(boundary)
    one.ended(with_volumes)
    [after] = one.runs(with_volumes)
    assert (after["id"] != before["id"], len(after["backup_ids"])) == (True, 2)
    kept = {(backup_id, "available") for backup_id in after["backup_ids"]}
    assert kept < set(one.backups())
    assert not {(backup_id, "available") for backup_id in before["backup_ids"]} & set(one.backups())
    assert len(one.backups()) == len(others)
    assert one.cloud.doctor() == []


def test_kept_copies_come_back_whatever_was_killed(one: _Protected, with_volumes: str) -> None:
    boundary = "server.boot/volumes:done"
    one.cloud.hold_at(boundary)
    body = {"restore": {"name": "back"}}
    answer = one.cloud.call("POST", f"/admin/protections/{with_volumes}/restore", json=body)
    assert answer.status_code == 202, answer.text
    one.cloud.dies_at(boundary)
    back = answer.json()["restored"]["id"]
    one.cloud.wait_status(back, "ACTIVE")
    one.cloud.idle()
    attached = one.cloud.get(f"/compute/v2.1/servers/{back}/os-volume_attachments")["volumeAttachments"]
    assert len(attached) == 2
    assert one.cloud.doctor() == []
    one.cloud.delete(back)
    one.cloud.wait_gone(back)


@pytest.mark.parametrize("edge", ["turned", "copy:undo", "copy:undone", "undone"])
def test_a_server_deleted_while_it_is_copied_leaves_nothing_of_it(one: _Protected, edge: str) -> None:
    cloud = one.cloud
    server_id = cloud.create("going", one.base, "1")
    cloud.wait_status(server_id, "ACTIVE")
    body = {"protection": {"schedule": "daily, keep 2"}}
    assert cloud.call("PUT", f"/admin/protections/{server_id}", json=body).status_code == 200
    before = one.images()
    cloud.hold_at("server.create_image/begin:begin")
    one.begin(server_id)
    cloud.until_there("server.create_image/begin:begin")
    cloud.delete(server_id)
    cloud.hold_at(f"{_KIND}/{edge}")
    cloud.dies_at(f"{_KIND}/{edge}")
    cloud.wait_gone(server_id)
    cloud.idle()
    [run] = one.runs(server_id)
    assert (run["result"], run["copy_id"]) == ("failed", None)
    assert one.images() == before
    assert cloud.doctor() == []
