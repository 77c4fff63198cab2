"""Real guests that get another size and what their flavors and images ask for, as seen from inside and by libvirt."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from typing import Any

import libvirt
import pytest

from tests.contracts.waiting import until
from tests.real.guests.conftest import BOOT_SECONDS, Cloud, Guest

pytestmark = pytest.mark.real

_SPECS = {
    "hw:cpu_sockets": "1",
    "hw:cpu_cores": "2",
    "hw:watchdog_action": "pause",
    "hw:serial_port_count": "2",
    "quota:disk_read_iops_sec": "50000",
}


def with_specs(cloud: Cloud, name: str, specs: dict[str, str], **size: Any) -> str:
    flavor_id = cloud.appliance.flavor(name, **size)
    cloud.appliance.post(f"/compute/v2.1/flavors/{flavor_id}/os-extra_specs", {"extra_specs": specs})
    return flavor_id


def definition(guest: Guest) -> ET.Element:
    connection = libvirt.open(guest.cloud.libvirtd.uri)
    try:
        return ET.fromstring(connection.lookupByUUIDString(guest.id).XMLDesc())
    finally:
        connection.close()


def until_ssh(guest: Guest) -> None:
    def answers() -> bool:
        try:
            return guest.ssh("echo here", seconds=15) == "here"
        except (AssertionError, subprocess.TimeoutExpired):
            return False

    until(answers, f"{guest.name} answers SSH\n{guest.console()[-2500:]}", BOOT_SECONDS)


def inside(guest: Guest) -> tuple[int, bool, int]:
    """Processors, whether it has more than 400 MiB, and the GiB of its disk."""
    processors = int(guest.ssh("nproc"))
    kib = int(guest.ssh("awk '/MemTotal/ {print $2}' /proc/meminfo"))
    return processors, kib > 400 << 10, int(guest.ssh("cat /sys/block/vda/size")) >> 21


@pytest.fixture(scope="module")
def guest(cloud: Cloud) -> Guest:
    guest = cloud.create("sized")
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    guest.wait_ready(1)
    guest.ssh("echo before > /root/marker; sync")
    return guest


@pytest.fixture(scope="module")
def large(cloud: Cloud) -> str:
    return with_specs(cloud, "large", _SPECS, ram=512, vcpus=2, disk=2)


def resize(guest: Guest, flavor_id: str) -> None:
    guest.act("resize", {"flavorRef": flavor_id})
    guest.wait("VERIFY_RESIZE")
    until_ssh(guest)


def test_resized_it_has_more_of_everything_and_its_data(guest: Guest, large: str) -> None:
    assert inside(guest) == (1, False, 1)
    resize(guest, large)
    assert inside(guest) == (2, True, 2)
    assert guest.ssh("cat /root/marker") == "before"
    assert guest.ssh("ls /dev/watchdog0 2>/dev/null; ls /sys/class/tty | grep -c '^ttyS[01]$'").endswith("2")
    found = definition(guest)
    topology = found.find("cpu/topology")
    assert topology is not None
    assert (topology.get("sockets"), topology.get("cores")) == ("1", "2")
    watchdog = found.find("devices/watchdog")
    assert watchdog is not None
    assert watchdog.get("action") == "pause"
    assert len(found.findall("devices/serial")) == 2
    assert found.findtext("devices/disk/iotune/read_iops_sec") == "50000"
    guest.ssh("echo after > /root/later; sync")


def test_reverted_it_has_the_disk_of_before(guest: Guest) -> None:
    guest.act("revertResize")
    guest.wait("ACTIVE")
    until_ssh(guest)
    assert inside(guest) == (1, False, 1)
    assert guest.ssh("cat /root/marker; cat /root/later 2>/dev/null || echo none") == "before\nnone"
    assert definition(guest).find("devices/watchdog") is None


def test_confirmed_it_keeps_its_size(guest: Guest, large: str) -> None:
    resize(guest, large)
    answer = guest.cloud.appliance.act(guest.id, "confirmResize", None)
    assert answer.status_code == 204
    guest.wait("ACTIVE")
    assert inside(guest) == (2, True, 2)
    assert guest.ssh("cat /root/marker") == "before"
    files = guest.cloud.appliance.state_dir / "guests" / guest.id
    assert not [each.name for each in files.iterdir() if each.name.startswith("kept-")]
    assert guest.cloud.appliance.doctor() == []
    guest.cloud.appliance.delete(guest.id)
    guest.cloud.appliance.wait_gone(guest.id)


def test_what_an_image_asks_for(cloud: Cloud) -> None:
    wishes = {
        "hw_machine_type": "q35", "hw_firmware_type": "uefi", "hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi",
        "hw_rng_model": "virtio", "hw_video_model": "virtio",
    }  # fmt: skip
    changes = [{"op": "add", "path": f"/{name}", "value": value} for name, value in wishes.items()]
    path, patch = f"/image/v2/images/{cloud.image_id}", "application/openstack-images-v2.1-json-patch"
    answer = cloud.appliance.call("PATCH", path, json=changes, headers={"Content-Type": patch})
    assert answer.status_code == 200, answer.text
    flavor_id = with_specs(cloud, "with-tpm", {"hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb"}, ram=384, disk=1)
    guest = Guest(cloud, "special", cloud.appliance.create("special", cloud.image_id, flavor_id, key_name="mine"))
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    guest.wait_ready(1)
    assert guest.ssh("test -d /sys/firmware/efi && echo uefi") == "uefi"
    assert guest.ssh("ls /sys/block | grep -c ^sda") == "1"
    found = definition(guest)
    machine = found.find("os/type")
    assert machine is not None
    assert "q35" in machine.get("machine", "")
    for place, name, value in (
        ("devices/tpm", "model", "tpm-crb"), ("devices/rng", "model", "virtio"),
        ("devices/controller[@type='scsi']", "model", "virtio-scsi"), ("devices/video/model", "type", "virtio"),
    ):  # fmt: skip
        part = found.find(place)
        assert part is not None, place
        assert part.get(name) == value
    cloud.appliance.delete(guest.id)
    cloud.appliance.wait_gone(guest.id)
