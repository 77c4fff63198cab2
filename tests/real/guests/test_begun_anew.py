"""One real guest whose password is set, that is rescued, brought back and rebuilt, as seen from inside."""

from __future__ import annotations

import subprocess
from base64 import b64encode

import pytest

from tests.contracts.waiting import until
from tests.real.guests.conftest import BOOT_SECONDS, Cloud, Guest

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def guest(cloud: Cloud) -> Guest:
    guest = cloud.create("anew", config_drive=True, metadata={"colour": "blue"})
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    guest.wait_ready(1)
    guest.ssh("echo before > /root/marker; sync")
    return guest


def until_ssh(guest: Guest) -> None:
    def answers() -> bool:
        try:
            return guest.ssh("echo here", seconds=15) == "here"
        except (AssertionError, subprocess.TimeoutExpired):
            return False

    until(answers, f"{guest.name} answers SSH\n{guest.console()[-2500:]}", BOOT_SECONDS)


def has_password(guest: Guest, password: str) -> bool:
    """Whether root's hash is that of the password."""
    entry = guest.ssh("grep ^root: /etc/shadow | cut -d: -f2")
    salt = entry.split("$")[2]
    return guest.ssh(f"mkpasswd -m sha512 -S {salt} '{password}'") == entry


def test_the_agent_sets_its_password(guest: Guest) -> None:
    guest.act("changePassword", {"adminPass": "set by the agent"})
    assert has_password(guest, "set by the agent")
    assert guest.server["OS-EXT-STS:task_state"] is None


def test_rescued_it_has_its_own_disk_beside(guest: Guest) -> None:
    answer = guest.cloud.appliance.act(guest.id, "rescue", {"adminPass": "in need"})
    assert answer.status_code == 200
    guest.wait("RESCUE")
    until_ssh(guest)
    assert has_password(guest, "in need")
    found = "for d in /dev/vd?2; do mount -o ro $d /mnt 2>/dev/null && { cat /mnt/root/marker; umount /mnt; }; done"
    assert "before" in guest.ssh(f"{found} 2>/dev/null; true")
    assert guest.ssh("cat /root/marker 2>/dev/null || echo none") == "none"


def test_brought_back_it_is_what_it_was(guest: Guest) -> None:
    guest.act("unrescue")
    guest.wait("ACTIVE")
    until_ssh(guest)
    assert guest.ssh("cat /root/marker") == "before"
    assert has_password(guest, "set by the agent")


def test_rebuilt_it_knows_nothing_but_what_it_is_told_anew(guest: Guest) -> None:
    address = guest.address
    script = b64encode(b"#!/bin/sh\necho anew > /root/proof\n").decode()
    guest.act("rebuild", {
        "imageRef": guest.cloud.image_id, "name": "anew", "metadata": {"colour": "red"}, "user_data": script,
        "adminPass": "of the rebuild", "hostname": "begun-anew",
    })  # fmt: skip
    guest.wait("ACTIVE")
    until_ssh(guest)
    assert guest.address == address
    assert guest.ssh("cat /root/marker 2>/dev/null || echo none") == "none"
    assert guest.ssh("hostname") == "begun-anew"
    until(lambda: guest.ssh("cat /root/proof 2>/dev/null || true") == "anew", "its user data has run")
    assert has_password(guest, "of the rebuild")
    told = guest.ssh("wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json")
    assert '"colour":"red"' in told.replace(" ", "")


def test_nothing_is_left_over(cloud: Cloud, guest: Guest) -> None:
    assert cloud.appliance.doctor() == []
    files = sorted(path.name for path in (cloud.appliance.state_dir / "guests" / guest.id).glob("*.qcow2"))
    assert files == ["root.qcow2"]
