"""Volumes of a real guest: copied, grown and uploaded while it runs, bit for bit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.boot_sector import obedient
from tests.contracts.waiting import until
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.appliance.process import RealAppliance, running

pytestmark = pytest.mark.real

MIB, GIB = 1 << 20, 1 << 30
DATA = os.urandom(2 * MIB)


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True).stdout


class Cloud:
    """An appliance, its Block Storage, and one running server."""

    def __init__(self, appliance: RealAppliance, directory: Path) -> None:
        self.appliance, self.directory = appliance, directory
        self.image_id = appliance.image(DATA, name="data")
        boots = appliance.image(obedient(), name="boots")
        appliance.flavor("tiny", ram=64)
        self.server_id = appliance.create("s", boots, "tiny")
        appliance.wait_status(self.server_id, "ACTIVE")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"OpenStack-API-Version": "volume 3.70"}
        answer = self.appliance.call(method, f"/volume/v3{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def until(self, kind: str, id: str, status: str) -> None:
        path, one = f"/{kind}/{id}", kind.removesuffix("s")
        until(
            lambda: self.call("GET", path)[one]["status"] == status, f"{one} is {status}\n{self.appliance.log[-3000:]}"
        )

    def new(self, **fields: Any) -> str:
        volume_id = str(self.call("POST", "/volumes", {"volume": {"size": 1, **fields}})["volume"]["id"])
        self.until("volumes", volume_id, "available")
        return volume_id

    def attach(self, volume_id: str) -> None:
        body = {"volumeAttachment": {"volumeId": volume_id}}
        self.appliance.post(f"/compute/v2.1/servers/{self.server_id}/os-volume_attachments", body)
        self.until("volumes", volume_id, "in-use")

    def detach(self, volume_id: str) -> None:
        path = f"/compute/v2.1/servers/{self.server_id}/os-volume_attachments/{volume_id}"
        assert self.appliance.call("DELETE", path).status_code == 202
        self.until("volumes", volume_id, "available")

    def content(self, file: Path) -> bytes:
        """The first bytes of a qcow2."""
        raw = self.directory / "raw"
        output("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(file), str(raw))
        with raw.open("rb") as opened:
            return opened.read(len(DATA))

    def file(self, volume_id: str) -> Path:
        return self.appliance.state_dir / "volumes" / volume_id

    def capacity(self, volume_id: str) -> int:
        """Size of the disk as the running guest's QEMU has it."""
        domain = next(name for name in output("virsh", "-q", "list", "--name").split() if self.server_id in name)
        listed = output("virsh", "-q", "domblklist", domain, "--details").splitlines()
        target = next(line.split()[2] for line in listed if volume_id in line)
        facts = output("virsh", "-q", "domblkinfo", domain, target)
        return int(next(line.split()[1] for line in facts.splitlines() if line.startswith("Capacity")))

    def delete(self, volume_id: str) -> None:
        self.call("DELETE", f"/volumes/{volume_id}?cascade=True")
        path = f"/volume/v3/volumes/{volume_id}"
        until(lambda: self.appliance.call("GET", path).status_code == 404, "the volume is gone")
        assert not self.file(volume_id).exists()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    ensure_libvirtd()
    directory = tmp_path_factory.mktemp("volumes")
    given = {"compute.stop_timeout_seconds": 1}
    with running(directory / "s", driver="libvirt", given=given) as appliance:
        yield Cloud(appliance, directory)


@pytest.fixture
def used(cloud: Cloud) -> Iterator[str]:
    """A volume with the image's data that the guest has."""
    volume_id = cloud.new(imageRef=cloud.image_id)
    assert cloud.content(cloud.file(volume_id)) == DATA
    cloud.attach(volume_id)
    yield volume_id
    cloud.detach(volume_id)
    assert cloud.content(cloud.file(volume_id)) == DATA
    cloud.delete(volume_id)
    assert cloud.appliance.doctor() == []


def test_a_snapshot_and_a_clone_hold_what_it_holds(cloud: Cloud, used: str) -> None:
    snapshot_id = cloud.call("POST", "/snapshots", {"snapshot": {"volume_id": used}})["snapshot"]["id"]
    cloud.until("snapshots", snapshot_id, "available")
    for source in ({"snapshot_id": snapshot_id}, {"source_volid": used}):
        copy = cloud.new(size=2, **source)
        assert cloud.content(cloud.file(copy)) == DATA
        cloud.delete(copy)


def test_it_grows_and_becomes_an_image(cloud: Cloud, used: str) -> None:
    assert cloud.capacity(used) == GIB
    cloud.call("POST", f"/volumes/{used}/action", {"os-extend": {"new_size": 2}})
    cloud.until("volumes", used, "in-use")
    assert cloud.capacity(used) == 2 * GIB
    body = {"image_name": "up", "disk_format": "qcow2", "force": True}
    image_id = cloud.call("POST", f"/volumes/{used}/action", {"os-volume_upload_image": body})[
        "os-volume_upload_image"
    ]["image_id"]
    cloud.until("volumes", used, "in-use")
    made = cloud.appliance.get(f"/image/v2/images/{image_id}")
    assert (made["status"], made["virtual_size"]) == ("active", 2 * GIB)
    assert cloud.content(cloud.appliance.state_dir / "images" / image_id) == DATA
