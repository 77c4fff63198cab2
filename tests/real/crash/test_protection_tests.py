"""kill -9 at every boundary of a test of a copy: it ends with a verdict, and leaves no guest, room, image or volume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
_KIND = "protection.test"
_STEPS = [step.name for step in registry().flow(_KIND).steps]
_EDGES = ("begin", "done", "recorded")
_BOUNDARIES = [f"{_KIND}/claimed", *(f"{_KIND}/{step}:{edge}" for step in _STEPS for edge in _EDGES)]
V = "/volume/v3"


class _Tested:
    """A server and a bootable volume over all the lives, with a copy of each."""

    def __init__(self, cloud: Doomed) -> None:
        self.cloud = cloud
        image_id = cloud.image(bytes(1 << 20))
        self.server_id = cloud.create("s", image_id, "1")
        cloud.wait_status(self.server_id, "ACTIVE")
        self.volume_id = str(cloud.post(f"{V}/volumes", {"volume": {"size": 1, "imageRef": image_id}})["volume"]["id"])
        until(lambda: self._volume()["status"] == "available", "the volume")
        for resource_id in (self.server_id, self.volume_id):
            body = {"protection": {"schedule": "monthly, keep 1", "test": {"every": "monthly", "seconds": 30}}}
            assert cloud.call("PUT", f"/admin/protections/{resource_id}", json=body).status_code == 200
            assert cloud.call("POST", f"/admin/protections/{resource_id}/runs").status_code == 202
            self.ends(resource_id, "running")

    def _volume(self) -> Any:
        return self.cloud.get(f"{V}/volumes/{self.volume_id}")["volume"]

    def shown(self, resource_id: str) -> Any:
        return self.cloud.get(f"/admin/protections/{resource_id}")["protection"]

    def ends(self, resource_id: str, what: str) -> None:
        until(lambda: not self.shown(resource_id)[what], f"it ends\n{self.cloud.log[-3000:]}")
        self.cloud.idle()

    def begin(self, resource_id: str) -> None:
        path = f"/admin/protections/{resource_id}/tests"
        assert self.cloud.call("POST", path, json={"test": None}).status_code == 202

    def nothing_is_left(self) -> None:
        assert self.cloud.guests() == {self.server_id: "running"}
        assert self.cloud.servers_promised_room() == 1
        assert self.cloud.doctor() == []
        backup_id = self.shown(self.volume_id)["last_run"]["copy_id"]
        assert self.cloud.get(f"{V}/backups/{backup_id}")["backup"]["status"] == "available"


@pytest.fixture(scope="module")
def tested(doomed: Callable[..., Doomed]) -> _Tested:
    return _Tested(doomed("tested", compute__stop_timeout_seconds=2))


def test_the_flow_has_the_steps_this_test_was_written_for() -> None:
    assert _STEPS == ["place", "data", "boot", "watch", "remove", "finish"]


@pytest.mark.parametrize("boundary", _BOUNDARIES)
def test_it_ends_with_a_verdict(tested: _Tested, boundary: str) -> None:
    resource_id = tested.volume_id if boundary.endswith(":done") else tested.server_id
    before = tested.shown(resource_id)["last_test"]
    tested.cloud.hold_at(boundary)
    tested.begin(resource_id)
    tested.cloud.dies_at(boundary)
    tested.ends(resource_id, "testing")
    test = tested.shown(resource_id)["last_test"]
    assert (test["result"], test["id"] != (before or {}).get("id")) == ("passed", True), test
    tested.nothing_is_left()


@pytest.mark.parametrize("edge", ["turned", "data:undone", "place:undo", "undone"])
def test_what_cannot_be_tested_leaves_nothing_either(tested: _Tested, edge: str) -> None:
    """The copy's data are gone when the test looks for them."""
    boundary = f"{_KIND}/{edge}"
    backup_id = tested.shown(tested.volume_id)["last_run"]["copy_id"]
    manifest = tested.cloud.state_dir / "backups" / "manifests" / f"{backup_id}.json"
    kept = manifest.rename(manifest.with_suffix(".away"))
    tested.cloud.hold_at(boundary)
    tested.begin(tested.volume_id)
    tested.cloud.dies_at(boundary)
    tested.ends(tested.volume_id, "testing")
    kept.rename(manifest)
    test = tested.shown(tested.volume_id)["last_test"]
    assert (test["result"], "there is no backup" in test["reason"]) == ("failed", True), test
    tested.nothing_is_left()
