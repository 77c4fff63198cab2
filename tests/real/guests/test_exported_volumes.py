"""A volume of this machine in a guest on another compute host: an agent with a libvirtd of its own, reached over
loopback. What the guest writes there is read here; a kill of anything on the way costs it nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.ports import free_port
from tests.contracts.waiting import PATIENCE, until
from tests.real.appliance.images import bundled_guest_image
from tests.real.appliance.process import NOVALITE, running
from tests.real.compute.private_libvirtd import PrivateLibvirtd
from tests.real.guests.conftest import BOOT_SECONDS, Cloud, Guest, let_in, sh

pytestmark = pytest.mark.real
V, C = "/volume/v3", "/compute/v2.1"
HERE, THERE = "here", "there"
PATTERN = "yes bit-for-bit | head -c 8388608"
MARK = "bs=4096 seek=4096"
"""Behind the pattern."""


@dataclass
class Pair(Cloud):
    """This machine, which keeps the volumes, and another host: ``beyond`` is its libvirtd."""

    beyond: PrivateLibvirtd

    def daemon(self) -> int:
        """The process that exports to the other host."""
        return int((self.appliance.state_dir / "exports" / "hosts" / THERE / "pid").read_text())

    def volume(self, volume_id: str) -> Any:
        return self.appliance.get(f"{V}/volumes/{volume_id}")["volume"]

    def until_volume(self, volume_id: str, status: str, seconds: float = PATIENCE) -> None:
        until(lambda: self.volume(volume_id)["status"] == status, f"the volume becomes {status}", seconds)

    def new_volume(self, **fields: Any) -> str:
        made = str(self.appliance.post(f"{V}/volumes", {"volume": {"size": 1, **fields}})["volume"]["id"])
        self.until_volume(made, "available")
        return made

    def exported(self) -> bool:
        done = subprocess.run(["ss", "-Htln"], capture_output=True, text=True, timeout=10, check=True)
        return f":{self.appliance.given['volumes.export_port']} " in done.stdout


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("exported")
    for each in (directory, *directory.parents[:2]):
        each.chmod(0o711)
    near, far = PrivateLibvirtd(directory / "near"), PrivateLibvirtd(directory / "far")
    agent = None
    try:
        for libvirtd in (near, far):
            libvirtd.start()
        (directory / "secret").write_text("the secret of this agent")
        agent_port = free_port()
        told = {"compute.libvirt_uri": far.uri, "compute.nbd_tls_directory": far.keys, "compute.host_name": THERE}
        options = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
        place = ["--state-dir", str(directory / "far-s"), "--secret-file", str(directory / "secret")]
        with (directory / "agent.log").open("ab") as log:
            agent = subprocess.Popen(
                [NOVALITE, "agent", "--driver", "libvirt", "--port", str(agent_port), *place, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        given = {
            "compute.libvirt_uri": near.uri, "compute.stop_timeout_seconds": 90, "compute.host_name": HERE,
            "compute.agents": f"{THERE}=http://127.0.0.1:{agent_port}", "volumes.export_address": "127.0.0.1",
            "compute.agent_secret_file": str(directory / "secret"), "volumes.export_port": free_port(),
        }  # fmt: skip
        with running(directory / "state", driver="libvirt", given=given) as appliance:
            key = directory / "key"
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
            public = key.with_suffix(".pub").read_text()
            appliance.post(f"{C}/os-keypairs", {"keypair": {"name": "mine", "public_key": public}})
            let_in(appliance)
            image_id = appliance.image(bundled_guest_image(), name="guest", disk_format="qcow2")
            yield Pair(appliance, near, key, image_id, appliance.flavor("guest", ram=256, disk=1), far)
    finally:
        if agent is not None:
            agent.terminate()
            agent.wait(300)
        for libvirtd in (near, far):
            libvirtd.close()


def boot(pair: Pair, host: str) -> Guest:
    guest = pair.create(f"on-{host}", host=host)
    guest.wait("ACTIVE")
    return guest


@pytest.fixture(scope="module")
def guests(pair: Pair) -> dict[str, Guest]:
    found = {host: boot(pair, host) for host in (THERE, HERE)}
    for guest in found.values():
        until(guest.answers, f"{guest.name} answers", 2 * BOOT_SECONDS)
    return found


def attach(guest: Guest, pair: Pair, volume_id: str) -> str:
    """The device that the guest knows by the volume's serial."""
    body = {"volumeAttachment": {"volumeId": volume_id}}
    pair.appliance.post(f"{C}/servers/{guest.id}/os-volume_attachments", body)
    pair.until_volume(volume_id, "in-use")
    shown = "for d in /sys/block/vd*; do echo $(cat $d/serial) ${d##*/}; done"
    found = ""

    def seen() -> bool:
        nonlocal found
        known = dict(line.split() for line in guest.ssh(shown).splitlines() if len(line.split()) == 2)
        found = known.get(volume_id[:20], "")
        return bool(found)

    until(seen, "the guest sees the disk")
    return f"/dev/{found}"


def detach(guest: Guest, pair: Pair, volume_id: str) -> None:
    path = f"{C}/servers/{guest.id}/os-volume_attachments/{volume_id}"
    assert pair.appliance.call("DELETE", path).status_code == 202
    pair.until_volume(volume_id, "available")


def checksum(guest: Guest, device: str) -> str:
    return guest.ssh(f"head -c 8388608 {device} | md5sum").split()[0]


def mark(guest: Guest, device: str) -> str:
    """Read from the disk, past what the guest remembers of it."""
    guest.ssh("echo 3 > /proc/sys/vm/drop_caches")
    return guest.ssh(f"dd if={device} {MARK.replace('seek', 'skip')} count=1 | head -n 1")


def test_data_come_back_from_another_host_whatever_is_killed(pair: Pair, guests: dict[str, Guest]) -> None:
    volume_id, there, here = pair.new_volume(), guests[THERE], guests[HERE]
    device = attach(there, pair, volume_id)
    assert pair.exported()
    there.ssh(f"{PATTERN} > {device}; sync")
    wanted = there.ssh(f"{PATTERN} | md5sum").split()[0]

    # The guest goes on while the appliance is away, and while nobody serves its disk.
    pair.appliance.kill()
    there_was = pair.daemon()
    pair.appliance.start()
    assert pair.daemon() == there_was
    os.kill(there_was, signal.SIGKILL)
    there.ssh(
        f"echo still here > /tmp/mark; dd if=/tmp/mark of={device} {MARK} conv=notrunc,fsync || dmesg", seconds=90
    )
    until(lambda: pair.daemon() != there_was, "another daemon serves it")
    assert mark(there, device) == "still here"
    assert pair.appliance.doctor() == []

    snapshot = pair.appliance.post(f"{V}/snapshots", {"snapshot": {"volume_id": volume_id, "force": True}})["snapshot"]
    path = f"{V}/snapshots/{snapshot['id']}"
    until(lambda: pair.appliance.get(path)["snapshot"]["status"] == "available", "the snapshot is made")
    detach(there, pair, volume_id)
    assert not pair.exported()
    for each in (volume_id, pair.new_volume(snapshot_id=snapshot["id"])):
        device = attach(here, pair, each)
        assert checksum(here, device) == wanted
        assert mark(here, device) == "still here"
        detach(here, pair, each)
    assert pair.appliance.doctor() == []


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "writing"])
def test_one_grows_while_a_guest_there_has_it(pair: Pair, guests: dict[str, Guest], busy: bool) -> None:
    volume_id, there = pair.new_volume(), guests[THERE]
    device = attach(there, pair, volume_id)
    there.ssh(f"{PATTERN} | dd of={device} conv=notrunc,fsync")
    wanted = there.ssh(f"{PATTERN} | md5sum").split()[0]
    writer = (f"rm -f /tmp/enough; n=1; while [ ! -e /tmp/enough ]; do printf %08d $n > /tmp/n; "
              f"dd if=/tmp/n of={device} {MARK} conv=notrunc,fsync 2> /tmp/said || echo $n > /tmp/broken; "
              f"n=$((n+1)); done > /dev/null 2>&1 &")  # fmt: skip
    if busy:
        there.ssh(writer)
        until(lambda: mark(there, device).strip("\0").isdigit(), "it writes", 60)
    answer = pair.appliance.call("POST", f"{V}/volumes/{volume_id}/action", json={"os-extend": {"new_size": 2}},
                                 headers={"OpenStack-API-Version": "volume 3.42"})  # fmt: skip
    assert answer.status_code == 202, answer.text
    pair.until_volume(volume_id, "in-use")
    assert pair.volume(volume_id)["size"] == 2, pair.appliance.log[-3000:]
    name = device.removeprefix("/dev/")
    until(lambda: there.ssh(f"cat /sys/block/{name}/size") == str(2 << 21), "the guest sees it", 120)
    if busy:
        now = mark(there, device)
        until(lambda: mark(there, device) > now, "the writer goes on", 120)
        there.ssh("touch /tmp/enough; ! test -e /tmp/broken")
    there.ssh(f"echo behind > /tmp/behind; dd if=/tmp/behind of={device} bs=1M seek=2000 conv=notrunc,fsync")
    assert checksum(there, device) == wanted
    assert pair.appliance.doctor() == []
    detach(there, pair, volume_id)
    device = attach(guests[HERE], pair, volume_id)
    assert checksum(guests[HERE], device) == wanted
    assert guests[HERE].ssh(f"dd if={device} bs=1M skip=2000 count=1 | head -n 1") == "behind"
    detach(guests[HERE], pair, volume_id)


def test_a_server_with_a_volume_moves_there_and_back(pair: Pair, guests: dict[str, Guest]) -> None:
    here, volume_id = guests[HERE], pair.new_volume()
    device = attach(here, pair, volume_id)
    here.ssh(f"{PATTERN} > {device}; sync")
    wanted = checksum(here, device)
    here.act("migrate", {"host": THERE})
    here.wait("VERIFY_RESIZE", seconds=300)
    until(here.answers, "it answers there", 2 * BOOT_SECONDS)
    assert pair.exported()
    assert checksum(here, device) == wanted
    here.ssh(f"echo written there > {device}; sync")
    here.act("revertResize")
    here.wait("ACTIVE", seconds=300)
    until(here.answers, "it answers here", 2 * BOOT_SECONDS)
    assert not pair.exported()
    assert here.ssh(f"head -n 1 {device}") == "written there"


def test_a_server_boots_there_from_a_volume(pair: Pair, guests: dict[str, Guest]) -> None:
    mapping = {"uuid": pair.image_id, "source_type": "image", "destination_type": "volume", "volume_size": 1,
               "boot_index": 0, "delete_on_termination": True}  # fmt: skip
    body = {"name": "of-volume", "flavorRef": pair.flavor_id, "networks": "auto", "key_name": "mine", "host": THERE,
            "block_device_mapping_v2": [mapping]}  # fmt: skip
    made = Guest(pair, "of-volume", pair.appliance.post(f"{C}/servers", {"server": body})["server"]["id"])
    made.wait("ACTIVE")
    until(made.answers, "it answers", 2 * BOOT_SECONDS)
    made.ssh("echo kept > /root/proof; sync")
    made.act("os-stop")
    made.wait("SHUTOFF")
    made.act("os-start")
    made.wait("ACTIVE")
    until(made.answers, "it answers again", 2 * BOOT_SECONDS)
    assert made.ssh("cat /root/proof") == "kept"
    pair.appliance.delete(made.id)
    pair.appliance.wait_gone(made.id)
    assert not pair.exported()
    assert pair.appliance.doctor() == []


def test_keys_are_made_where_they_are_used(pair: Pair) -> None:
    """The other host's private key is on that host only."""
    secret = (pair.beyond.keys / "client-key.pem").read_text()
    line = secret.splitlines()[1]
    state = pair.appliance.state_dir
    files = [file for file in (state / "exports").rglob("*") if file.is_file() and not file.is_socket()]
    assert files
    assert not any(line in file.read_text(errors="replace") for file in files)
    assert line not in pair.appliance.log
    assert Path(pair.libvirtd.keys / "client-key.pem").exists() is False
