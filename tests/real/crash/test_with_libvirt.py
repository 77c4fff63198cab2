"""kill -9 at the boundaries that matter most, with real domains, disks, taps and leases."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from novalite.drivers.network.base import tap_name
from tests.contracts.boot_sector import obedient
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.compute.taps import link_state
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed]) -> Doomed:
    ensure_libvirtd()
    one = doomed("libvirt", driver="libvirt", compute__stop_timeout_seconds=1)
    one.image(obedient())
    one.flavor("tiny", ram=64)
    return one


def _create(cloud: Doomed) -> str:
    [image] = cloud.get("/image/v2/images")["images"]
    return cloud.create("s", image["id"], "tiny")


def _domains(server_id: str) -> list[str]:
    listed = subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", "list", "--all", "--name"],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.split() if server_id in name]


def _tap(cloud: Doomed, server_id: str) -> Path:
    [port] = cloud.get(f"/network/v2.0/ports?device_id={server_id}")["ports"]
    return Path("/sys/class/net") / tap_name(port["id"])


def _assert_nothing_left(cloud: Doomed, server_id: str, tap: Path) -> None:
    cloud.wait_gone(server_id)
    cloud.idle()
    assert _domains(server_id) == []
    assert not (cloud.state_dir / "guests" / server_id).exists()
    assert not tap.exists()
    assert all(port["device_owner"].startswith("network:") for port in cloud.get("/network/v2.0/ports")["ports"])
    assert cloud.servers_promised_room() == 0
    assert cloud.doctor() == []


@pytest.mark.parametrize("boundary", ["wire:done", "image:done", "spawn:done"])
def test_boot(cloud: Doomed, boundary: str) -> None:
    cloud.hold_at(f"server.boot/{boundary}")
    server_id = _create(cloud)
    cloud.dies_at(f"server.boot/{boundary}")
    cloud.wait_status(server_id, "ACTIVE")
    assert len(_domains(server_id)) == 1
    tap = _tap(cloud, server_id)
    assert tap.exists()
    assert cloud.doctor() == []
    cloud.delete(server_id)
    _assert_nothing_left(cloud, server_id, tap)


@pytest.mark.parametrize("boundary", ["spawn:undone", "wire:undone"])
def test_undoing_a_boot(cloud: Doomed, boundary: str) -> None:
    cloud.hold_at("server.boot/spawn:done")
    server_id = _create(cloud)
    cloud.until_there("server.boot/spawn:done")
    tap = _tap(cloud, server_id)
    cloud.delete(server_id)
    cloud.hold_at(f"server.boot/{boundary}")
    cloud.dies_at(f"server.boot/{boundary}")
    _assert_nothing_left(cloud, server_id, tap)


def test_stop(cloud: Doomed) -> None:
    server_id = _create(cloud)
    cloud.wait_status(server_id, "ACTIVE")
    tap = _tap(cloud, server_id)
    cloud.hold_at("server.stop/shutdown:done")
    cloud.act(server_id, "os-stop")
    cloud.dies_at("server.stop/shutdown:done")
    cloud.wait_status(server_id, "SHUTOFF")
    assert not link_state(tap.name).has_guest, "the port keeps its tap"
    assert cloud.doctor() == []
    cloud.delete(server_id)
    _assert_nothing_left(cloud, server_id, tap)


@pytest.mark.parametrize("boundary", ["remove:done", "finish:begin", "finish:done"])
def test_delete(cloud: Doomed, boundary: str) -> None:
    server_id = _create(cloud)
    cloud.wait_status(server_id, "ACTIVE")
    tap = _tap(cloud, server_id)
    cloud.hold_at(f"server.delete/{boundary}")
    cloud.delete(server_id)
    cloud.dies_at(f"server.delete/{boundary}")
    _assert_nothing_left(cloud, server_id, tap)
