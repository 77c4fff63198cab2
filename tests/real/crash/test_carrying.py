"""kill -9 at every boundary of an export and an import: both end, and nothing is left of either."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
V = "/volume/v3"
_EDGES = ("begin", "done", "recorded")


def _boundaries(kind: str) -> list[str]:
    steps = [step.name for step in registry().flow(kind).steps]
    return [f"{kind}/claimed", *(f"{kind}/{step}:{edge}" for step in steps for edge in _EDGES)]


class _Carried:
    """A server with a volume, over all the lives, and its manifest with the disks' content."""

    def __init__(self, cloud: Doomed) -> None:
        self.cloud = cloud
        self.base = cloud.image(bytes(1 << 20))
        self.server_id = cloud.create("s", self.base, "1")
        cloud.wait_status(self.server_id, "ACTIVE")
        volume_id = str(cloud.post(f"{V}/volumes", {"volume": {"size": 1, "name": "v"}})["volume"]["id"])
        self._until(lambda: cloud.get(f"{V}/volumes/{volume_id}")["volume"]["status"] == "available")
        cloud.post(f"/compute/v2.1/servers/{self.server_id}/os-volume_attachments",
                   {"volumeAttachment": {"volumeId": volume_id}})  # fmt: skip
        self._until(lambda: cloud.get(f"{V}/volumes/{volume_id}")["volume"]["status"] == "in-use")
        cloud.idle()
        self.export = self.ended("exports", self.begin_export())
        self.disks = [
            cloud.call("GET", f"/image/v2/images/{image_id}/file").content for image_id in self.export["image_ids"]
        ]
        self.forget("exports", self.export["id"])

    def _until(self, what: Callable[[], Any]) -> None:
        until(what, f"it ends\n{self.cloud.log[-3000:]}")

    def begin_export(self) -> str:
        return str(self.cloud.post("/admin/exports", {"export": {"server_id": self.server_id}})["export"]["id"])

    def begin_import(self, name: str) -> str:
        made = self.cloud.post("/admin/imports", {"import": {"manifest": self.export["manifest"], "name": name}})
        for disk, content in zip(made["import"]["disks"], self.disks, strict=True):
            sent = self.cloud.call("PUT", f"/image/v2/images/{disk['image_id']}/file", content=content,
                                   headers={"Content-Type": "application/octet-stream"})  # fmt: skip
            assert sent.status_code == 204, sent.text
        import_id = str(made["import"]["id"])
        assert self.cloud.call("POST", f"/admin/imports/{import_id}/begin").status_code == 202
        return import_id

    def ended(self, noun: str, record_id: str) -> Any:
        shown: dict[str, Any] = {}

        def over() -> bool:
            shown.update(self.cloud.get(f"/admin/{noun}/{record_id}")[noun.removesuffix("s")])
            return shown["status"] not in ("making", "awaited")

        self._until(over)
        self.cloud.idle()
        return shown

    def forget(self, noun: str, record_id: str) -> None:
        assert self.cloud.call("DELETE", f"/admin/{noun}/{record_id}").status_code == 204

    def images(self) -> set[str]:
        found = [*self.cloud.get("/image/v2/images")["images"],
                 *self.cloud.get("/image/v2/images?os_hidden=true")["images"]]  # fmt: skip
        return {image["id"] for image in found}

    def volumes(self) -> list[str]:
        return sorted(str(each["name"]) for each in self.cloud.get(f"{V}/volumes")["volumes"])


@pytest.fixture(scope="module")
def carried(doomed: Callable[..., Doomed]) -> _Carried:
    return _Carried(doomed("carrying", compute__stop_timeout_seconds=2))


def test_the_flows_have_the_steps_this_test_was_written_for() -> None:
    assert [step.name for step in registry().flow("server.export").steps] == ["begin", "moment", "copy", "finish"]
    assert [step.name for step in registry().flow("server.import").steps] == ["volumes", "server", "await", "finish"]


@pytest.mark.parametrize("boundary", _boundaries("server.export"))
def test_an_export_ends(carried: _Carried, boundary: str) -> None:
    carried.cloud.hold_at(boundary)
    export_id = carried.begin_export()
    carried.cloud.dies_at(boundary)
    export = carried.ended("exports", export_id)
    assert (export["status"], export["problem"]) == ("ready", "")
    for told, image_id in zip(export["manifest"]["disks"], export["image_ids"], strict=True):
        content = carried.cloud.call("GET", f"/image/v2/images/{image_id}/file").content
        assert hashlib.sha512(content).hexdigest() == told["sha512"]
    carried.forget("exports", export_id)
    assert carried.images() == {carried.base}
    assert carried.cloud.server(carried.server_id)["OS-EXT-STS:task_state"] is None  # type: ignore[index]
    assert carried.cloud.doctor() == []


@pytest.mark.parametrize("boundary", _boundaries("server.import"))
def test_an_import_ends(carried: _Carried, boundary: str) -> None:
    cloud = carried.cloud
    cloud.hold_at(boundary)
    import_id = carried.begin_import("again")
    cloud.dies_at(boundary)
    shown = carried.ended("imports", import_id)
    assert (shown["status"], shown["problem"]) == ("done", "")
    assert cloud.server(shown["server_id"])["status"] == "ACTIVE"  # type: ignore[index]
    assert carried.volumes() == ["v", "v"]
    [image_id] = carried.images() - {carried.base}
    carried.forget("imports", import_id)
    cloud.delete(shown["server_id"])
    cloud.wait_gone(shown["server_id"])
    for volume in cloud.get(f"{V}/volumes/detail")["volumes"]:
        if volume["status"] == "available":
            assert cloud.call("DELETE", f"{V}/volumes/{volume['id']}").status_code == 202
    assert cloud.call("DELETE", f"/image/v2/images/{image_id}").status_code == 204
    cloud.idle()
    assert (carried.volumes(), carried.images()) == (["v"], {carried.base})
    assert cloud.doctor() == []
