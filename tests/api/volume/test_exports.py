"""Volumes of this machine that servers on another one have: exported to it, and to no other, for as long as they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novalite.cloud.volume import volumes
from novalite.context import internal
from novalite.drivers.compute.base import DiskSpec
from novalite.drivers.compute.fake import FakeDriver
from novalite.drivers.storage.exports import DaemonExports
from novalite.drivers.storage.fake_exports import FakeDaemon
from novalite.drivers.storage.fake_volumes import FakeVolumes
from novalite.engine import reconcile, volume_exports
from novalite.errors import DriverError
from tests.api.conftest import Appliance, running, wait_for
from tests.contracts.agents import serving

from .conftest import Cinder
from .test_encryption import LUKS

C, SECRET = "/compute/v2.1", "the secret of these agents"
HERE, THERE, BEYOND = "here", "there", "beyond"


class Cloud:
    """Three hosts: this machine, which keeps the volumes, and two others."""

    def __init__(self, appliance: Appliance, others: dict[str, FakeDriver]) -> None:
        self.appliance, self.cinder = appliance, Cinder(appliance, appliance.token())
        self.drivers = {HERE: appliance.driver, **others}
        self.image = appliance.image("boot")

    @property
    def exports(self) -> DaemonExports:
        found: DaemonExports = self.appliance.built.parts.exports._driver  # type: ignore[attr-defined]
        return found

    def exported(self) -> dict[str, str]:
        """Volume id -> the host that it is exported to."""
        return {spec.volume_id: spec.host for spec in self.exports.exports()}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        more = {} if body is None else {"json": body}
        return self.appliance.call(method, C + path, version="2.95", **more)

    def server(self, server_id: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/servers/{server_id}").json["server"])

    def until(self, server_id: str, status: str) -> None:
        def reached() -> bool:
            found = self.server(server_id)
            return found["status"] == status and found["OS-EXT-STS:task_state"] is None

        wait_for(reached, why=f"the server is {self.server(server_id)}")

    def boot(self, host: str, **more: Any) -> str:
        given = {} if "block_device_mapping_v2" in more else {"imageRef": self.image}
        body = {"name": "s", "flavorRef": "1", "networks": "auto", "host": host, **given, **more}
        answer = self.ask("POST", "/servers", {"server": body})
        assert answer.status_code == 202, answer.text
        server_id = str(answer.json["server"]["id"])
        wait_for(lambda: self.server(server_id)["status"] in ("ACTIVE", "ERROR"))
        assert self.server(server_id)["status"] == "ACTIVE", self.server(server_id)
        return server_id

    def act(self, server_id: str, action: str, value: Any, status: str) -> None:
        answer = self.ask("POST", f"/servers/{server_id}/action", {action: value})
        assert answer.status_code in (200, 202, 204), answer.text
        self.until(server_id, status)

    def delete(self, server_id: str) -> None:
        assert self.ask("DELETE", f"/servers/{server_id}").status_code == 204
        wait_for(lambda: self.ask("GET", f"/servers/{server_id}").status_code == 404)

    def attach(self, server_id: str, volume_id: str) -> None:
        path = f"/servers/{server_id}/os-volume_attachments"
        assert self.ask("POST", path, {"volumeAttachment": {"volumeId": volume_id}}).status_code == 200
        self.cinder.until("volumes", volume_id, "in-use")

    def detach(self, server_id: str, volume_id: str) -> None:
        assert self.ask("DELETE", f"/servers/{server_id}/os-volume_attachments/{volume_id}").status_code == 202
        self.cinder.until("volumes", volume_id, "available")

    def disk(self, host: str, server_id: str, volume_id: str) -> DiskSpec:
        """The volume as the host was told of it."""
        spec = self.drivers[host]._guests[server_id].spec
        assert spec is not None
        (found,) = [disk for disk in spec.disks if disk.name == f"volume-{volume_id}"]
        return found

    def doctor(self) -> list[Any]:
        return list(self.appliance.get("/admin/doctor").json["findings"])


@contextmanager
def cloud_of(directory: Path, *hosts: str, **given: Any) -> Iterator[Cloud]:
    directory.mkdir()
    (directory / "agent-secret").write_text(SECRET)
    others = {host: FakeDriver(host) for host in hosts}
    with ExitStack() as agents:
        told = tuple(f"{host}={agents.enter_context(serving(driver, SECRET))}" for host, driver in others.items())
        with running(directory, compute__host_name=HERE, compute__agents=told, **given) as appliance:
            yield Cloud(appliance, others)
            for driver in others.values():
                driver.close()  # nobody waits for its events any more


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp("exports") / "s"
    with cloud_of(directory, THERE, BEYOND, volumes__export_address="127.0.0.1", volumes__export_port=0) as made:
        yield made


@pytest.fixture
def new(cloud: Cloud) -> Iterator[Callable[..., str]]:
    """Boots servers that go with the test; then nothing is exported any more, and nothing wrong."""
    made: list[str] = []

    def boot(host: str, **more: Any) -> str:
        made.append(cloud.boot(host, **more))
        return made[-1]

    yield boot
    for server_id in made:
        if cloud.ask("GET", f"/servers/{server_id}").status_code == 200:
            cloud.delete(server_id)
    wait_for(lambda: cloud.exported() == {})
    assert cloud.doctor() == []


@pytest.fixture
def volume(cloud: Cloud) -> str:
    return str(cloud.cinder.volume()["id"])


def test_a_volume_goes_from_host_to_host(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    servers = {host: new(host) for host in (HERE, THERE, BEYOND)}
    paths = set()
    for host in (THERE, HERE, BEYOND, THERE):
        cloud.attach(servers[host], volume)
        disk = cloud.disk(host, servers[host], volume)
        assert cloud.exported() == ({} if host == HERE else {volume: host})
        assert disk.path.startswith("nbds:127.0.0.1:") is (host != HERE)
        assert disk.format == ("qcow2" if host == HERE else "raw")
        paths.add(disk.path)
        cloud.detach(servers[host], volume)
        assert cloud.exported() == {}
    assert len(paths) == 4  # each attachment has a name of its own


def test_it_grows_meanwhile(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    (spec,) = cloud.exports.exports()
    told = cloud.disk(THERE, server_id, volume)
    cloud.cinder.act(volume, "os-extend", {"new_size": 2})
    cloud.cinder.until("volumes", volume, "in-use")
    assert cloud.cinder.get(f"/volumes/{volume}")["volume"]["size"] == 2
    assert cloud.disk(THERE, server_id, volume) == replace(told, size_gib=2)
    assert cloud.exports.exports() == (spec,)
    assert cloud.exports.served() == {spec.id}
    assert cloud.doctor() == []


def test_what_does_not_grow_is_exported_as_before(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    (spec,) = cloud.exports.exports()
    keeper: FakeVolumes = cloud.appliance.built.parts.volumes.of("")._driver  # type: ignore[attr-defined]
    keeper.faults["extend_volume"] = DriverError("extend_volume", "no room", code="disk.full")
    cloud.cinder.act(volume, "os-extend", {"new_size": 2})
    cloud.cinder.until("volumes", volume, "error_extending")
    keeper.faults.clear()
    assert cloud.exports.exports() == (spec,)
    assert cloud.exports.served() == {spec.id}
    cloud.cinder.act(volume, "os-reset_status", {"status": "in-use"})
    cloud.cinder.act(volume, "os-extend", {"new_size": 2})
    cloud.cinder.until("volumes", volume, "in-use")


def test_what_is_exported_to_several_does_not_grow(cloud: Cloud, new: Callable[..., str]) -> None:
    kind = {"volume_type": {"name": "many", "extra_specs": {"multiattach": "<is> True"}}}
    cloud.cinder.ask("/types", kind, 200)
    volume_id = str(cloud.cinder.volume(volume_type="many")["id"])
    servers = (new(THERE), new(BEYOND))
    for server_id in servers:
        cloud.attach(server_id, volume_id)
    status, why = cloud.cinder.refused("POST", f"/volumes/{volume_id}/action", {"os-extend": {"new_size": 2}})
    assert (status, "others have it as well" in why) == (409, True)
    assert cloud.cinder.get(f"/volumes/{volume_id}")["volume"]["status"] == "in-use"
    paths = [f"/servers/{server_id}/os-volume_attachments/{volume_id}" for server_id in servers]
    wait_for(lambda: cloud.ask("DELETE", paths[0]).status_code == 202)
    wait_for(lambda: cloud.ask("DELETE", paths[1]).status_code == 202)
    cloud.cinder.until("volumes", volume_id, "available")
    cloud.cinder.delete("volumes", volume_id)


def test_one_that_came_back_to_this_machine_grows(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    cloud.act(server_id, "migrate", {"host": HERE}, "VERIFY_RESIZE")
    assert cloud.exported() == {}
    assert cloud.disk(HERE, server_id, volume).format == "qcow2"
    cloud.cinder.act(volume, "os-extend", {"new_size": 2})
    cloud.cinder.until("volumes", volume, "in-use")
    cloud.act(server_id, "revertResize", None, "ACTIVE")
    assert cloud.exported() == {volume: THERE}
    assert cloud.disk(THERE, server_id, volume).path.startswith("nbds:")


def test_a_server_boots_from_one_and_moves_on(cloud: Cloud, new: Callable[..., str]) -> None:
    mapping = [{"uuid": cloud.image, "source_type": "image", "destination_type": "volume", "volume_size": 1,
                "boot_index": 0, "delete_on_termination": True}]  # fmt: skip
    server_id = new(THERE, block_device_mapping_v2=mapping)
    ((volume_id, host),) = cloud.exported().items()
    assert host == THERE
    first = cloud.disk(THERE, server_id, volume_id).path
    cloud.act(server_id, "os-stop", None, "SHUTOFF")
    cloud.act(server_id, "os-start", None, "ACTIVE")
    assert cloud.disk(THERE, server_id, volume_id).path == first
    cloud.act(server_id, "migrate", {"host": BEYOND}, "VERIFY_RESIZE")
    assert cloud.exported() == {volume_id: BEYOND}
    assert cloud.disk(BEYOND, server_id, volume_id).path != first
    cloud.act(server_id, "confirmResize", None, "ACTIVE")
    cloud.act(server_id, "shelve", None, "SHELVED_OFFLOADED")
    assert cloud.exported() == {}
    cloud.act(server_id, "unshelve", None, "ACTIVE")
    cloud.delete(server_id)
    assert cloud.exported() == {}


def test_a_volume_that_begins_anew_is_opened_anew(
    cloud: Cloud, new: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is another one then, and the daemon has the old one open."""
    mapping = [{"uuid": cloud.image, "source_type": "image", "destination_type": "volume", "volume_size": 1,
                "boot_index": 0, "delete_on_termination": True}]  # fmt: skip
    server_id = new(THERE, block_device_mapping_v2=mapping)
    (spec,), ended, remove = cloud.exports.exports(), [], cloud.exports.remove_export
    monkeypatch.setattr(cloud.exports, "remove_export", lambda export_id: (ended.append(export_id), remove(export_id)))
    cloud.act(server_id, "rebuild", {"imageRef": cloud.appliance.image("other")}, "ACTIVE")
    assert spec.id in ended
    assert cloud.exports.served() == {spec.id}


def test_a_host_that_is_down_is_cut_off_before_another_writes(
    cloud: Cloud, new: Callable[..., str], volume: str
) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    service = next(row for row in cloud.ask("GET", "/os-services").json["services"] if row["host"] == THERE)
    path = f"/os-services/{service['id']}"
    assert cloud.ask("PUT", path, {"forced_down": True}).status_code == 200
    cloud.act(server_id, "evacuate", {"host": BEYOND}, "SHUTOFF")
    assert cloud.exported() == {}
    cloud.act(server_id, "os-start", None, "ACTIVE")
    assert cloud.exported() == {volume: BEYOND}
    assert cloud.ask("PUT", path, {"forced_down": False}).status_code == 200
    reconcile.host(cloud.appliance.built.database, cloud.appliance.built.links, THERE)
    assert server_id not in cloud.drivers[THERE]._guests


def test_copies_are_made_where_the_guest_is(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    for state in ("ACTIVE", "SHUTOFF"):
        if state == "SHUTOFF":
            cloud.act(server_id, "os-stop", None, state)
        made = cloud.cinder.snapshot(volume)
        cloud.cinder.delete("snapshots", made["id"])
    assert cloud.drivers[THERE]._guests[server_id].snapshots == {}


def test_a_volume_that_is_encrypted_within_its_file_stays_on_this_machine(
    cloud: Cloud, new: Callable[..., str]
) -> None:
    """What is exported is plain, and the other host has no key for less than that."""
    kind = cloud.cinder.ask("/types", {"volume_type": {"name": "luks"}}, 200)["volume_type"]["id"]
    cloud.cinder.ask(f"/types/{kind}/encryption", {"encryption": LUKS}, 200)
    volume_id = str(cloud.cinder.volume(volume_type="luks")["id"])
    here, there = new(HERE), new(THERE)
    path = f"/servers/{there}/os-volume_attachments"
    assert cloud.ask("POST", path, {"volumeAttachment": {"volumeId": volume_id}}).status_code == 200
    cloud.until(there, "ACTIVE")
    cloud.cinder.until("volumes", volume_id, "available")
    assert cloud.exported() == {}
    cloud.attach(here, volume_id)
    cloud.detach(here, volume_id)
    cloud.cinder.delete("volumes", volume_id)


def test_what_nobody_has_any_more_ends(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    (spec,) = cloud.exports.exports()
    parts = cloud.appliance.built.parts
    assert volume_exports.drop_unowned(parts) == []
    cloud.detach(server_id, volume)
    cloud.exports.ensure_export(spec)  # as one that was cut off would leave it
    (finding,) = cloud.doctor()
    assert (finding["severity"], finding["kind"], finding["id"]) == ("warning", "export", spec.id)
    assert volume_exports.drop_unowned(parts) == [spec.id]
    assert cloud.exported() == {}


def test_data_that_went_elsewhere_are_exported_no_more(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    (spec,) = cloud.exports.exports()
    parts = cloud.appliance.built.parts
    old = {"path": spec.place.path, "format": spec.place.format}
    with parts.database.write(internal()) as w:
        volumes.change(w, volume, {"location": {**old, "path": "/elsewhere"}})
    assert volume_exports.drop_unowned(parts) == [spec.id]
    with parts.database.write(internal()) as w:
        volumes.change(w, volume, {"location": old})
    cloud.act(server_id, "reboot", {"type": "HARD"}, "ACTIVE")
    assert cloud.exported() == {volume: THERE}


def test_what_is_not_exported_is_told_and_made_again(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    (spec,) = cloud.exports.exports()
    FakeDaemon(cloud.appliance.built.settings.state_path / "exports" / "hosts" / THERE).kill()
    (finding,) = cloud.doctor()
    assert (finding["severity"], finding["kind"], finding["id"]) == ("error", "export", spec.id)
    volume_exports.restore(parts=cloud.appliance.built.parts)
    assert cloud.exports.served() == {spec.id}


def test_what_a_guest_has_and_nothing_exports_is_told(cloud: Cloud, new: Callable[..., str], volume: str) -> None:
    server_id = new(THERE)
    cloud.attach(server_id, volume)
    (spec,) = cloud.exports.exports()
    cloud.exports.remove_export(spec.id)  # as after a restore without the directory of exports
    (finding,) = cloud.doctor()
    assert (finding["severity"], finding["kind"], finding["id"]) == ("error", "export", spec.id)
    assert "hard reboot" in finding["fix"].lower()
    cloud.act(server_id, "reboot", {"type": "HARD"}, "ACTIVE")
    assert cloud.doctor() == []
    assert cloud.exported() == {volume: THERE}


def test_without_an_address_only_this_machine_has_them(tmp_path: Path) -> None:
    with cloud_of(tmp_path / "s", THERE) as cloud:
        volume_id = str(cloud.cinder.volume()["id"])
        here, there = cloud.boot(HERE), cloud.boot(THERE)
        path = f"/servers/{there}/os-volume_attachments"
        assert cloud.ask("POST", path, {"volumeAttachment": {"volumeId": volume_id}}).status_code == 200
        cloud.cinder.until("volumes", volume_id, "available")
        (action,) = [row for row in cloud.ask("GET", f"/servers/{there}/os-instance-actions").json["instanceActions"]
                     if row["action"] == "attach_volume"]  # fmt: skip
        events = cloud.ask("GET", f"/servers/{there}/os-instance-actions/{action['request_id']}").json
        assert "only this machine keeps it" in str(events)
        cloud.attach(here, volume_id)


def test_what_is_everywhere_goes_there_directly(tmp_path: Path) -> None:
    with cloud_of(tmp_path / "s", THERE) as cloud:
        cloud.cinder.driver.is_everywhere = lambda: True  # type: ignore[method-assign]
        volume_id, server_id = str(cloud.cinder.volume()["id"]), cloud.boot(THERE)
        cloud.attach(server_id, volume_id)
        place = cloud.cinder.driver.place(volume_id)
        assert place is not None
        assert cloud.disk(THERE, server_id, volume_id).path == place.path
        assert cloud.exported() == {}
