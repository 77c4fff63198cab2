"""One real guest at a time: an image of it while it runs, put away and brought back, another from its image."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.contracts.waiting import until
from tests.real.guests.conftest import BOOT_SECONDS, Cloud, Guest, sh

pytestmark = pytest.mark.real
SECONDS = 120


def _until_ssh(guest: Guest) -> None:
    def answers() -> bool:
        try:
            return guest.ssh("echo here", seconds=15) == "here"
        except (AssertionError, subprocess.TimeoutExpired):
            return False

    until(answers, f"{guest.name} answers SSH\n{guest.console()[-2500:]}", BOOT_SECONDS)


def _image(cloud: Cloud, name: str) -> dict[str, object]:
    [image] = cloud.appliance.get(f"/image/v2/images?name={name}")["images"]
    return dict(image)


@pytest.fixture(scope="module")
def guest(cloud: Cloud) -> Guest:
    guest = cloud.create("original")
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    guest.wait_ready(1)
    return guest


@pytest.fixture(scope="module")
def snapshot(cloud: Cloud, guest: Guest) -> str:
    """The id of an image made while the guest runs, between two markers."""
    guest.ssh("echo before > /root/before; sync")
    boots, pid = guest.ssh("cut -d. -f1 /proc/uptime"), guest.pid
    answer = cloud.appliance.act(guest.id, "createImage", {"name": "alive"})
    assert answer.status_code == 202, answer.text
    until(lambda: _image(cloud, "alive")["status"] == "active", "the image is active", SECONDS)
    until(lambda: guest.server["OS-EXT-STS:task_state"] is None, "the action ends", SECONDS)
    guest.ssh("echo after > /root/after; sync")
    assert guest.pid == pid, "the guest went on"
    assert int(guest.ssh("cut -d. -f1 /proc/uptime")) >= int(boots)
    return str(answer.json()["image_id"])


def test_the_image_is_whole(cloud: Cloud, snapshot: str) -> None:
    image = _image(cloud, "alive")
    kept = Path(cloud.appliance.state_dir) / "images" / snapshot
    data = kept.read_bytes()
    assert len(data) == image["size"]
    assert hashlib.sha512(data).hexdigest() == image["os_hash_value"]
    assert image["virtual_size"] == 1 << 30
    assert "backing file" not in sh("qemu-img", "info", str(kept))
    sh("qemu-img", "check", str(kept))


def test_put_away_nothing_is_left_on_the_host(cloud: Cloud, guest: Guest, snapshot: str) -> None:
    address, pid = guest.address, guest.pid
    guest.act("shelve")
    guest.wait("SHELVED_OFFLOADED", seconds=SECONDS + 90)
    assert not Path(f"/proc/{pid}").exists()
    assert cloud.appliance.doctor() == []
    assert guest.address == address
    assert _image(cloud, "original-shelved")["status"] == "active"


def test_another_server_is_what_the_image_holds(cloud: Cloud, guest: Guest, snapshot: str) -> None:
    second = Guest(cloud, "second", cloud.appliance.create("second", snapshot, cloud.flavor_id, key_name="mine"))
    second.wait("ACTIVE", seconds=BOOT_SECONDS)
    _until_ssh(second)
    assert second.ssh("cat /root/before; cat /root/after 2>/dev/null || echo none") == "before\nnone"
    assert second.ssh("hostname") == "second"
    cloud.appliance.delete(second.id)
    cloud.appliance.wait_gone(second.id)


def test_brought_back_it_is_what_it_was(cloud: Cloud, guest: Guest) -> None:
    address = guest.address
    guest.act("unshelve")
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    _until_ssh(guest)
    assert guest.address == address
    assert guest.ssh("cat /root/before /root/after") == "before\nafter"
    until(lambda: not cloud.appliance.get("/image/v2/images?name=original-shelved")["images"], "the image goes")


def test_its_disk_goes_on_standing_on_what_it_was_shelved_as(cloud: Cloud, guest: Guest, snapshot: str) -> None:
    guest.ssh("echo later > /root/later; sync")
    guest.act("reboot", {"type": "HARD"})
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    _until_ssh(guest)
    assert guest.ssh("cat /root/before /root/after /root/later") == "before\nafter\nlater"
    cloud.appliance.delete(guest.id)
    cloud.appliance.wait_gone(guest.id)
    assert cloud.appliance.doctor() == []
    cached = {file.stem for file in (Path(cloud.appliance.state_dir) / "images-cache").iterdir()}
    assert cached == {cloud.image_id, snapshot}, "what was the server's alone is forgotten"
