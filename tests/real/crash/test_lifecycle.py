"""kill -9 of the whole process in flows that change what a server stands on, or whether it stands at all.

A step that is done but not written down is the one that is repeated over its own traces: each is cut off there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from novalite.engine.conductor import registry
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real


def _done(kind: str) -> list[str]:
    return [f"{kind}/{step.name}:done" for step in registry().flow(kind).steps]


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed]) -> Doomed:
    one = doomed("lifecycle", compute__stop_timeout_seconds=2, compute__reclaim_instance_interval_seconds=3600)
    one.image_id = one.image(bytes(1 << 20))  # type: ignore[attr-defined]
    return one


@pytest.fixture(scope="module")
def server_id(cloud: Doomed) -> str:
    """One server through all the deaths."""
    server_id = cloud.create("s", cloud.image_id, "1")  # type: ignore[attr-defined]
    cloud.wait_status(server_id, "ACTIVE")
    return server_id


def _dies(cloud: Doomed, boundary: str, ask: Callable[[], object], server_id: str, status: str, power: str) -> None:
    cloud.hold_at(boundary)
    ask()
    cloud.dies_at(boundary)
    cloud.wait_status(server_id, status)
    cloud.idle()
    assert cloud.guests() == {server_id: power}
    assert cloud.servers_promised_room() == 1
    assert cloud.doctor() == []


def _act(cloud: Doomed, server_id: str, action: str, value: object, code: int, status: str) -> None:
    assert cloud.act(server_id, action, value).status_code == code
    cloud.wait_status(server_id, status)


def test_the_flows_have_the_steps_this_test_was_written_for() -> None:
    kinds = ("rebuild", "rescue", "unrescue", "soft_delete", "restore")
    assert [len(_done(f"server.{kind}")) for kind in kinds] == [8, 5, 4, 3, 3]


@pytest.mark.parametrize("boundary", _done("server.rebuild"))
def test_rebuild(cloud: Doomed, server_id: str, boundary: str) -> None:
    body = {"imageRef": cloud.image_id}  # type: ignore[attr-defined]
    _dies(cloud, boundary, lambda: cloud.act(server_id, "rebuild", body), server_id, "ACTIVE", "running")


def test_rebuild_while_the_root_volume_is_filled(cloud: Doomed) -> None:
    """The first end of that step is the asking; whether it is filled by then, nobody knows."""
    image_id: str = cloud.image_id  # type: ignore[attr-defined]
    root = {"boot_index": 0, "source_type": "image", "uuid": image_id, "destination_type": "volume",
            "volume_size": 1, "delete_on_termination": True}  # fmt: skip
    server_id = cloud.create("v", "", "1", block_device_mapping_v2=[root])
    cloud.wait_status(server_id, "ACTIVE")
    cloud.hold_at("server.rebuild/volume:done")
    assert cloud.act(server_id, "rebuild", {"imageRef": image_id}).status_code == 202
    cloud.dies_at("server.rebuild/volume:done")
    cloud.wait_status(server_id, "ACTIVE")
    cloud.idle()
    assert cloud.guests()[server_id] == "running"
    assert cloud.doctor() == []
    cloud.delete(server_id)
    cloud.wait_status(server_id, "SOFT_DELETED")
    cloud.act(server_id, "forceDelete", None)
    cloud.wait_gone(server_id)


@pytest.mark.parametrize("boundary", _done("server.rescue"))
def test_rescue(cloud: Doomed, server_id: str, boundary: str) -> None:
    _dies(cloud, boundary, lambda: cloud.act(server_id, "rescue", None), server_id, "RESCUE", "running")
    _act(cloud, server_id, "unrescue", None, 202, "ACTIVE")


@pytest.mark.parametrize("boundary", _done("server.unrescue"))
def test_unrescue(cloud: Doomed, server_id: str, boundary: str) -> None:
    _act(cloud, server_id, "rescue", None, 200, "RESCUE")
    _dies(cloud, boundary, lambda: cloud.act(server_id, "unrescue", None), server_id, "ACTIVE", "running")


@pytest.mark.parametrize("boundary", _done("server.soft_delete"))
def test_soft_delete(cloud: Doomed, server_id: str, boundary: str) -> None:
    _dies(cloud, boundary, lambda: cloud.delete(server_id), server_id, "SOFT_DELETED", "off")
    _act(cloud, server_id, "restore", None, 202, "ACTIVE")


@pytest.mark.parametrize("boundary", _done("server.restore"))
def test_restore(cloud: Doomed, server_id: str, boundary: str) -> None:
    cloud.delete(server_id)
    cloud.wait_status(server_id, "SOFT_DELETED")
    _dies(cloud, boundary, lambda: cloud.act(server_id, "restore", None), server_id, "ACTIVE", "running")


def test_nothing_is_left_of_it(cloud: Doomed, server_id: str) -> None:
    assert cloud.act(server_id, "forceDelete", None).status_code == 202
    cloud.wait_gone(server_id)
    cloud.assert_empty()
