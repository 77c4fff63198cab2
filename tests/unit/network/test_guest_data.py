"""What a guest is told about itself, on the config drive and by the metadata service alike."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from novalite.api.metadata.app import tree
from novalite.api.metadata.files import Missing, find
from novalite.cloud.compute.guest_data import (
    AddressFact,
    DiskFact,
    GuestFacts,
    KeyFact,
    NicFact,
    config_drive_files,
    ec2_tree,
    guest_data,
    openstack_file,
)

FOUR = AddressFact("10.0.0.5", "10.0.0.0/24", "10.0.0.1", server_ip="10.0.0.254", dns_servers=("192.0.2.53",))
NIC = NicFact("1d6f6a2e-1111-4222-8333-444455556666", "net-1", "fa:16:3e:01:02:03", (FOUR,), 1450, "front")
FACTS = GuestFacts(
    id="6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10",
    name="My Server",
    hostname="my-server",
    project_id="p1",
    user_data=b"#!/bin/sh\nid\n",
    metadata={"role": "web"},
    keys=(KeyFact("mine", "ssh-ed25519 AAAA me"),),
    flavor_name="tiny",
    reservation_id="r-1",
    nics=(NIC,),
    security_groups=("default",),
)
BARE = GuestFacts("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "n", "p1")


def _json(facts: GuestFacts, name: str, version: str = "latest") -> dict[str, Any]:
    content = openstack_file(guest_data(facts), version, name)
    assert content is not None
    return dict(json.loads(content))


def _lines(facts: GuestFacts, path: str) -> list[str]:
    return find(tree(guest_data(facts)), [part for part in path.split("/") if part]).decode().splitlines()


def test_the_basic_facts_are_told() -> None:
    told = _json(FACTS, "meta_data.json")
    assert (told["uuid"], told["name"], told["hostname"]) == (FACTS.id, "My Server", "my-server")
    assert (told["meta"], told["project_id"]) == ({"role": "web"}, "p1")
    assert told["public_keys"] == {"mine": "ssh-ed25519 AAAA me"}
    assert told["keys"] == [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA me"}]
    assert len(base64.b64decode(told["random_seed"])) == 512
    assert told["devices"][0]["tags"] == ["front"]
    assert "admin_pass" not in told


def test_random_bytes_differ_between_guests() -> None:
    assert _json(FACTS, "meta_data.json")["random_seed"] != _json(FACTS, "meta_data.json")["random_seed"]


def test_older_versions_know_less() -> None:
    assert "random_seed" not in _json(FACTS, "meta_data.json", "2012-08-10")
    assert "project_id" not in _json(FACTS, "meta_data.json", "2013-10-17")
    assert openstack_file(guest_data(FACTS), "2013-10-17", "network_data.json") is None
    assert openstack_file(guest_data(FACTS), "2999-01-01", "meta_data.json") is None


def test_cards_are_told_with_dhcp_or_with_their_address() -> None:
    told = _json(FACTS, "network_data.json")
    (link,), (network,) = told["links"], told["networks"]
    assert (link["ethernet_mac_address"], link["mtu"], link["type"]) == ("fa:16:3e:01:02:03", 1450, "bridge")
    assert (network["type"], network["link"]) == ("ipv4_dhcp", link["id"])
    assert told["services"] == [{"type": "dns", "address": "192.0.2.53"}]
    routes = (("169.254.169.254/32", "10.0.0.254"),)
    fixed = replace(NIC, addresses=(replace(FOUR, dhcp=False, routes=routes),))
    (network,) = _json(GuestFacts("i", "n", "n", "p", nics=(fixed,)), "network_data.json")["networks"]
    assert (network["ip_address"], network["netmask"]) == ("10.0.0.5", "255.255.255.0")
    assert network["routes"] == [
        {"network": "169.254.169.254", "netmask": "255.255.255.255", "gateway": "10.0.0.254"},
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
    ]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("slaac", "ipv6_slaac"),
        ("dhcpv6-stateful", "ipv6_dhcpv6-stateful"),
        ("dhcpv6-stateless", "ipv6_dhcpv6-stateless"),
        ("", "ipv6_dhcp"),
    ],
)
def test_a_card_of_both_versions_has_an_entry_for_each(mode: str, kind: str) -> None:
    six = AddressFact("fd00::5", "fd00::/64", "fd00::1", server_ip="fd00::2", mode=mode)
    told = _json(replace(FACTS, nics=(replace(NIC, addresses=(FOUR, FOUR, six)),)), "network_data.json")
    assert [(one["id"], one["type"]) for one in told["networks"]] == [("network0", "ipv4_dhcp"), ("network1", kind)]
    assert [one["address"] for one in told["services"]] == ["192.0.2.53", "fd00::2"]
    fixed = replace(NIC, addresses=(replace(six, dhcp=False),))
    (network,) = _json(replace(FACTS, nics=(fixed,)), "network_data.json")["networks"]
    assert (network["type"], network["netmask"]) == ("ipv6", "ffff:ffff:ffff:ffff::")
    assert network["routes"] == [{"network": "::", "netmask": "::", "gateway": "fd00::1"}]


def test_a_card_on_a_lan_asks_the_lans_own_server() -> None:
    told = _json(replace(FACTS, nics=(replace(NIC, addresses=(), lan=True),)), "network_data.json")
    assert [one["type"] for one in told["networks"]] == ["ipv4_dhcp"]
    assert _json(replace(FACTS, nics=(replace(NIC, addresses=()),)), "network_data.json")["networks"] == []


def test_the_config_drive_holds_every_version() -> None:
    files = config_drive_files(guest_data(FACTS))
    assert files["openstack/latest/user_data"] == FACTS.user_data
    assert {path.split("/")[0] for path in files} == {"openstack", "ec2"}
    assert "openstack/2018-08-27/network_data.json" in files
    assert json.loads(files["ec2/latest/meta-data.json"])["public-keys"]["0"]["openssh-key"] == "ssh-ed25519 AAAA me"


def test_files_are_carried_with_their_paths() -> None:
    facts = GuestFacts("i", "n", "n", "p", files=(("/etc/motd", b"hello"),))
    files = config_drive_files(guest_data(facts))
    (entry,) = json.loads(files["openstack/latest/meta_data.json"])["files"]
    assert entry["path"] == "/etc/motd"
    assert files["openstack" + entry["content_path"]] == b"hello"


def test_an_admin_password_is_on_the_drive_when_it_is_known() -> None:
    facts = GuestFacts("i", "n", "n", "p", admin_pass="secret")
    assert (
        json.loads(config_drive_files(guest_data(facts))["openstack/latest/meta_data.json"])["admin_pass"] == "secret"
    )


@pytest.mark.parametrize("facts", [FACTS, BARE])
@pytest.mark.parametrize("start", ["", "latest", "2009-04-04", "openstack/latest", "openstack/2012-08-10"])
def test_every_index_names_only_what_is_there(facts: GuestFacts, start: str) -> None:
    waiting = [start]
    while waiting:
        path = waiting.pop()
        for line in _lines(facts, path):
            name = line.partition("=")[0] if path.endswith("public-keys/") else line
            child = f"{path}/{name}" if path else name
            _lines(facts, child)
            if name.endswith("/") or (not path and name):
                waiting.append(child)


def test_what_is_absent_is_not_listed() -> None:
    assert "public-keys/" in _lines(FACTS, "latest/meta-data")
    assert "public-keys/" not in _lines(BARE, "latest/meta-data")
    assert "user-data" not in _lines(BARE, "latest")
    assert "user_data" not in _lines(BARE, "openstack/latest")
    for path in (["latest", "user-data"], ["latest", "meta-data", "public-keys"], ["..", "etc"]):
        with pytest.raises(Missing):
            find(tree(guest_data(BARE)), path)


def test_devices_with_words_of_users() -> None:
    nic = replace(FACTS.nics[0], tag="backup")
    disk = DiskFact("0a1b2c3d-0000-4000-8000-000000000001", "virtio", "database")
    untagged = replace(disk, tag="")
    facts = GuestFacts("i", "n", "n", "p", nics=(nic, replace(nic, tag="")), disks=(disk, untagged))
    found = _json(facts, "meta_data.json")["devices"]
    assert [(one["type"], one["tags"]) for one in found] == [("nic", ["backup"]), ("disk", ["database"])]
    assert found[0]["mac"] == nic.mac_address
    assert (found[1]["serial"], found[1]["bus"]) == (disk.serial, "virtio")


def test_ec2_names_disks_and_the_address_outside() -> None:
    facts = GuestFacts("i", "n", "n", "p", block_devices={"ami": "vda", "ebs0": "/dev/vdb"}, public_ip="203.0.113.5")
    tree = ec2_tree(guest_data(facts))
    assert (tree["block-device-mapping"], tree["public-ipv4"]) == (
        {"ami": "vda", "ebs0": "/dev/vdb"}, "203.0.113.5"
    )  # fmt: skip
