"""Security groups as Compute told of them, and those of servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.compute.conftest import Cloud

UNKNOWN = "6e0bd4f7-3a58-4d4a-8c65-8a2b1a6a7a11"
OLD = "2.35"


def _group(cloud: Cloud, name: str, description: str = "for tests") -> Any:
    body = {"security_group": {"name": name, "description": description}}
    answer = cloud.call("POST", "/os-security-groups", body, OLD)
    assert answer.status_code == 200, answer.text
    return answer.json["security_group"]


def _rule(cloud: Cloud, group: str, **values: Any) -> Any:
    body = {"security_group_rule": {"parent_group_id": group, **values}}
    return cloud.call("POST", "/os-security-group-rules", body, OLD)


def _names(cloud: Cloud, server: str) -> list[str]:
    return [one["name"] for one in cloud.get(f"/servers/{server}/os-security-groups").json["security_groups"]]


@pytest.fixture(scope="module")
def server(member: Cloud) -> str:
    return member.boot()


def test_a_group_is_made_shown_changed_and_deleted(member: Cloud, stranger: Cloud) -> None:
    made = _group(member, "web")
    assert set(made) == {"id", "name", "description", "tenant_id", "rules"}
    assert made["rules"] == []
    path = f"/os-security-groups/{made['id']}"
    change = {"security_group": {"name": "www", "description": "changed"}}
    assert member.call("PUT", path, change, OLD).json["security_group"]["name"] == "www"
    assert member.get(path, OLD).json["security_group"]["description"] == "changed"
    assert "www" in [one["name"] for one in member.get("/os-security-groups", OLD).json["security_groups"]]
    assert stranger.get(path, OLD).status_code == 404
    assert stranger.call("DELETE", path, version=OLD).status_code == 404
    assert member.get(path, "2.36").status_code == 404
    assert member.call("DELETE", path, version=OLD).status_code == 202
    assert member.get(path, OLD).status_code == 404


def test_the_default_group_stays_as_it_is(member: Cloud) -> None:
    groups = member.get("/os-security-groups", OLD).json["security_groups"]
    default = next(one for one in groups if one["name"] == "default")
    [*rules] = default["rules"]
    assert {rule["group"]["name"] for rule in rules} == {"default"}
    assert all(rule["ip_range"] == {} for rule in rules)
    path = f"/os-security-groups/{default['id']}"
    assert member.call("DELETE", path, version=OLD).status_code == 400
    body = {"security_group": {"name": "default", "description": "another"}}
    assert member.call("POST", "/os-security-groups", body, OLD).status_code == 400


def test_rules_in_compute_s_own_words(member: Cloud) -> None:
    group, source = _group(member, "rules")["id"], _group(member, "source")
    made = _rule(member, group, ip_protocol="tcp", from_port=22, to_port="80", cidr="10.0.0.0/8").json
    rule = made["security_group_rule"]
    assert (rule["ip_protocol"], rule["from_port"], rule["to_port"]) == ("tcp", 22, 80)
    assert (rule["ip_range"], rule["group"], rule["parent_group_id"]) == ({"cidr": "10.0.0.0/8"}, {}, group)
    anywhere = _rule(member, group, ip_protocol="udp", from_port=53, to_port=53).json["security_group_rule"]
    assert anywhere["ip_range"] == {"cidr": "0.0.0.0/0"}
    ping = _rule(member, group, ip_protocol="icmp", from_port=-1, to_port=-1, cidr="0.0.0.0/0").json
    assert (ping["security_group_rule"]["from_port"], ping["security_group_rule"]["to_port"]) == (-1, -1)
    open_ = _rule(member, group, group_id=source["id"]).json["security_group_rule"]
    assert open_["group"] == {"name": "source", "tenant_id": source["tenant_id"]}
    assert (open_["ip_range"], open_["ip_protocol"]) == ({}, None)
    shown = member.get(f"/os-security-groups/{group}", OLD).json["security_group"]["rules"]
    assert {one["id"] for one in shown} == {
        each["id"] for each in (rule, anywhere, ping["security_group_rule"], open_)
    }  # fmt: skip
    again = _rule(member, group, ip_protocol="tcp", from_port=22, to_port=80, cidr="10.0.0.0/8")
    assert again.status_code == 400
    assert member.call("DELETE", f"/os-security-group-rules/{rule['id']}", version=OLD).status_code == 202
    assert member.call("DELETE", f"/os-security-group-rules/{rule['id']}", version=OLD).status_code == 404


@pytest.mark.parametrize(
    "values",
    [
        {"ip_protocol": "tcp", "from_port": 80, "to_port": 22, "cidr": "10.0.0.0/8"},
        {"ip_protocol": "tcp", "from_port": 0, "to_port": 22, "cidr": "10.0.0.0/8"},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 65536, "cidr": "10.0.0.0/8"},
        {"ip_protocol": "tcp", "from_port": "x", "to_port": 22, "cidr": "10.0.0.0/8"},
        {"ip_protocol": "icmp", "from_port": -2, "to_port": 0, "cidr": "10.0.0.0/8"},
        {"ip_protocol": "icmp", "from_port": 256, "to_port": 0, "cidr": "10.0.0.0/8"},
        {"ip_protocol": "pigeon", "from_port": 1, "to_port": 2, "cidr": "10.0.0.0/8"},
        {"ip_protocol": ["tcp"], "from_port": 1, "to_port": 2, "cidr": "10.0.0.0/8"},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "10.0.0.0/99"},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "10.0.0.0/0"},
        {"ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": {"a": 1}},
        {"cidr": "10.0.0.0/8"},
        {},
    ],
)
def test_rules_that_make_no_sense(member: Cloud, values: Any) -> None:
    group = member.get("/os-security-groups", OLD).json["security_groups"][0]["id"]
    answer = _rule(member, group, **values)
    assert answer.status_code == 400, answer.text


def test_rules_of_unknown_groups(member: Cloud, stranger: Cloud) -> None:
    theirs = _group(stranger, "theirs")["id"]
    mine = _group(member, "mine")["id"]
    wanted = {"ip_protocol": "tcp", "from_port": 1, "to_port": 2}
    assert _rule(member, theirs, **wanted).status_code == 404
    assert _rule(member, UNKNOWN, **wanted).status_code == 404
    assert _rule(member, mine, group_id=UNKNOWN).status_code == 404
    assert _rule(member, "not-an-id", **wanted).status_code == 400


def test_a_server_joins_and_leaves_groups(member: Cloud, server: str) -> None:
    group = _group(member, "joined")
    assert _names(member, server) == ["default"]
    assert member.act(server, "addSecurityGroup", {"name": "joined"}).status_code == 202
    assert _names(member, server) == ["default", "joined"]
    listed = member.get("/servers/detail").json["servers"]
    shown = next(one for one in listed if one["id"] == server)["security_groups"]
    assert {one["name"] for one in shown} == {"default", "joined"}
    used = member.call("DELETE", f"/os-security-groups/{group['id']}", version=OLD)
    assert used.status_code == 400
    assert member.act(server, "removeSecurityGroup", {"name": group["id"]}).status_code == 202
    assert _names(member, server) == ["default"]
    assert member.act(server, "removeSecurityGroup", {"name": "joined"}).status_code == 404


def test_groups_that_a_server_cannot_join(member: Cloud, stranger: Cloud, server: str) -> None:
    for _ in range(2):
        _group(member, "twice")
    assert member.act(server, "addSecurityGroup", {"name": "twice"}).status_code == 409
    assert member.act(server, "addSecurityGroup", {"name": "nobody"}).status_code == 404
    for value in ({"name": ""}, {}, None, {"name": 5}, {"colour": "red"}):
        assert member.act(server, "addSecurityGroup", value).status_code == 400
    assert stranger.act(server, "addSecurityGroup", {"name": "default"}).status_code == 404
    bare = member.boot("bare", networks="none")
    assert member.act(bare, "addSecurityGroup", {"name": "default"}).status_code == 404


def test_a_network_without_port_security_gives_servers_no_groups(member: Cloud) -> None:
    network_api = "/network/v2.0"
    body: dict[str, Any] = {"network": {"name": "open", "port_security_enabled": False}}
    network = member.appliance.post(f"{network_api}/networks", body, token=member.token).json["network"]["id"]
    body = {"subnet": {"network_id": network, "cidr": "10.78.0.0/28", "ip_version": 4}}
    assert member.appliance.post(f"{network_api}/subnets", body, token=member.token).status_code == 201
    server = member.boot(networks=[{"uuid": network}])
    query = f"{network_api}/ports?device_id={server}"
    (port,) = member.appliance.get(query, token=member.token).json["ports"]
    assert (port["port_security_enabled"], port["security_groups"]) == (False, [])
    assert "security_groups" not in member.server(server)
    _group(member, "not-here")
    refused = member.new(networks=[{"uuid": network}], security_groups=[{"name": "not-here"}])
    assert refused.status_code == 400
    assert "port_security_enabled" in refused.text
    member.gone(server)
    assert member.appliance.call("DELETE", f"{network_api}/networks/{network}", token=member.token).status_code == 204
