"""kill -9 while images of a server are made, and while it is shelved, offloaded and unshelved.

Each time a step is done and not written down: it is done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real


def _boundaries(kind: str) -> list[str]:
    return [f"{kind}/{step.name}:done" for step in registry().flow(kind).steps]


class _Cloud:
    """One server over all its lives."""

    def __init__(self, cloud: Doomed) -> None:
        self.cloud = cloud
        self.base = cloud.image(bytes(1 << 20))
        self.server_id = self.boot()

    def boot(self) -> str:
        server_id = self.cloud.create("s", self.base, "1")
        self.cloud.wait_status(server_id, "ACTIVE")
        return server_id

    def act(self, action: str, value: Any = None) -> Any:
        answer = self.cloud.act(self.server_id, action, value)
        assert answer.status_code == 202, answer.text
        return answer

    def images(self) -> dict[str, str]:
        """Name -> status of the images made of servers."""
        found = self.cloud.get("/image/v2/images")["images"]
        return {image["name"]: image["status"] for image in found if image["id"] != self.base}

    def drop_images(self) -> None:
        for image in self.cloud.get("/image/v2/images")["images"]:
            if image["id"] != self.base:
                assert self.cloud.call("DELETE", f"/image/v2/images/{image['id']}").status_code == 204

    def settled(self, status: str) -> None:
        self.cloud.wait_status(self.server_id, status)
        self.cloud.idle()
        server = self.cloud.server(self.server_id)
        assert server is not None
        assert (server["status"], server["OS-EXT-STS:task_state"]) == (status, None)
        assert self.cloud.doctor() == []


@pytest.fixture(scope="module")
def one(doomed: Callable[..., Doomed]) -> _Cloud:
    return _Cloud(doomed("images", compute__stop_timeout_seconds=2))


def test_the_flows_have_the_steps_this_test_was_written_for() -> None:
    kinds = ("create_image", "create_backup", "shelve", "offload_in_time", "unshelve")
    assert [len(_boundaries(f"server.{kind}")) for kind in kinds] == [4, 5, 4, 4, 6]


@pytest.mark.parametrize("boundary", _boundaries("server.create_image"))
def test_an_image(one: _Cloud, boundary: str) -> None:
    one.cloud.hold_at(boundary)
    one.act("createImage", {"name": "snap"})
    one.cloud.dies_at(boundary)
    one.settled("ACTIVE")
    assert one.images() == {"snap": "active"}
    assert one.cloud.guests() == {one.server_id: "running"}
    one.drop_images()


@pytest.mark.parametrize("boundary", _boundaries("server.create_backup")[-2:])
def test_a_backup(one: _Cloud, boundary: str) -> None:
    for name in ("old", "new"):
        if name == "new":
            one.cloud.hold_at(boundary)
        one.act("createBackup", {"name": name, "backup_type": "daily", "rotation": 1})
        if name == "old":
            one.settled("ACTIVE")
    one.cloud.dies_at(boundary)
    one.settled("ACTIVE")
    assert one.images() == {"new": "active"}
    one.drop_images()


@pytest.mark.parametrize("boundary", [*_boundaries("server.shelve"), *_boundaries("server.offload_in_time")])
def test_shelving(one: _Cloud, boundary: str) -> None:
    one.cloud.hold_at(boundary)
    one.act("shelve")
    one.cloud.dies_at(boundary)
    one.settled("SHELVED_OFFLOADED")
    assert one.images() == {"s-shelved": "active"}
    assert one.cloud.guests() == {}
    assert one.cloud.servers_promised_room() == 0
    one.act("unshelve")
    one.settled("ACTIVE")


@pytest.mark.parametrize("boundary", _boundaries("server.unshelve"))
def test_unshelving(one: _Cloud, boundary: str) -> None:
    one.act("shelve")
    one.settled("SHELVED_OFFLOADED")
    one.cloud.hold_at(boundary)
    one.act("unshelve")
    one.cloud.dies_at(boundary)
    one.settled("ACTIVE")
    assert one.images() == {}
    assert one.cloud.guests() == {one.server_id: "running"}
    assert one.cloud.servers_promised_room() == 1


@pytest.mark.parametrize("boundary", ["turned", "spawn:undone", "place:undo", "undone"])
def test_a_server_deleted_while_it_comes_back(one: _Cloud, boundary: str) -> None:
    one.act("shelve")
    one.settled("SHELVED_OFFLOADED")
    one.cloud.hold_at("server.unshelve/spawn:done")
    one.act("unshelve")
    one.cloud.until_there("server.unshelve/spawn:done")
    one.cloud.delete(one.server_id)
    one.cloud.hold_at(f"server.unshelve/{boundary}")
    one.cloud.dies_at(f"server.unshelve/{boundary}")
    one.cloud.wait_gone(one.server_id)
    one.cloud.assert_empty()
    until(lambda: one.images() == {}, "the shelved image goes")
    one.server_id = one.boot()
