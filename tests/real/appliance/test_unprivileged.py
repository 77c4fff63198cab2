"""A whole appliance of an ordinary user, with real guests and networks: only the privileged process is root's."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.privileged.client import PrivilegedNetworkDriver
from tests.contracts.waiting import until
from tests.real import as_user
from tests.real.appliance.images import bundled_guest_image
from tests.real.appliance.process import NOVALITE, RealAppliance, until_or
from tests.real.compute.private_libvirtd import PrivateLibvirtd
from tests.real.network.conftest import Machine, machine
from tests.real.privileged_command import privileged_command, take_away, unit_capabilities

pytestmark = pytest.mark.real
assert machine  # a fixture

USER, GROUP, GUESTS = "games", "operator", "libvirt-qemu"
BOOT_SECONDS = 240


@pytest.fixture(scope="module", autouse=True)
def guest_image() -> Path:
    """Built while the machine's own network is there: packages come from it."""
    return bundled_guest_image()


@pytest.fixture
def libvirtd(machine: Machine) -> Iterator[PrivateLibvirtd]:
    made = PrivateLibvirtd(machine.directory / "libvirt", "root")
    made.start()
    (machine.directory / "libvirt/run/libvirt-sock").chmod(0o666)
    yield made
    made.close()


@pytest.fixture
def appliance(machine: Machine, libvirtd: PrivateLibvirtd) -> Iterator[RealAppliance]:
    state_dir = machine.directory / "state"
    state_dir.mkdir()
    os.chown(state_dir, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
    program = (sys.executable, as_user.__file__, USER, GROUP, NOVALITE, "serve")
    with privileged_command(machine.directory, unit_capabilities(), USER) as (path, _):
        given = {"compute.libvirt_uri": libvirtd.uri, "compute.virt_type": "qemu", "compute.guest_group": GROUP,
                 "compute.guest_user": GUESTS,
                 "network.privileged_socket": str(path), "compute.stop_timeout_seconds": 5}  # fmt: skip
        made = RealAppliance(state_dir, driver="libvirt", given=given, program=program)
        try:
            made.start()
            yield made
        finally:
            made.close()
            take_away(PrivilegedNetworkDriver(path, (state_dir / "appliance-id").read_text().strip()))


def _uid(pid: int) -> int:
    return os.stat(f"/proc/{pid}").st_uid


def _console(appliance: RealAppliance, server_id: str) -> str:
    answer = appliance.act(server_id, "os-getConsoleOutput", {})
    return str(answer.json()["output"]) if answer.status_code == 200 else ""


def _until_volume(appliance: RealAppliance, volume_id: str, status: str) -> None:
    def shown() -> str:
        return str(appliance.get(f"/volume/v3/volumes/{volume_id}")["volume"]["status"])

    until_or(lambda: shown() == status, lambda: f"the volume is {status}; {shown()}\n{appliance.log[-3000:]}")


def _volume_plugged_in(appliance: RealAppliance, server_id: str) -> str:
    """The id of a volume that has been attached to the guest while it runs."""
    volume = str(appliance.post("/volume/v3/volumes", {"volume": {"size": 1}})["volume"]["id"])
    _until_volume(appliance, volume, "available")
    body = {"volumeAttachment": {"volumeId": volume}}
    appliance.post(f"/compute/v2.1/servers/{server_id}/os-volume_attachments", body)
    _until_volume(appliance, volume, "in-use")
    return volume


def test_a_server_boots_is_told_who_it_is_is_copied_and_goes(
    appliance: RealAppliance, libvirtd: PrivateLibvirtd, guest_image: Path
) -> None:
    ours = pwd.getpwnam(USER).pw_uid
    assert {_uid(pid) for pid in appliance.pids()} == {ours}
    image = appliance.image(guest_image, disk_format="qcow2")
    flavor = appliance.flavor("small", ram=256, disk=1)
    server_id = appliance.create("first", image, flavor)
    appliance.wait_status(server_id, "ACTIVE")
    guest = libvirtd.guest_pid(server_id)
    assert _uid(guest) == pwd.getpwnam(GUESTS).pw_uid
    until_or(
        lambda: "GUEST: ready" in _console(appliance, server_id),
        lambda: f"the guest is ready; it says {_console(appliance, server_id)[-3000:]}\n{appliance.log[-3000:]}",
        BOOT_SECONDS,
    )
    said = _console(appliance, server_id)
    (told,) = (line for line in said.splitlines() if "GUEST: metadata" in line and "uuid=" in line)
    assert server_id in told
    assert "GUEST: dhcp eth0" in said
    for name in ("novalite.db", "admin-openrc", "agent-secret"):
        file = appliance.state_dir / name
        assert not file.exists() or file.stat().st_mode & 0o077 == 0, name
    assert appliance.doctor() == []
    answer = appliance.act(server_id, "createImage", {"name": "copy"})
    assert answer.status_code == 202, answer.text
    copy = answer.json()["image_id"]
    until_or(
        lambda: appliance.get(f"/image/v2/images/{copy}")["status"] == "active",
        lambda: f"the copy is there: {appliance.get(f'/image/v2/images/{copy}')}\n{appliance.log[-3000:]}",
    )
    volume = _volume_plugged_in(appliance, server_id)
    appliance.restart()
    assert appliance.wait_status(server_id, "ACTIVE")["status"] == "ACTIVE"
    assert _uid(guest) == pwd.getpwnam(GUESTS).pw_uid, "it is the same process"
    path = f"/compute/v2.1/servers/{server_id}/os-volume_attachments/{volume}"
    assert appliance.call("DELETE", path).status_code == 202
    _until_volume(appliance, volume, "available")
    appliance.delete(server_id)
    appliance.wait_gone(server_id)
    until(lambda: not Path(f"/proc/{guest}").exists(), "its process has ended")
    assert not (appliance.state_dir / "guests" / server_id).exists()
    assert appliance.doctor() == []


def test_without_the_privileged_process_it_says_what_to_do(tmp_path: Path) -> None:
    directory = Path(f"/tmp/novalite-{uuid4().hex[:8]}")
    directory.mkdir()
    try:
        os.chown(directory, pwd.getpwnam(USER).pw_uid, -1)
        done = subprocess.run(
            [sys.executable, as_user.__file__, USER, GROUP, NOVALITE, "serve", "--state-dir", str(directory), "--port",
             "0", "--set", f"compute.guest_group={GROUP}", "--set", f"network.privileged_socket={tmp_path}/none"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    finally:
        subprocess.run(["rm", "-rf", str(directory)], check=True)
    assert done.returncode != 0
    assert "no privileged process listens" in done.stderr
    assert "novalite-privileged.socket" in done.stderr
    assert "Traceback" not in done.stderr
