"""kill -9 of the whole process while network cards and volumes are plugged in and out, and while a server gets a
volume to boot from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import msgspec
import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
V = "/volume/v3"


def _done(kind: str) -> list[str]:
    """A step that is done and not written down is the one that is repeated over its own traces."""
    return [f"server.{kind}/{step.name}:done" for step in registry().flow(f"server.{kind}").steps]


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed]) -> Doomed:
    one = doomed("devices", compute__stop_timeout_seconds=2)
    one.image_id = one.image(bytes(1 << 20))  # type: ignore[attr-defined]
    return one


@pytest.fixture(scope="module")
def server_id(cloud: Doomed) -> Iterator[str]:
    """One server through all the deaths."""
    server_id = cloud.create("s", cloud.image_id, "1")  # type: ignore[attr-defined]
    cloud.wait_status(server_id, "ACTIVE")
    yield server_id
    cloud.delete(server_id)
    cloud.wait_gone(server_id)
    cloud.idle()
    assert cloud.doctor() == []


@pytest.fixture(scope="module")
def volume_id(cloud: Doomed) -> str:
    made = str(cloud.post(f"{V}/volumes", {"volume": {"size": 1}})["volume"]["id"])
    _until_volume(cloud, made, "available")
    return made


def _volume(cloud: Doomed, volume_id: str) -> str:
    return str(cloud.get(f"{V}/volumes/{volume_id}")["volume"]["status"])


def _until_volume(cloud: Doomed, volume_id: str, status: str) -> None:
    until(lambda: _volume(cloud, volume_id) == status, f"the volume becomes {status}\n{cloud.log[-3000:]}")


def _guest(cloud: Doomed, server_id: str) -> Any:
    """What the fake host really has plugged in."""
    [file] = cloud.state_dir.glob(f"fake/*/guests/{server_id}.json")
    return msgspec.json.decode(file.read_bytes())["spec"]


def _cards(cloud: Doomed, server_id: str) -> list[str]:
    found = cloud.get(f"/compute/v2.1/servers/{server_id}/os-interface")["interfaceAttachments"]
    return [str(card["port_id"]) for card in found]


def _volumes(cloud: Doomed, server_id: str) -> list[str]:
    found = cloud.get(f"/compute/v2.1/servers/{server_id}/os-volume_attachments")["volumeAttachments"]
    return [str(one["volumeId"]) for one in found]


@contextmanager
def _asked(cloud: Doomed, method: str, path: str, body: Any = None) -> Iterator[None]:
    """A request that may wait for its answer until the process dies."""

    def ask() -> None:
        with suppress(httpx.HTTPError):
            cloud.call(method, path, **({} if body is None else {"json": body}))

    assert cloud.token
    thread = threading.Thread(target=ask)
    thread.start()
    yield
    thread.join(60)


def _quiet(cloud: Doomed) -> None:
    cloud.idle()
    assert cloud.doctor() == []


def test_the_flows_have_the_steps_this_test_was_written_for() -> None:
    kinds = ("attach_interface", "detach_interface", "attach_volume", "detach_volume")
    assert [len(_done(kind)) for kind in kinds] == [3, 2, 3, 2]


@pytest.mark.parametrize("boundary", _done("attach_interface"))
def test_a_card_is_plugged_in(cloud: Doomed, server_id: str, boundary: str) -> None:
    cloud.hold_at(boundary)
    with _asked(cloud, "POST", f"/compute/v2.1/servers/{server_id}/os-interface"):
        cloud.dies_at(boundary)
    _quiet(cloud)
    first, second = _cards(cloud, server_id)
    assert [nic["port_id"] for nic in _guest(cloud, server_id)["nics"]] == [first, second]
    assert cloud.call("DELETE", f"/compute/v2.1/servers/{server_id}/os-interface/{second}").status_code == 202
    until(lambda: _cards(cloud, server_id) == [first], "the card goes")


@pytest.mark.parametrize("boundary", _done("detach_interface"))
def test_a_card_is_pulled_out(cloud: Doomed, server_id: str, boundary: str) -> None:
    assert cloud.call("POST", f"/compute/v2.1/servers/{server_id}/os-interface").status_code == 200
    first, second = _cards(cloud, server_id)
    cloud.hold_at(boundary)
    assert cloud.call("DELETE", f"/compute/v2.1/servers/{server_id}/os-interface/{second}").status_code == 202
    cloud.dies_at(boundary)
    until(lambda: _cards(cloud, server_id) == [first], "the card goes")
    _quiet(cloud)
    assert [nic["port_id"] for nic in _guest(cloud, server_id)["nics"]] == [first]
    assert cloud.call("GET", f"/network/v2.0/ports/{second}").status_code == 404


@pytest.mark.parametrize("boundary", _done("attach_volume"))
def test_a_volume_is_plugged_in(cloud: Doomed, server_id: str, volume_id: str, boundary: str) -> None:
    cloud.hold_at(boundary)
    path = f"/compute/v2.1/servers/{server_id}/os-volume_attachments"
    cloud.post(path, {"volumeAttachment": {"volumeId": volume_id}})
    cloud.dies_at(boundary)
    _until_volume(cloud, volume_id, "in-use")
    _quiet(cloud)
    assert _volumes(cloud, server_id) == [volume_id]
    assert volume_id[:20] in [disk["serial"] for disk in _guest(cloud, server_id)["disks"]]
    assert cloud.call("DELETE", f"{path}/{volume_id}").status_code == 202
    _until_volume(cloud, volume_id, "available")


@pytest.mark.parametrize("boundary", _done("detach_volume"))
def test_a_volume_is_pulled_out(cloud: Doomed, server_id: str, volume_id: str, boundary: str) -> None:
    path = f"/compute/v2.1/servers/{server_id}/os-volume_attachments"
    cloud.post(path, {"volumeAttachment": {"volumeId": volume_id}})
    _until_volume(cloud, volume_id, "in-use")
    cloud.hold_at(boundary)
    assert cloud.call("DELETE", f"{path}/{volume_id}").status_code == 202
    cloud.dies_at(boundary)
    _until_volume(cloud, volume_id, "available")
    _quiet(cloud)
    assert _volumes(cloud, server_id) == []
    assert volume_id[:20] not in [disk["serial"] for disk in _guest(cloud, server_id)["disks"]]


def _boot_from_volume(cloud: Doomed) -> str:
    root = {
        "boot_index": 0, "source_type": "image", "destination_type": "volume", "volume_size": 1,
        "uuid": cloud.image_id, "delete_on_termination": True,  # type: ignore[attr-defined]
    }  # fmt: skip
    body = {"name": "v", "flavorRef": "1", "imageRef": "", "networks": "auto", "block_device_mapping_v2": [root]}
    return str(cloud.post("/compute/v2.1/servers", {"server": body})["server"]["id"])


@pytest.mark.parametrize(
    "boundary", ["server.boot/volumes:done", "server.boot/volumes:recorded", "server.boot/spawn:done"]
)
def test_a_server_gets_its_root_volume_once(cloud: Doomed, boundary: str) -> None:
    before = len(cloud.get(f"{V}/volumes")["volumes"])
    cloud.hold_at(boundary)
    server_id = _boot_from_volume(cloud)
    cloud.dies_at(boundary)
    cloud.wait_status(server_id, "ACTIVE")
    _quiet(cloud)
    [volume_id] = _volumes(cloud, server_id)
    assert len(cloud.get(f"{V}/volumes")["volumes"]) == before + 1
    assert [disk["serial"] for disk in _guest(cloud, server_id)["disks"]] == [volume_id[:20]]
    cloud.delete(server_id)
    cloud.wait_gone(server_id)
    until(lambda: len(cloud.get(f"{V}/volumes")["volumes"]) == before, "the volume goes with it")
    _quiet(cloud)


def test_a_boot_that_is_given_up_leaves_no_volume(cloud: Doomed) -> None:
    before = len(cloud.get(f"{V}/volumes")["volumes"])
    cloud.hold_at("server.boot/volumes:done")
    server_id = _boot_from_volume(cloud)
    cloud.until_there("server.boot/volumes:done")
    cloud.delete(server_id)
    cloud.hold_at("server.boot/wire:undo")
    cloud.dies_at("server.boot/wire:undo")
    cloud.wait_gone(server_id)
    until(lambda: len(cloud.get(f"{V}/volumes")["volumes"]) == before, "the volume goes with it")
    _quiet(cloud)
