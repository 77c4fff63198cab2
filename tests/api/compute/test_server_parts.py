"""What belongs to a server, to read: cards, volumes, groups, password, topology, figures, moves."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.compute import servers
from novalite.context import internal

from .conftest import Cloud

UNKNOWN = "12345678-1234-1234-1234-123456789abc"


@pytest.fixture(scope="module")
def one(member: Cloud) -> str:
    return member.boot("parts")


def test_network_cards(member: Cloud, one: str) -> None:
    path = f"/servers/{one}/os-interface"
    (card,) = member.get(path).json["interfaceAttachments"]
    ((address,),) = member.get(f"/servers/{one}/ips").json["addresses"].values()
    assert card["fixed_ips"][0]["ip_address"] == address["addr"]
    assert (card["port_state"], card["tag"]) == ("ACTIVE", None)
    assert "tag" not in member.get(path, "2.69").json["interfaceAttachments"][0]
    assert member.get(f"{path}/{card['port_id']}").json == {"interfaceAttachment": card}
    assert member.get(f"{path}/{UNKNOWN}").status_code == 404
    (old,) = member.get(f"/servers/{one}/os-virtual-interfaces", "2.12").json["virtual_interfaces"]
    assert old == {"id": card["port_id"], "mac_address": card["mac_addr"], "net_id": card["net_id"]}
    assert "net_id" not in member.get(f"/servers/{one}/os-virtual-interfaces", "2.11").json["virtual_interfaces"][0]
    assert member.get(f"/servers/{one}/os-virtual-interfaces?offset=1", "2.1").json == {"virtual_interfaces": []}
    assert member.get(f"/servers/{one}/os-virtual-interfaces", "2.44").status_code == 404


def test_there_are_no_volumes(member: Cloud, one: str) -> None:
    path = f"/servers/{one}/os-volume_attachments"
    assert member.get(f"{path}?limit=1&offset=2").json == {"volumeAttachments": []}
    assert member.get(f"{path}/{UNKNOWN}").status_code == 404
    assert member.get(f"{path}?limit=-1").status_code == 400
    assert member.get(f"{path}?color=red").status_code == 400
    assert member.get(f"{path}?color=red", "2.74").status_code == 200


def test_security_groups(member: Cloud, one: str) -> None:
    (group,) = member.get(f"/servers/{one}/os-security-groups").json["security_groups"]
    assert (group["name"], group["rules"][0]["group"]["name"]) == ("default", "default")
    assert member.get("/os-security-groups", "2.35").json["security_groups"] == [group]
    assert member.get(f"/os-security-groups/{group['id']}", "2.1").json == {"security_group": group}
    assert member.get(f"/os-security-groups/{UNKNOWN}", "2.1").status_code == 404
    assert member.get("/os-security-groups", "2.36").status_code == 404


def test_groups_of_all_projects_are_for_admins(admin: Cloud, member: Cloud, one: str) -> None:
    mine = member.get("/os-security-groups?all_tenants=1", "2.1").json["security_groups"]
    every = admin.get("/os-security-groups?all_tenants=1", "2.1").json["security_groups"]
    own = admin.get("/os-security-groups", "2.1").json["security_groups"]
    assert (len(mine), len(own), len(every) >= 2) == (1, 1, True)


def test_the_password_a_guest_told(member: Cloud, reader: Cloud, one: str) -> None:
    path = f"/servers/{one}/os-server-password"
    assert member.get(path).json == {"password": ""}
    with member.appliance.built.database.write(internal()) as w:
        servers.change(w, one, {"guest_password": "c2VjcmV0"})
    assert member.get(path).json == {"password": "c2VjcmV0"}
    assert reader.call("DELETE", path).status_code == 403
    assert member.call("DELETE", path).status_code == 204
    assert member.get(path).json == {"password": ""}


def test_topology(admin: Cloud, member: Cloud, one: str) -> None:
    assert member.get(f"/servers/{one}/topology").json == {"nodes": [], "pagesize_kb": None}
    assert member.get(f"/servers/{one}/topology", "2.77").status_code == 404
    assert member.get(f"/servers/{one}/topology?a=1").status_code == 400
    flavor = {"flavor": {"name": "numa", "ram": 256, "vcpus": 2, "disk": 1, "id": "numa"}}
    assert admin.call("POST", "/flavors", flavor).status_code == 200
    specs = {"extra_specs": {"hw:numa_nodes": "2"}}
    assert admin.call("POST", "/flavors/numa/os-extra_specs", specs).status_code == 200
    wide = member.boot("wide", flavorRef="numa")
    nodes = member.get(f"/servers/{wide}/topology").json["nodes"]
    assert [(node["vcpu_set"], node["memory_mb"]) for node in nodes] == [([0], 128), ([1], 128)]
    member.gone(wide)


def test_figures_of_a_running_server(admin: Cloud, member: Cloud, one: str) -> None:
    path = f"/servers/{one}/diagnostics"
    shown = admin.get(path).json
    assert (shown["state"], shown["num_cpus"], shown["num_nics"], shown["num_disks"]) == ("running", 1, 1, 1)
    assert shown["memory_details"]["maximum"] == member.server(one)["flavor"]["ram"]
    assert shown["cpu_details"] == [{"id": 0, "time": 0, "utilisation": None}]
    assert set(shown["disk_details"][0]) == {
        "read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count"
    }  # fmt: skip
    assert {"rx_rate", "tx_rate", "rx_octets", "tx_drop"} < set(shown["nic_details"][0])
    old = admin.get(path, "2.47").json
    assert {"cpu0_time", "memory", "vda_read", "vda_write_req"} < set(old)
    assert sum(name.endswith("_rx_drop") for name in old) == 1
    assert admin.get(f"/servers/{UNKNOWN}/diagnostics").status_code == 404


def test_no_figures_of_a_stopped_server(admin: Cloud, member: Cloud) -> None:
    off = member.boot("off")
    member.act(off, "os-stop")
    member.wait(off, "SHUTOFF")
    answer = admin.get(f"/servers/{off}/diagnostics")
    assert (answer.status_code, "get_diagnostics" in answer.json["conflictingRequest"]["message"]) == (409, True)
    member.gone(off)


READS = ("os-interface", "os-volume_attachments", "os-security-groups", "os-server-password", "topology")


@pytest.mark.parametrize("part", READS)
def test_readers_read_and_strangers_see_nothing(reader: Cloud, stranger: Cloud, one: str, part: str) -> None:
    assert stranger.get(f"/servers/{one}/{part}").status_code == 404
    assert reader.get(f"/servers/{UNKNOWN}/{part}").status_code == 404


@pytest.mark.parametrize("path", ["/servers/{}/diagnostics", "/servers/{}/migrations", "/os-migrations"])
def test_members_may_not(member: Cloud, reader: Cloud, one: str, path: str) -> None:
    for cloud in (member, reader):
        assert cloud.get(path.format(one)).status_code == 403


def test_the_simple_pages(member: Cloud, one: str) -> None:
    for bad in ("limit=x", "offset=-1"):
        answer: Any = member.get(f"/os-security-groups?{bad}", "2.1")
        assert answer.status_code == 400
