"""kill -9 in the middle of long copies: uploads, conversions, volumes, snapshots, backups, images of servers, disks.

No program goes on writing, nothing half made stays, and what was begun is whole after the next start."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.boot_sector import obedient
from tests.contracts.waiting import until
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.crash.conftest import Doomed
from tests.real.crash.slow_copies import SlowCopies, is_over

pytestmark = pytest.mark.real
MIB = 1 << 20
DATA = obedient() + os.urandom(3 * MIB) + bytes(MIB)
_HALVES = (".part", ".new", ".arriving", ".leaving", ".leaving-part", ".arriving-raw", ".draft")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowCopies]:
    made = SlowCopies(tmp_path_factory.mktemp("slow"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", made.path)
        yield made


class _Cloud:
    def __init__(self, cloud: Doomed, slow: SlowCopies) -> None:
        self.cloud, self._slow = cloud, slow
        self.image_id = cloud.image(DATA)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"OpenStack-API-Version": "volume 3.70"}
        answer = self.cloud.call(method, f"/volume/v3{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def dies_in_the_middle(self, begin: Callable[[], Any]) -> Any:
        """What ``begin`` gives; its copy was cut off by kill -9, and then the process started again."""
        self._slow.begin()
        made = begin()
        copy = self._slow.until_in_the_middle()
        self.cloud.kill()
        until(lambda: is_over(copy), "the copy ends with the process")
        self._slow.end()
        self.cloud.start()
        self.cloud.idle()
        self.require_clean()
        return made

    def dies_while_reading(self, file: Path, begin: Callable[[], str], writing: Path) -> str:
        """The same where this process copies by itself: ``file`` does not go on until then."""
        aside = self.cloud.state_dir.with_name("aside")
        file.rename(aside)
        os.mkfifo(file)
        made = begin()
        until(lambda: list(writing.glob(f"{made}*.part")), "it is being written")
        self.cloud.kill()
        file.unlink()
        aside.rename(file)
        self.cloud.start()
        self.cloud.idle()
        self.require_clean()
        return made

    def require_clean(self) -> None:
        assert self.cloud.doctor() == []
        files = [path for path in self.cloud.state_dir.rglob("*") if path.is_file()]
        assert [path for path in files if path.name.endswith(_HALVES)] == []

    def is_available(self, kind: str, id: str) -> None:
        found = self.call("GET", f"/{kind}/{id}")[kind.removesuffix("s")]
        assert found["status"] == "available", found

    def volume(self, **fields: Any) -> str:
        return str(self.call("POST", "/volumes", {"volume": {"size": 1, **fields}})["volume"]["id"])

    def image_data(self, image_id: str) -> bytes:
        """What a guest would see of the image."""
        stored = self.cloud.state_dir / "images" / image_id
        form = self.cloud.get(f"/image/v2/images/{image_id}")["disk_format"]
        return _as_seen(stored, form)


def _as_seen(path: Path, form: str) -> bytes:
    raw = path.with_name(path.name + ".seen")
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", str(path), str(raw)], check=True, timeout=300)
    try:
        with raw.open("rb") as file:
            return file.read(len(DATA))
    finally:
        raw.unlink()


@pytest.fixture(scope="module")
def here(doomed: Callable[..., Doomed], slow: SlowCopies) -> _Cloud:
    return _Cloud(doomed("middle", volumes__backends="local=files"), slow)


def test_an_upload(here: _Cloud) -> None:
    cloud, begun, go_on = here.cloud, threading.Event(), threading.Event()
    image_id = str(cloud.post("/image/v2/images", {"disk_format": "raw", "container_format": "bare"})["id"])

    def pieces() -> Iterator[bytes]:
        yield DATA[: 2 * MIB]
        begun.set()
        go_on.wait(300)
        yield DATA[2 * MIB :]

    def send(content: Any) -> Any:
        kind = {"Content-Type": "application/octet-stream"}
        return cloud.call("PUT", f"/image/v2/images/{image_id}/file", content=content, headers=kind)

    failed: list[Exception] = []

    def upload() -> None:
        try:
            send(pieces())
        except Exception as error:
            failed.append(error)

    uploading = threading.Thread(target=upload)
    uploading.start()
    assert begun.wait(300)
    until(lambda: list((cloud.state_dir / "images").glob(f"{image_id}*.part")), "bytes arrive")
    cloud.kill()
    go_on.set()
    uploading.join(30)
    assert failed
    cloud.start()
    here.require_clean()
    assert cloud.get(f"/image/v2/images/{image_id}")["status"] == "queued"
    assert send(DATA).status_code == 204
    assert cloud.get(f"/image/v2/images/{image_id}")["os_hash_value"] == hashlib.sha512(DATA).hexdigest()


def test_a_conversion(here: _Cloud, tmp_path: Path) -> None:
    cloud = here.cloud
    raw, foreign = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    raw.write_bytes(DATA)
    words = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicSparse"]
    subprocess.run([*words, str(raw), str(foreign)], check=True, timeout=300)
    image_id = str(cloud.post("/image/v2/images", {"disk_format": "vmdk", "container_format": "bare"})["id"])
    kind = {"Content-Type": "application/octet-stream"}
    staged = cloud.call("PUT", f"/image/v2/images/{image_id}/stage", content=foreign.read_bytes(), headers=kind)
    assert staged.status_code == 204
    asked = {"method": {"name": "glance-direct"}}
    here.dies_in_the_middle(lambda: cloud.call("POST", f"/image/v2/images/{image_id}/import", json=asked))
    assert cloud.get(f"/image/v2/images/{image_id}")["status"] == "active"
    assert here.image_data(image_id) == DATA
    assert list((cloud.state_dir / "images-staging").iterdir()) == []


def test_a_volume_of_an_image_its_snapshot_its_backup_and_its_image(here: _Cloud) -> None:
    volume_id = here.dies_in_the_middle(lambda: here.volume(imageRef=here.image_id))
    here.is_available("volumes", volume_id)
    stored = here.cloud.state_dir / "volume-backends" / "local" / volume_id
    assert _as_seen(stored, "qcow2") == DATA
    body = {"snapshot": {"volume_id": volume_id}}
    snapshot_id = here.dies_in_the_middle(lambda: here.call("POST", "/snapshots", body)["snapshot"]["id"])
    here.is_available("snapshots", snapshot_id)
    assert _as_seen(stored.parent / "snapshots" / snapshot_id, "qcow2") == DATA
    body = {"backup": {"volume_id": volume_id}}
    backup_id = here.call("POST", "/backups", body)["backup"]["id"]  # read in place; killed in test_backup_stores
    here.cloud.idle()
    here.is_available("backups", backup_id)
    here.is_available("volumes", volume_id)
    [piece] = [path for path in (here.cloud.state_dir / "backups" / "pieces").rglob("*") if path.is_file()]

    def restore() -> str:
        return str(here.call("POST", f"/backups/{backup_id}/restore", {"restore": {}})["restore"]["volume_id"])

    restored = here.dies_while_reading(piece, restore, stored.parent)
    here.is_available("volumes", restored)
    assert _as_seen(stored.parent / restored, "qcow2") == DATA

    def upload() -> Any:
        body = {"os-volume_upload_image": {"image_name": "up", "disk_format": "qcow2"}}
        return here.call("POST", f"/volumes/{volume_id}/action", body)["os-volume_upload_image"]["image_id"]

    image_id = here.dies_in_the_middle(upload)
    assert here.image_data(image_id) == DATA
    clone_id = here.dies_in_the_middle(lambda: here.volume(source_volid=volume_id))
    assert _as_seen(stored.parent / clone_id, "qcow2") == DATA


# With real guests


@pytest.fixture(scope="module", params=["qcow2", "raw"])
def guests(request: pytest.FixtureRequest, doomed: Callable[..., Doomed], slow: SlowCopies) -> _Cloud:
    ensure_libvirtd()
    one = doomed(
        f"middle-{request.param}", driver="libvirt", compute__images_type=request.param,
        compute__stop_timeout_seconds=1,
    )  # fmt: skip
    one.flavor("tiny", ram=64, disk=1)
    return _Cloud(one, slow)


@pytest.fixture(scope="module")
def server_id(guests: _Cloud) -> str:
    """A server whose disk, if it takes long to make, was cut off."""

    def create() -> str:
        return guests.cloud.create("s", guests.image_id, "tiny")

    is_raw = guests.cloud.settings.compute.images_type == "raw"
    made = guests.dies_in_the_middle(create) if is_raw else create()
    guests.cloud.wait_status(made, "ACTIVE")
    return str(made)


@pytest.mark.parametrize("action", ["createImage", "createBackup"])
def test_an_image_of_a_server(guests: _Cloud, server_id: str, action: str) -> None:
    if guests.cloud.server(server_id)["status"] == "ACTIVE":  # type: ignore[index]
        guests.cloud.act(server_id, "os-stop")
        guests.cloud.wait_status(server_id, "SHUTOFF")
    more = {"backup_type": "daily", "rotation": 1} if action == "createBackup" else {}
    image_id = guests.dies_in_the_middle(
        lambda: guests.cloud.act(server_id, action, {"name": action, **more}).json()["image_id"]
    )
    assert guests.cloud.get(f"/image/v2/images/{image_id}")["status"] == "active"
    assert guests.image_data(image_id) == DATA
    guests.cloud.wait_status(server_id, "SHUTOFF")
    place = guests.cloud.state_dir / "guests" / server_id
    assert list(place.glob("snapshot-*")) == []


def test_shelving(guests: _Cloud, server_id: str) -> None:
    def shelve() -> None:
        assert guests.cloud.act(server_id, "shelve").status_code == 202

    guests.dies_in_the_middle(shelve)
    guests.cloud.wait_status(server_id, "SHELVED_OFFLOADED")
    [image] = guests.cloud.get("/image/v2/images?name=s-shelved")["images"]
    assert guests.image_data(image["id"]) == DATA
    assert guests.cloud.act(server_id, "unshelve").status_code == 202
    guests.cloud.wait_status(server_id, "ACTIVE")
    guests.cloud.idle()
    guests.require_clean()


def test_a_copy_of_a_running_guest(guests: _Cloud, server_id: str) -> None:
    """QEMU makes it, and is not killed: what it has made is thrown away and begun anew."""
    cloud, kind = guests.cloud, guests.cloud.settings.compute.images_type
    assert cloud.act(server_id, "os-stop").status_code == 202
    cloud.wait_status(server_id, "SHUTOFF")
    place = cloud.state_dir / "guests" / server_id
    words = ["qemu-io", "-f", kind, "-c", "write -P 90 64M 500M", str(place / f"root.{kind}")]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    assert cloud.act(server_id, "os-start").status_code == 202
    cloud.wait_status(server_id, "ACTIVE")
    image_id = cloud.act(server_id, "createImage", {"name": "live"}).json()["image_id"]
    part = place / f"snapshot-{image_id}.part"
    until(lambda: part.exists() and part.stat().st_size > 8 * MIB, "the copy has begun")
    cloud.kill()
    assert part.exists(), "it is in the middle"
    cloud.start()
    cloud.idle()
    guests.require_clean()
    cloud.wait_status(server_id, "ACTIVE")
    assert cloud.get(f"/image/v2/images/{image_id}")["status"] == "active"
    stored = cloud.state_dir / "images" / image_id
    words = ["qemu-io", "-f", "qcow2", "-r", "-c", "read -P 90 64M 500M", str(stored)]
    read = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)
    assert "Pattern verification failed" not in read.stdout
    assert guests.image_data(image_id) == DATA
    assert list(place.glob("snapshot-*")) == []
