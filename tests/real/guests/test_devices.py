"""Devices that come and go while a real guest runs: a second network card, a volume that outlives its guest, and a
guest whose root disk is a volume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.waiting import PATIENCE, until
from tests.real.guests.conftest import BOOT_SECONDS, Cloud, Guest

pytestmark = pytest.mark.real
V, C, N = "/volume/v3", "/compute/v2.1", "/network/v2.0"


@pytest.fixture(scope="module")
def volume_id(cloud: Cloud) -> str:
    made = str(cloud.appliance.post(f"{V}/volumes", {"volume": {"size": 1}})["volume"]["id"])
    _until_volume(cloud, made, "available")
    return made


@pytest.fixture(scope="module")
def guest(cloud: Cloud) -> Iterator[Guest]:
    made = cloud.create("devices", networks=[{"uuid": cloud.network_id}])
    made.wait("ACTIVE")
    made.wait_ready(1)
    until(made.answers, "the guest answers", BOOT_SECONDS)
    yield made
    _gone(made)


def _gone(guest: Guest) -> None:
    guest.cloud.appliance.delete(guest.id)
    guest.cloud.appliance.wait_gone(guest.id)


def _volume(cloud: Cloud, volume_id: str) -> Any:
    return cloud.appliance.get(f"{V}/volumes/{volume_id}")["volume"]


def _until_volume(cloud: Cloud, volume_id: str, status: str, seconds: float = PATIENCE) -> None:
    until(lambda: _volume(cloud, volume_id)["status"] == status, f"the volume becomes {status}", seconds)


def _attach(guest: Guest, volume_id: str) -> None:
    body = {"volumeAttachment": {"volumeId": volume_id}}
    guest.cloud.appliance.post(f"{C}/servers/{guest.id}/os-volume_attachments", body)
    _until_volume(guest.cloud, volume_id, "in-use")


def _detach(guest: Guest, volume_id: str) -> None:
    path = f"{C}/servers/{guest.id}/os-volume_attachments/{volume_id}"
    assert guest.cloud.appliance.call("DELETE", path).status_code == 202
    _until_volume(guest.cloud, volume_id, "available", 180)


def _disk(guest: Guest, volume_id: str) -> str:
    """The device that the guest knows by the volume's serial; empty while it has none."""
    shown = "for d in /sys/block/vd*; do echo $(cat $d/serial) ${d##*/}; done"
    known = dict(line.split() for line in guest.ssh(shown).splitlines() if len(line.split()) == 2)
    return known.get(volume_id[:20], "")


def _cards(guest: Guest) -> set[str]:
    return set(guest.ssh("cat /sys/class/net/*/address").split())


def test_a_second_card_works_and_goes(cloud: Cloud, guest: Guest) -> None:
    call = cloud.appliance
    network = call.post(f"{N}/networks", {"network": {"name": "second"}})["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.213.77.0/24", "ip_version": 4}
    call.post(f"{N}/subnets", {"subnet": subnet})
    path = f"{C}/servers/{guest.id}/os-interface"
    card = call.post(path, {"interfaceAttachment": {"net_id": network}})["interfaceAttachment"]
    assert card["port_state"] == "ACTIVE"
    until(lambda: card["mac_addr"] in _cards(guest), "the guest sees its second card")
    name = guest.ssh(f"basename $(dirname $(grep -l {card['mac_addr']} /sys/class/net/*/address))")
    guest.ssh(f"ip link set {name} up")
    lease = guest.ssh(f"udhcpc -i {name} -n -q -s /bin/true 2>&1")
    assert f"lease of {card['fixed_ips'][0]['ip_address']} obtained" in lease
    assert call.call("DELETE", f"{path}/{card['port_id']}").status_code == 202
    until(lambda: card["mac_addr"] not in _cards(guest), "the guest lets its second card go")
    until(lambda: len(call.get(path)["interfaceAttachments"]) == 1, "the card is no longer the server's")
    assert guest.answers(10)


def test_a_volume_keeps_what_a_guest_writes(guest: Guest, volume_id: str) -> None:
    _attach(guest, volume_id)
    until(lambda: bool(_disk(guest, volume_id)), "the guest sees the volume")
    guest.ssh(f"echo kept by the volume | dd of=/dev/{_disk(guest, volume_id)} conv=fsync && sync")
    _detach(guest, volume_id)
    assert _disk(guest, volume_id) == ""


def test_a_guest_boots_from_a_volume_and_reads_another(cloud: Cloud, guest: Guest, volume_id: str) -> None:
    _gone(guest)
    root = {
        "boot_index": 0, "source_type": "image", "destination_type": "volume", "volume_size": 1,
        "uuid": cloud.image_id, "delete_on_termination": True,
    }  # fmt: skip
    data = {"source_type": "volume", "destination_type": "volume", "uuid": volume_id, "tag": "data"}
    server = {
        "name": "volumes", "flavorRef": cloud.flavor_id, "imageRef": "", "key_name": "mine",
        "networks": [{"uuid": cloud.network_id}], "block_device_mapping_v2": [root, data],
    }  # fmt: skip
    made = cloud.appliance.post(f"{C}/servers", {"server": server})["server"]["id"]
    booted = Guest(cloud, "volumes", made)
    booted.wait("ACTIVE")
    booted.wait_ready(1)
    until(booted.answers, "the guest answers", BOOT_SECONDS)
    assert booted.ssh(f"head -c 18 /dev/{_disk(booted, volume_id)}") == "kept by the volume"
    told = booted.ssh("wget -qO- http://169.254.169.254/openstack/latest/meta_data.json")
    assert '"tags":["data"]' in told.replace(" ", "")
    booted.ssh("echo mine > /root/proof && sync")
    booted.act("reboot", {"type": "HARD"})
    booted.wait("ACTIVE")
    booted.wait_ready(2)
    until(booted.answers, "the guest answers again", BOOT_SECONDS)
    assert booted.ssh("cat /root/proof") == "mine"
    _gone(booted)
    _until_volume(cloud, volume_id, "available")
    left = [one["id"] for one in cloud.appliance.get(f"{V}/volumes")["volumes"]]
    until(lambda: [one["id"] for one in cloud.appliance.get(f"{V}/volumes")["volumes"]] == [volume_id],
          f"the root volume goes with its server, left {left}")  # fmt: skip
