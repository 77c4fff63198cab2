"""kill -9 while volumes, snapshots and backups are made, grow, become images, begin anew and go.

A killed process may have done a step without knowing: that is ``done``, after which all of it is done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from novalite.engine.conductor import registry
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real


def _boundaries(kind: str) -> list[str]:
    return [f"{kind}/{step.name}:done" for step in registry().flow(kind).steps]


class _Cloud:
    """One volume with a snapshot, over all lives of the process."""

    def __init__(self, cloud: Doomed) -> None:
        self.cloud = cloud
        self.image_id = cloud.image(bytes(1 << 20))
        self.volume_id = self.new(imageRef=self.image_id)
        self.settled("volumes", self.volume_id)
        self.snapshot_id = self.snapshot()
        self.settled("snapshots", self.snapshot_id)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"OpenStack-API-Version": "volume 3.70"}
        answer = self.cloud.call(method, f"/volume/v3{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def new(self, **fields: Any) -> str:
        return str(self.call("POST", "/volumes", {"volume": {"size": 1, **fields}})["volume"]["id"])

    def snapshot(self) -> str:
        return str(self.call("POST", "/snapshots", {"snapshot": {"volume_id": self.volume_id}})["snapshot"]["id"])

    def act(self, action: str, value: Any) -> Any:
        return self.call("POST", f"/volumes/{self.volume_id}/action", {action: value})

    def settled(self, kind: str, id: str, status: str = "available") -> dict[str, Any]:
        """Everything has ended as if nothing had happened."""
        self.cloud.idle()
        found: dict[str, Any] = self.call("GET", f"/{kind}/{id}")[kind.removesuffix("s")]
        assert found["status"] == status
        assert self.cloud.doctor() == []
        return found

    def gone(self, kind: str, id: str) -> None:
        self.cloud.idle()
        assert self.cloud.call("GET", f"/volume/v3/{kind}/{id}").status_code == 404
        assert self.cloud.doctor() == []


@pytest.fixture(scope="module")
def here(doomed: Callable[..., Doomed]) -> _Cloud:
    return _Cloud(doomed("volumes"))


@pytest.mark.parametrize("boundary", _boundaries("volume.create"))
def test_creating_and_cloning(here: _Cloud, boundary: str) -> None:
    here.cloud.hold_at(boundary)
    volume_id = here.new(source_volid=here.volume_id)
    here.cloud.dies_at(boundary)
    here.settled("volumes", volume_id)
    here.call("DELETE", f"/volumes/{volume_id}")
    here.gone("volumes", volume_id)


@pytest.mark.parametrize("boundary", _boundaries("volume.delete"))
def test_deleting(here: _Cloud, boundary: str) -> None:
    volume_id = here.new()
    here.settled("volumes", volume_id)
    here.cloud.hold_at(boundary)
    here.call("DELETE", f"/volumes/{volume_id}")
    here.cloud.dies_at(boundary)
    here.gone("volumes", volume_id)


@pytest.mark.parametrize("boundary", _boundaries("volume.extend"))
def test_growing(here: _Cloud, boundary: str) -> None:
    size = here.settled("volumes", here.volume_id)["size"] + 1
    here.cloud.hold_at(boundary)
    here.act("os-extend", {"new_size": size})
    here.cloud.dies_at(boundary)
    assert here.settled("volumes", here.volume_id)["size"] == size


@pytest.mark.parametrize("boundary", _boundaries("volume.upload"))
def test_becoming_an_image(here: _Cloud, boundary: str) -> None:
    here.cloud.hold_at(boundary)
    image_id = here.act("os-volume_upload_image", {"image_name": "up"})["os-volume_upload_image"]["image_id"]
    here.cloud.dies_at(boundary)
    here.settled("volumes", here.volume_id)
    assert here.cloud.get(f"/image/v2/images/{image_id}")["status"] == "active"
    assert here.cloud.call("DELETE", f"/image/v2/images/{image_id}").status_code == 204


@pytest.mark.parametrize("boundary", _boundaries("volume.refill"))
def test_beginning_anew(here: _Cloud, boundary: str) -> None:
    here.cloud.hold_at(boundary)
    here.act("os-reimage", {"image_id": here.image_id})
    here.cloud.dies_at(boundary)
    here.settled("volumes", here.volume_id)


@pytest.mark.parametrize("boundary", _boundaries("snapshot.create"))
def test_a_snapshot(here: _Cloud, boundary: str) -> None:
    here.cloud.hold_at(boundary)
    snapshot_id = here.snapshot()
    here.cloud.dies_at(boundary)
    here.settled("snapshots", snapshot_id)
    here.call("DELETE", f"/snapshots/{snapshot_id}")
    here.gone("snapshots", snapshot_id)


@pytest.mark.parametrize("boundary", _boundaries("snapshot.delete"))
def test_a_snapshot_goes(here: _Cloud, boundary: str) -> None:
    snapshot_id = here.snapshot()
    here.settled("snapshots", snapshot_id)
    here.cloud.hold_at(boundary)
    here.call("DELETE", f"/snapshots/{snapshot_id}")
    here.cloud.dies_at(boundary)
    here.gone("snapshots", snapshot_id)


def _backup(here: _Cloud) -> str:
    return str(here.call("POST", "/backups", {"backup": {"volume_id": here.volume_id}})["backup"]["id"])


@pytest.mark.parametrize("boundary", _boundaries("backup.create"))
def test_a_backup(here: _Cloud, boundary: str) -> None:
    here.cloud.hold_at(boundary)
    backup_id = _backup(here)
    here.cloud.dies_at(boundary)
    here.settled("backups", backup_id)
    here.settled("volumes", here.volume_id)
    here.call("DELETE", f"/backups/{backup_id}")
    here.gone("backups", backup_id)


@pytest.mark.parametrize("boundary", _boundaries("backup.delete"))
def test_a_backup_goes(here: _Cloud, boundary: str) -> None:
    backup_id = _backup(here)
    here.settled("backups", backup_id)
    here.cloud.hold_at(boundary)
    here.call("DELETE", f"/backups/{backup_id}")
    here.cloud.dies_at(boundary)
    here.gone("backups", backup_id)


@pytest.mark.parametrize("boundary", [*_boundaries("volume.refill"), *_boundaries("volume.create")])
def test_a_backup_is_put_back(here: _Cloud, boundary: str) -> None:
    backup_id, kind = _backup(here), boundary.partition("/")[0]
    here.settled("backups", backup_id)
    into = {"volume_id": here.volume_id} if kind == "volume.refill" else {}
    here.cloud.hold_at(boundary)
    told = here.call("POST", f"/backups/{backup_id}/restore", {"restore": into})["restore"]
    here.cloud.dies_at(boundary)
    here.settled("volumes", told["volume_id"])
    here.settled("backups", backup_id)
    if not into:
        here.call("DELETE", f"/volumes/{told['volume_id']}")
        here.gone("volumes", told["volume_id"])
    here.call("DELETE", f"/backups/{backup_id}")
    here.gone("backups", backup_id)
