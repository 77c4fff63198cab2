"""kill -9 of the whole process at every step boundary of boot, stop and delete, and of the undoing of a boot.

The restarted process must end what was begun: one process life per boundary, over one simulated host whose guests
outlive the process like those of a real hypervisor."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from novalite.engine.conductor import registry
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real


def _forward(kind: str) -> list[str]:
    """Every boundary of a flow that goes well, in order."""
    steps = [step.name for step in registry().flow(kind).steps]
    return [f"{kind}/claimed"] + [f"{kind}/{step}:{edge}" for step in steps for edge in ("begin", "done", "recorded")]


def _backward(kind: str, last: str) -> list[str]:
    """Every boundary of undoing a flow that was turned back in step ``last``."""
    flow = registry().flow(kind)
    steps = [step.name for step in flow.steps[: flow.index(last) + 1]]
    undoing = [f"{kind}/{step}:{edge}" for step in reversed(steps) for edge in ("undo", "undone")]
    return [f"{kind}/turned", *undoing, f"{kind}/undone"]


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed]) -> Doomed:
    one = doomed("crash", compute__stop_timeout_seconds=2)
    one.image_id = one.image(bytes(1 << 20))  # type: ignore[attr-defined]
    return one


def _create(cloud: Doomed) -> str:
    return cloud.create("s", cloud.image_id, "1")  # type: ignore[attr-defined]


def _take_away(cloud: Doomed, server_id: str) -> None:
    cloud.delete(server_id)
    cloud.wait_gone(server_id)
    cloud.assert_empty()


def test_the_flows_have_the_steps_this_test_was_written_for() -> None:
    assert len(_forward("server.boot")) == 19
    assert len(_forward("server.delete")) == 10
    assert len(_forward("server.stop")) == 7


@pytest.mark.parametrize("boundary", _forward("server.boot"))
def test_boot(cloud: Doomed, boundary: str) -> None:
    cloud.hold_at(boundary)
    server_id = _create(cloud)
    cloud.dies_at(boundary)
    cloud.wait_status(server_id, "ACTIVE")
    assert cloud.guests() == {server_id: "running"}
    assert cloud.servers_promised_room() == 1
    cloud.idle()
    assert cloud.doctor() == []
    _take_away(cloud, server_id)


@pytest.mark.parametrize("boundary", _backward("server.boot", "finish"))
def test_undoing_a_boot(cloud: Doomed, boundary: str) -> None:
    """The server is deleted in the moment its boot is to end, so that every step must be undone."""
    cloud.hold_at("server.boot/spawn:done")
    server_id = _create(cloud)
    cloud.until_there("server.boot/spawn:done")
    cloud.delete(server_id)
    cloud.hold_at(boundary)
    cloud.dies_at(boundary)
    cloud.wait_gone(server_id)
    cloud.assert_empty()


@pytest.mark.parametrize("boundary", _forward("server.stop"))
def test_stop(cloud: Doomed, boundary: str) -> None:
    server_id = _create(cloud)
    cloud.wait_status(server_id, "ACTIVE")
    cloud.hold_at(boundary)
    assert cloud.act(server_id, "os-stop").status_code == 202
    cloud.dies_at(boundary)
    cloud.wait_status(server_id, "SHUTOFF")
    assert cloud.guests() == {server_id: "off"}
    cloud.idle()
    assert cloud.doctor() == []
    _take_away(cloud, server_id)


@pytest.mark.parametrize("boundary", _forward("server.delete"))
def test_delete(cloud: Doomed, boundary: str) -> None:
    server_id = _create(cloud)
    cloud.wait_status(server_id, "ACTIVE")
    cloud.hold_at(boundary)
    cloud.delete(server_id)
    cloud.dies_at(boundary)
    cloud.wait_gone(server_id)
    cloud.assert_empty()
