"""kill -9 while a guest goes on with another volume, and while a volume goes to another backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
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
        until(lambda: self.volume(volume_id)["status"] == status, f"it becomes {status}\n{self.cloud.log[-3000:]}", 60)

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
