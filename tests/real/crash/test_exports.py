"""kill -9 of the whole process while servers on another host are given volumes that only this machine keeps, lose them,
and move: what is exported afterwards is what the records say, to that host alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from novalite.drivers.compute.base import DiskSpec
from novalite.drivers.compute.fake import FakeDriver
from novalite.engine.conductor import registry
from tests.contracts.agents import serving
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
V, C = "/volume/v3", "/compute/v2.1"
HERE, THERE, SECRET = "here", "there", "the secret of this agent"


class Cloud:
    """The doomed process, and another host that lives on."""

    def __init__(self, doomed: Doomed, other: FakeDriver) -> None:
        self.doomed, self.other = doomed, other
        self.image_id = doomed.image(bytes(1 << 20))

    def exported(self) -> dict[str, list[str]]:
        """Host -> names of exports, as the daemons have them."""
        files = self.doomed.state_dir.glob("exports/hosts/*/fake-daemon.json")
        return {file.parent.name: sorted(msgspec.json.decode(file.read_bytes()).values()) for file in files}

    def boot(self, host: str) -> str:
        server_id = self.doomed.create("s", self.image_id, "1", host=host)
        self.doomed.wait_status(server_id, "ACTIVE")
        return server_id

    def volume(self) -> str:
        made = str(self.doomed.post(f"{V}/volumes", {"volume": {"size": 1}})["volume"]["id"])
        self.until_volume(made, "available")
        return made

    def until_volume(self, volume_id: str, status: str) -> None:
        def reached() -> bool:
            return bool(self.doomed.get(f"{V}/volumes/{volume_id}")["volume"]["status"] == status)

        until(reached, f"the volume becomes {status}\n{self.doomed.log[-3000:]}")

    def attach(self, server_id: str, volume_id: str) -> None:
        body = {"volumeAttachment": {"volumeId": volume_id}}
        self.doomed.post(f"{C}/servers/{server_id}/os-volume_attachments", body)

    def detach(self, server_id: str, volume_id: str) -> None:
        path = f"{C}/servers/{server_id}/os-volume_attachments/{volume_id}"
        assert self.doomed.call("DELETE", path).status_code == 202

    def there(self, server_id: str) -> list[DiskSpec]:
        """Volumes that the other host has in the guest."""
        spec = self.other._guests[server_id].spec
        assert spec is not None
        return [disk for disk in spec.disks if disk.path]

    def agrees(self, server_id: str) -> None:
        """What is exported is what the guest there opens."""
        self.doomed.idle()
        names = sorted(disk.path.rpartition("/")[2] for disk in self.there(server_id))
        assert self.exported() == ({THERE: names} if names else {})
        assert self.doomed.doctor() == []


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    secret, other = tmp_path_factory.mktemp("secret") / "secret", FakeDriver(THERE)
    secret.write_text(SECRET)
    with serving(other, SECRET) as address:
        yield Cloud(
            doomed(
                "exports", compute__host_name=HERE, compute__agents=f"{THERE}={address}",
                compute__agent_secret_file=str(secret), compute__stop_timeout_seconds=2,
                volumes__export_address="127.0.0.1", volumes__export_port=0, quota__volumes=-1,
            ),
            other,
        )  # fmt: skip
        other.close()


@pytest.fixture(scope="module")
def server_id(cloud: Cloud) -> str:
    return cloud.boot(THERE)


def _done(kind: str, *left_out: str) -> list[str]:
    return [f"{kind}/{step.name}:done" for step in registry().flow(kind).steps if step.name not in left_out]


@pytest.mark.parametrize("boundary", _done("server.attach_volume"))
def test_attach(cloud: Cloud, server_id: str, boundary: str) -> None:
    volume_id = cloud.volume()
    cloud.doomed.hold_at(boundary)
    cloud.attach(server_id, volume_id)
    cloud.doomed.dies_at(boundary)
    cloud.until_volume(volume_id, "in-use")
    cloud.agrees(server_id)
    assert len(cloud.there(server_id)) == 1
    cloud.detach(server_id, volume_id)
    cloud.until_volume(volume_id, "available")
    cloud.agrees(server_id)


@pytest.mark.parametrize("boundary", _done("server.detach_volume"))
def test_detach(cloud: Cloud, server_id: str, boundary: str) -> None:
    volume_id = cloud.volume()
    cloud.attach(server_id, volume_id)
    cloud.until_volume(volume_id, "in-use")
    cloud.doomed.hold_at(boundary)
    cloud.detach(server_id, volume_id)
    cloud.doomed.dies_at(boundary)
    cloud.until_volume(volume_id, "available")
    cloud.agrees(server_id)
    assert cloud.there(server_id) == []


@pytest.mark.parametrize("boundary", [f"volume.extend/grow:{edge}" for edge in ("begin", "done", "recorded")])
def test_growing(cloud: Cloud, server_id: str, boundary: str) -> None:
    volume_id = cloud.volume()
    cloud.attach(server_id, volume_id)
    cloud.until_volume(volume_id, "in-use")
    cloud.doomed.hold_at(boundary)
    answer = cloud.doomed.call("POST", f"{V}/volumes/{volume_id}/action", json={"os-extend": {"new_size": 2}},
                               headers={"OpenStack-API-Version": "volume 3.42"})  # fmt: skip
    assert answer.status_code == 202, answer.text
    cloud.doomed.dies_at(boundary)
    cloud.until_volume(volume_id, "in-use")
    assert cloud.doomed.get(f"{V}/volumes/{volume_id}")["volume"]["size"] == 2
    assert [disk.size_gib for disk in cloud.there(server_id)] == [2]
    cloud.agrees(server_id)
    cloud.detach(server_id, volume_id)
    cloud.until_volume(volume_id, "available")


@pytest.mark.parametrize("boundary", _done("server.migrate", "place", "shutdown", "keep", "wire", "finish"))
def test_a_server_leaves_this_machine_and_comes_back(cloud: Cloud, boundary: str) -> None:
    server_id, volume_id = cloud.boot(HERE), cloud.volume()
    cloud.attach(server_id, volume_id)
    cloud.until_volume(volume_id, "in-use")
    assert cloud.exported() == {}
    cloud.doomed.hold_at(boundary)
    assert cloud.doomed.act(server_id, "migrate", {"host": THERE}).status_code == 202
    cloud.doomed.dies_at(boundary)
    cloud.doomed.wait_status(server_id, "VERIFY_RESIZE")
    cloud.agrees(server_id)
    assert len(cloud.there(server_id)) == 1
    assert cloud.doomed.act(server_id, "revertResize").status_code == 202
    cloud.doomed.wait_status(server_id, "ACTIVE")
    cloud.doomed.idle()
    assert cloud.exported() == {}
    cloud.doomed.delete(server_id)
    cloud.doomed.wait_gone(server_id)
    assert cloud.doomed.doctor() == []


@pytest.mark.parametrize("boundary", _done("server.delete"))
def test_delete(cloud: Cloud, boundary: str) -> None:
    server_id, volume_id = cloud.boot(THERE), cloud.volume()
    cloud.attach(server_id, volume_id)
    cloud.until_volume(volume_id, "in-use")
    cloud.doomed.hold_at(boundary)
    cloud.doomed.delete(server_id)
    cloud.doomed.dies_at(boundary)
    cloud.doomed.wait_gone(server_id)
    cloud.until_volume(volume_id, "available")
    cloud.doomed.idle()
    assert cloud.exported() == {}
    assert cloud.doomed.doctor() == []
