"""kill -9 of the whole process while servers change their size or their host: on the way there, on the way back, and
while a way is undone.

A step that is done but not written down is the one that is repeated over its own traces: each is cut off there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from novalite.engine.conductor import registry
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real

SMALL, BIG = {"ram": 256, "disk": 1}, {"ram": 512, "disk": 3}
HOST = "OS-EXT-SRV-ATTR:host"


class Cloud:
    """One process with one or two simulated hosts, and one server through all the deaths."""

    def __init__(self, doomed: Doomed) -> None:
        self.doomed = doomed
        self.image_id = doomed.image(bytes(1 << 20))
        self.small, self.big = doomed.flavor("small", **SMALL), doomed.flavor("big", **BIG)

    def new(self) -> str:
        server_id = self.doomed.create("s", self.image_id, self.small)
        self.doomed.wait_status(server_id, "ACTIVE")
        return server_id

    def guests(self, server_id: str) -> list[dict[str, Any]]:
        """What all hosts have of the server."""
        files = self.doomed.state_dir.glob(f"fake/*/guests/{server_id}.json")
        return [msgspec.json.decode(file.read_bytes()) for file in files]

    def size(self, server_id: str) -> dict[str, int]:
        [guest] = [each for each in self.guests(server_id) if each["power"] == "running"]
        [root] = guest["spec"]["disks"]
        return {"ram": guest["spec"]["memory_mib"], "disk": root["size_gib"]}

    def act(self, server_id: str, action: str, value: object, status: str) -> None:
        assert self.doomed.act(server_id, action, value).status_code in (202, 204)
        self.doomed.wait_status(server_id, status)

    def settled(self, server_id: str, status: str) -> None:
        self.doomed.wait_status(server_id, status)
        self.doomed.idle()
        assert self.doomed.doctor() == []
        assert all(not guest["kept"] for guest in self.guests(server_id)) or status == "VERIFY_RESIZE"

    def resize(self, server_id: str) -> None:
        assert self.doomed.act(server_id, "resize", {"flavorRef": self.big}).status_code == 202


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed]) -> Cloud:
    return Cloud(doomed("moves", compute__stop_timeout_seconds=2))


@pytest.fixture(scope="module")
def pair(doomed: Callable[..., Doomed]) -> Cloud:
    return Cloud(doomed("pair", compute__stop_timeout_seconds=2, compute__fake_hosts=2))


@pytest.fixture(scope="module")
def server_id(cloud: Cloud) -> str:
    return cloud.new()


def _done(kind: str, *left_out: str) -> list[str]:
    """Without the steps that other tests, or the same steps of another flow, stand for."""
    return [f"{kind}/{step.name}:done" for step in registry().flow(kind).steps if step.name not in left_out]


def test_the_flows_have_the_steps_this_test_was_written_for() -> None:
    kinds = ("resize", "migrate", "confirm_resize", "revert_resize", "evacuate")
    assert [len(_done(f"server.{kind}")) for kind in kinds] == [8, 8, 3, 6, 4]


@pytest.mark.parametrize("boundary", _done("server.resize", "shutdown", "wire"))
def test_resize(cloud: Cloud, server_id: str, boundary: str) -> None:
    cloud.doomed.hold_at(boundary)
    cloud.resize(server_id)
    cloud.doomed.dies_at(boundary)
    cloud.settled(server_id, "VERIFY_RESIZE")
    assert cloud.size(server_id) == BIG
    cloud.act(server_id, "revertResize", None, "ACTIVE")
    cloud.settled(server_id, "ACTIVE")
    assert cloud.size(server_id) == SMALL


@pytest.mark.parametrize("boundary", [f"server.resize/{step}:undone" for step in ("launch", "disks", "keep", "place")])
def test_undoing_a_resize(cloud: Cloud, boundary: str) -> None:
    """The server is deleted when its new guest is there, so that every step must be undone."""
    server_id = cloud.new()
    cloud.doomed.hold_at("server.resize/launch:done")
    cloud.resize(server_id)
    cloud.doomed.until_there("server.resize/launch:done")
    cloud.doomed.delete(server_id)
    cloud.doomed.hold_at(boundary)
    cloud.doomed.dies_at(boundary)
    cloud.doomed.wait_gone(server_id)
    cloud.doomed.idle()
    assert cloud.doomed.doctor() == []
    assert cloud.guests(server_id) == []


@pytest.mark.parametrize("boundary", _done("server.revert_resize", "off", "drop"))
def test_revert(cloud: Cloud, server_id: str, boundary: str) -> None:
    cloud.resize(server_id)
    cloud.doomed.wait_status(server_id, "VERIFY_RESIZE")
    cloud.doomed.hold_at(boundary)
    assert cloud.doomed.act(server_id, "revertResize", None).status_code == 202
    cloud.doomed.dies_at(boundary)
    cloud.settled(server_id, "ACTIVE")
    assert cloud.size(server_id) == SMALL


@pytest.mark.parametrize("boundary", _done("server.confirm_resize"))
def test_confirm(cloud: Cloud, boundary: str) -> None:
    server_id = cloud.new()
    cloud.resize(server_id)
    cloud.doomed.wait_status(server_id, "VERIFY_RESIZE")
    cloud.doomed.hold_at(boundary)
    assert cloud.doomed.act(server_id, "confirmResize", None).status_code == 204
    cloud.doomed.dies_at(boundary)
    cloud.settled(server_id, "ACTIVE")
    assert cloud.size(server_id) == BIG
    cloud.doomed.delete(server_id)
    cloud.doomed.wait_gone(server_id)


@pytest.mark.parametrize("boundary", _done("server.migrate", "place", "shutdown", "keep", "wire", "finish"))
def test_migrate(pair: Cloud, boundary: str) -> None:
    server_id = pair.new()
    source = (pair.doomed.server(server_id) or {})[HOST]
    pair.doomed.hold_at(boundary)
    assert pair.doomed.act(server_id, "migrate", None).status_code == 202
    pair.doomed.dies_at(boundary)
    pair.settled(server_id, "VERIFY_RESIZE")
    assert (pair.doomed.server(server_id) or {})[HOST] != source
    assert sorted(guest["power"] for guest in pair.guests(server_id)) == ["off", "running"]
    pair.act(server_id, "confirmResize", None, "ACTIVE")
    pair.settled(server_id, "ACTIVE")
    assert [guest["power"] for guest in pair.guests(server_id)] == ["running"]
    pair.doomed.delete(server_id)
    pair.doomed.wait_gone(server_id)


@pytest.mark.parametrize("boundary", _done("server.evacuate", "image", "finish"))
def test_evacuate(pair: Cloud, boundary: str) -> None:
    server_id = pair.new()
    source = (pair.doomed.server(server_id) or {})[HOST]
    service = next(row for row in pair.doomed.get("/compute/v2.1/os-services")["services"] if row["host"] == source)
    path = f"/compute/v2.1/os-services/{service['id']}"
    assert pair.doomed.call("PUT", path, json={"forced_down": True}).status_code == 200
    pair.doomed.hold_at(boundary)
    assert pair.doomed.act(server_id, "evacuate", {}).status_code == 200
    pair.doomed.dies_at(boundary)
    pair.doomed.wait_status(server_id, "SHUTOFF", "ACTIVE")
    pair.doomed.idle()
    assert (pair.doomed.server(server_id) or {})[HOST] != source
    assert pair.doomed.call("PUT", path, json={"forced_down": False}).status_code == 200
    pair.doomed.delete(server_id)
    pair.doomed.wait_gone(server_id)
