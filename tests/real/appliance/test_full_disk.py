"""An appliance whose disk is full: what is asked for then is refused in words and leaves nothing, what runs goes on,
and all of it works once there is room. The database lies elsewhere, so that it can tell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.boot_sector import GREETING, obedient
from tests.contracts.waiting import until
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.appliance.process import RealAppliance, running

pytestmark = pytest.mark.real
MIB = 1 << 20
DATA = obedient() + os.urandom(31 * MIB)
_HALVES = (".part", ".new", ".arriving", ".leaving", ".draft")
_BYTES = {"Content-Type": "application/octet-stream", "Connection": "close"}
"""The server closes after an answer to what it has not read to its end, and so must who asks."""


class Small:
    """An appliance with a disk of 4 GiB, a server that runs, and one that does not."""

    def __init__(self, appliance: RealAppliance) -> None:
        self.appliance = appliance
        self.image_id = appliance.image(DATA, name="data")
        self.flavor_id = appliance.flavor("tiny", ram=64, disk=1)
        self.running, self.off = self.boot("running"), self.boot("off")
        self.do(self.off, "os-stop")
        appliance.wait_status(self.off, "SHUTOFF")
        self.volume_id = self.volume(imageRef=self.image_id)
        self.is_available("volumes", self.volume_id)

    def boot(self, name: str) -> str:
        server_id = self.appliance.create(name, self.image_id, self.flavor_id)
        self.appliance.wait_status(server_id, "ACTIVE")
        return server_id

    # Asking.

    def do(self, server_id: str, action: str, value: Any = None) -> Any:
        answer = self.appliance.act(server_id, action, value)
        assert answer.status_code < 300, answer.text
        return answer

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"OpenStack-API-Version": "volume 3.70"}
        answer = self.appliance.call(method, f"/volume/v3{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def volume(self, **fields: Any) -> str:
        return str(self.call("POST", "/volumes", {"volume": {"size": 1, **fields}})["volume"]["id"])

    def snapshot(self) -> str:
        body = {"snapshot": {"volume_id": self.volume_id}}
        return str(self.call("POST", "/snapshots", body)["snapshot"]["id"])

    def backup(self) -> str:
        return str(self.call("POST", "/backups", {"backup": {"volume_id": self.volume_id}})["backup"]["id"])

    def show(self, kind: str, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/{kind}/{id}")[kind.removesuffix("s")]
        return found

    def is_available(self, kind: str, id: str) -> None:
        self.idle()
        assert self.show(kind, id)["status"] == "available", self.show(kind, id)

    def images(self) -> dict[str, str]:
        """Name -> status of those made here."""
        found = self.appliance.get("/image/v2/images")["images"]
        return {image["name"]: image["status"] for image in found if image["id"] != self.image_id}

    def drop_images(self) -> None:
        for image in self.appliance.get("/image/v2/images")["images"]:
            if image["id"] != self.image_id:
                assert self.appliance.call("DELETE", f"/image/v2/images/{image['id']}").status_code == 204

    def why(self, server_id: str, action: str) -> str:
        """What the action log tells of the last such action, which failed."""
        path = f"/compute/v2.1/servers/{server_id}/os-instance-actions"
        found = [each for each in self.appliance.get(path)["instanceActions"] if each["action"] == action]
        assert found[0]["message"] == "Error", found[0]
        events = self.appliance.get(f"{path}/{found[0]['request_id']}")["instanceAction"]["events"]
        return " ".join(str(event["details"]) for event in events)

    def idle(self) -> None:
        until(lambda: not self.appliance.get("/admin/status")["tasks"], f"all ends\n{self.appliance.log[-3000:]}")

    # The disk.

    def fill(self, leave_mib: int) -> None:
        """Somebody else takes all but so much."""
        self.make_room()
        free = os.statvfs(self.appliance.state_dir)
        size = free.f_bavail * free.f_frsize - leave_mib * MIB
        subprocess.run(["fallocate", "-l", str(size), str(self._ballast)], check=True)

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def until_told(self, condition: Callable[[int], bool]) -> None:
        """Until the host's report of what is free, and promised to nobody, is so."""
        path, name = "/compute/v2.1/os-hypervisors/statistics", "disk_available_least"
        until(lambda: condition(self.appliance.get(path, version="2.1")["hypervisor_statistics"][name]), "told")

    @property
    def _ballast(self) -> Path:
        return self.appliance.state_dir / "ballast"

    def require_clean(self) -> None:
        """The server that runs has noticed nothing, and nothing is half made."""
        self.idle()
        files = [path for path in self.appliance.state_dir.rglob("*") if path.is_file()]
        assert [path for path in files if path.name.endswith(_HALVES) or path.name.startswith("snapshot-")] == []
        assert self.appliance.doctor() == []
        server = self.appliance.server(self.running)
        assert server is not None
        assert (server["status"], server["OS-EXT-STS:power_state"]) == ("ACTIVE", 1)
        console = self.do(self.running, "os-getConsoleOutput", {"length": None}).json()["output"]
        assert console.count(GREETING.decode().strip()) == 1


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    directory = tmp_path_factory.mktemp("full")
    disk, place = directory / "disk", directory / "state"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(4 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(disk)], check=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(place)], check=True)
    given = {
        "database.url": f"sqlite:///{directory / 'novalite.db'}", "scheduler.reserved_disk_gib": 0,
        "scheduler.disk_allocation_ratio": 200, "images.reserve_gib": 0, "volumes.reserve_gib": 0,
        "compute.stop_timeout_seconds": 1,
    }  # fmt: skip
    try:
        ensure_libvirtd()
        with running(place, driver="libvirt", given=given) as appliance:
            yield Small(appliance)
    finally:
        until(lambda: subprocess.run(["umount", str(place)], check=False).returncode == 0, "nothing uses it any more")


@pytest.fixture(autouse=True)
def _clean(small: Small) -> Iterator[None]:
    yield
    small.make_room()
    small.drop_images()


def test_an_upload(small: Small) -> None:
    image_id = str(small.appliance.post("/image/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"])
    path = f"/image/v2/images/{image_id}/file"
    small.fill(20)
    answer = small.appliance.call("PUT", path, content=DATA, headers=_BYTES)
    assert (answer.status_code, "storage media is full" in answer.text) == (413, True), answer.text
    assert small.appliance.get(f"/image/v2/images/{image_id}")["status"] == "queued"
    small.require_clean()
    small.make_room()
    assert small.appliance.call("PUT", path, content=DATA, headers=_BYTES).status_code == 204


def test_a_conversion(small: Small, tmp_path: Path) -> None:
    raw, foreign = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    raw.write_bytes(DATA)
    words = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicSparse"]
    subprocess.run([*words, str(raw), str(foreign)], check=True, timeout=300)
    image_id = str(small.appliance.post("/image/v2/images", {"disk_format": "vmdk", "container_format": "bare"})["id"])
    asked = {"method": {"name": "glance-direct"}}

    def bring(leave_mib: int) -> None:
        content = foreign.read_bytes()
        staged = small.appliance.call("PUT", f"/image/v2/images/{image_id}/stage", content=content, headers=_BYTES)
        assert staged.status_code == 204, staged.text
        if leave_mib:
            small.fill(leave_mib)
        assert small.appliance.call("POST", f"/image/v2/images/{image_id}/import", json=asked).status_code == 202
        small.idle()

    bring(20)
    assert small.appliance.get(f"/image/v2/images/{image_id}")["status"] == "queued"
    [task] = small.appliance.get(f"/image/v2/images/{image_id}/tasks")["tasks"]
    assert task["status"] == "failure"
    assert "o space left" in task["message"] or "full" in task["message"], task
    assert list((small.appliance.state_dir / "images-staging").iterdir()) == []
    small.require_clean()
    small.make_room()
    bring(0)
    assert small.appliance.get(f"/image/v2/images/{image_id}")["status"] == "active"


def test_a_server(small: Small) -> None:
    small.until_told(lambda free_gib: free_gib > 0)
    small.fill(1)
    small.until_told(lambda free_gib: free_gib <= 0)
    refused = small.appliance.create("refused", small.image_id, small.flavor_id)
    fault = small.appliance.wait_status(refused, "ERROR")["fault"]["message"]
    assert "needs 1 GiB of disk, 0 free: 0.0 GiB of disk are free" in fault
    assert not (small.appliance.state_dir / "guests" / refused).exists()
    small.require_clean()
    small.make_room()
    small.until_told(lambda free_gib: free_gib > 0)
    made = small.boot("made")
    for server_id in (refused, made):
        small.appliance.delete(server_id)
        small.appliance.wait_gone(server_id)


@pytest.mark.parametrize("which", ["running", "off"])
@pytest.mark.parametrize("action", ["createImage", "createBackup"])
def test_an_image_of_a_server(small: Small, which: str, action: str) -> None:
    server_id, more = getattr(small, which), {}
    if action == "createBackup":
        more = {"backup_type": "daily", "rotation": 1}
        small.do(server_id, action, {"name": "before", **more})
        small.idle()
    before = small.images()
    small.fill(20)
    small.do(server_id, action, {"name": "new", **more})
    small.idle()
    assert "MiB are free in" in small.why(server_id, action)
    assert small.images() == before, "what was kept is kept"
    small.require_clean()
    small.fill(45)  # room for one copy, which is made the image itself
    small.do(server_id, action, {"name": "new", **more})
    small.idle()
    assert small.images() == {"new": "active"}
    small.require_clean()


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("volumes", lambda small: small.volume(imageRef=small.image_id)),
        ("volumes", lambda small: small.volume(source_volid=small.volume_id)),
        ("snapshots", lambda small: small.snapshot()),
        ("backups", lambda small: small.backup()),
    ],
    ids=["of an image", "of a volume", "snapshot", "backup"],
)
def test_volumes_and_copies_of_them(small: Small, kind: str, make: Callable[[Small], str]) -> None:
    small.fill(20)
    failed = make(small)
    small.idle()
    shown = small.show(kind, failed)
    assert shown["status"] == "error"
    told = f"{small.call('GET', f'/messages?resource_uuid={failed}')}{shown}".lower()
    assert "no space left" in told or "full" in told or "0.0 gib are free" in told, told
    small.require_clean()
    assert small.show("volumes", small.volume_id)["status"] == "available"
    small.make_room()
    made = make(small)
    small.is_available(kind, made)
    for each in (failed, made):
        small.call("DELETE", f"/{kind}/{each}")
    small.require_clean()


def test_a_resize(small: Small) -> None:
    larger = small.appliance.flavor("larger", ram=72, disk=2)
    disk = small.appliance.state_dir / "guests" / small.off / "root.qcow2"
    words = ["qemu-io", "-f", "qcow2", "-c", "write -P 90 128M 100M", str(disk)]
    subprocess.run(words, check=True, capture_output=True)
    small.fill(60)
    small.do(small.off, "resize", {"flavorRef": larger})
    small.idle()
    server = small.appliance.server(small.off)
    assert server is not None
    assert server["status"] == "SHUTOFF"
    assert "are free" in small.why(small.off, "resize"), "by the scheduler when it has been told, else by the host"
    small.require_clean()
    small.make_room()
    small.do(small.off, "os-start")
    small.appliance.wait_status(small.off, "ACTIVE")
