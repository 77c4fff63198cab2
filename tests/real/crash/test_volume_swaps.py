"""kill -9 while a guest goes on with another volume, while a volume goes to another backend, while volumes are copied
together, and while they are taken over and given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
V, C = "/volume/v3", "/compute/v2.1"


def _done(kind: str) -> list[str]:
    return [f"{kind}/{step.name}:done" for step in registry().flow(kind).steps]


class _Cloud:
    """A server and volumes on two backends, over all lives of the process."""

    def __init__(self, cloud: Doomed) -> None:
        self.cloud = cloud
        image_id = cloud.image(bytes(1 << 20))
        self.server_id = cloud.create("s", image_id, "1")
        cloud.wait_status(self.server_id, "ACTIVE")
        self.attachments = f"{C}/servers/{self.server_id}/os-volume_attachments"

    def new(self) -> str:
        made = str(self.cloud.post(f"{V}/volumes", {"volume": {"size": 1}})["volume"]["id"])
        self.until(made, "available")
        return made

    def volume(self, volume_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cloud.get(f"{V}/volumes/{volume_id}")["volume"]
        return found

    def until(self, volume_id: str, status: str) -> None:
        until(lambda: self.volume(volume_id)["status"] == status, f"it becomes {status}\n{self.cloud.log[-3000:]}")

    def attach(self, volume_id: str) -> None:
        self.cloud.post(self.attachments, {"volumeAttachment": {"volumeId": volume_id}})
        self.until(volume_id, "in-use")

    def disks(self) -> dict[str, str]:
        """What the fake host really has: serial -> name of the file."""
        [file] = self.cloud.state_dir.glob(f"fake/*/guests/{self.server_id}.json")
        spec = msgspec.json.decode(file.read_bytes())["spec"]
        return {disk["serial"]: disk["path"].rpartition("/")[2] for disk in spec["disks"] if disk["path"]}

    def gone(self, *volume_ids: str) -> None:
        for volume_id in volume_ids:
            if self.volume(volume_id)["status"] == "in-use":
                assert self.cloud.call("DELETE", f"{self.attachments}/{volume_id}").status_code == 202
                self.until(volume_id, "available")
            assert self.cloud.call("DELETE", f"{V}/volumes/{volume_id}").status_code == 202
        self.cloud.idle()
        assert self.cloud.doctor() == []


@pytest.fixture(scope="module")
def here(doomed: Callable[..., Doomed]) -> _Cloud:
    return _Cloud(doomed("swaps", compute__stop_timeout_seconds=2, volumes__swap_directly=True,
                         volumes__backends="one=fake,two=fake"))  # fmt: skip


@pytest.mark.parametrize("boundary", _done("server.swap_volume"))
def test_another_volume_in_its_place(here: _Cloud, boundary: str) -> None:
    old, new = here.new(), here.new()
    here.attach(old)
    here.cloud.hold_at(boundary)
    body = {"volumeAttachment": {"volumeId": new}}
    assert here.cloud.call("PUT", f"{here.attachments}/{old}", json=body).status_code == 202
    here.cloud.dies_at(boundary)
    here.until(new, "in-use")
    here.until(old, "available")
    here.cloud.idle()
    assert here.disks() == {old[:20]: new}
    here.gone(old, new)


@pytest.mark.parametrize("boundary", [*_done("volume.migrate"), *_done("volume.leave")])
@pytest.mark.parametrize("used", [False, True], ids=["free", "used"])
def test_a_volume_goes_to_another_backend(here: _Cloud, boundary: str, used: bool) -> None:
    volume_id = here.new()
    if used:
        here.attach(volume_id)
    where = here.volume(volume_id)["os-vol-host-attr:host"]
    here.cloud.hold_at(boundary)
    path = f"{V}/volumes/{volume_id}/action"
    target = where.replace("@one#one", "@two#two")
    assert here.cloud.call("POST", path, json={"os-migrate_volume": {"host": target}}).status_code == 202
    here.cloud.dies_at(boundary)
    here.until(volume_id, "in-use" if used else "available")
    here.cloud.idle()
    assert here.volume(volume_id)["os-vol-host-attr:host"] == target
    assert here.volume(volume_id)["migration_status"] == "success"
    there = [file.parts[-3] for file in here.cloud.state_dir.glob(f"volume-backends/*/volumes/{volume_id}")]
    assert there == ["two"], "data are where the volume is not kept"
    here.gone(volume_id)


def _call(here: _Cloud, method: str, path: str, body: Any = None) -> Any:
    more = {} if body is None else {"json": body}
    answer = here.cloud.call(method, V + path, headers={"OpenStack-API-Version": "volume 3.70"}, **more)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def group_id(here: _Cloud) -> str:
    specs = {"group_type": {"name": "together", "group_specs": {"consistent_group_snapshot_enabled": "<is> True"}}}
    kind = _call(here, "POST", "/group_types", specs)["group_type"]["id"]
    types = [one["id"] for one in _call(here, "GET", "/types")["volume_types"]]
    return str(_call(here, "POST", "/groups", {"group": {"group_type": kind, "volume_types": types}})["group"]["id"])


@pytest.mark.parametrize("boundary", _done("server.snapshot_volumes"))
def test_volumes_are_copied_together(here: _Cloud, group_id: str, boundary: str) -> None:
    first, second, free = here.new(), here.new(), here.new()
    for volume_id in (first, second):
        here.attach(volume_id)
    change = {"group": {"add_volumes": f"{first},{second},{free}"}}
    _call(here, "PUT", f"/groups/{group_id}", change)
    here.cloud.hold_at(boundary)
    made = _call(here, "POST", "/group_snapshots", {"group_snapshot": {"group_id": group_id}})["group_snapshot"]["id"]
    here.cloud.dies_at(boundary)
    here.cloud.idle()
    assert _call(here, "GET", f"/group_snapshots/{made}")["group_snapshot"]["status"] == "available"
    assert len(_call(here, "GET", "/snapshots")["snapshots"]) == 3
    [file] = here.cloud.state_dir.glob(f"fake/*/guests/{here.server_id}.json")
    assert msgspec.json.decode(file.read_bytes())["snapshots"] == {}, "copies stay on the host"
    assert here.cloud.doctor() == []
    _call(here, "DELETE", f"/group_snapshots/{made}")
    here.cloud.idle()
    _call(here, "PUT", f"/groups/{group_id}", {"group": {"remove_volumes": f"{first},{second},{free}"}})
    here.gone(first, second, free)


@pytest.mark.parametrize("boundary", [*_done("volume.unmanage"), *_done("volume.manage")])
def test_volumes_go_and_come_without_their_data(here: _Cloud, boundary: str) -> None:
    volume_id, gives = here.new(), boundary.startswith("volume.unmanage")
    host = here.volume(volume_id)["os-vol-host-attr:host"]
    if gives:
        here.cloud.hold_at(boundary)
    _call(here, "POST", f"/volumes/{volume_id}/action", {"os-unmanage": {}})
    if gives:
        here.cloud.dies_at(boundary)
    here.cloud.idle()
    assert here.cloud.call("GET", f"{V}/volumes/{volume_id}").status_code == 404
    assert here.cloud.doctor() == []
    if not gives:
        here.cloud.hold_at(boundary)
    body = {"volume": {"host": host, "ref": {"source-name": f"volume-{volume_id}"}}}
    again = _call(here, "POST", "/manageable_volumes", body)["volume"]["id"]
    if not gives:
        here.cloud.dies_at(boundary)
    here.until(again, "available")
    here.cloud.idle()
    assert here.volume(again)["size"] == 1
    here.gone(again)
