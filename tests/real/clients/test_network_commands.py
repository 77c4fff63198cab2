"""The unmodified ``openstack`` command, through what the Network API has beside networks and ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.appliance.process import running
from tests.real.clients.shell import NewShell, Shell

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def openstack(new_shell: NewShell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    directory = tmp_path_factory.mktemp("client")
    with running(directory / "state", driver="fake") as appliance:
        shell = new_shell(appliance, directory)
        shell("network", "create", "blue")
        shell("subnet", "create", "--network", "blue", "--subnet-range", "10.2.0.0/24", "blue4")
        yield shell


def test_routers_with_static_routes_and_ipv6(openstack: Shell) -> None:
    openstack("router", "create", "--external-gateway", "public", "r")
    openstack("router", "add", "subnet", "r", "blue4")
    openstack("subnet", "create", "--network", "blue", "--ip-version", "6", "--subnet-range", "2001:db8::/64",
              "--ipv6-ra-mode", "slaac", "--ipv6-address-mode", "slaac", "blue6")  # fmt: skip
    openstack("router", "add", "subnet", "r", "blue6")
    openstack("router", "add", "route", "--route", "destination=192.0.2.0/24,gateway=10.2.0.9", "r")
    assert openstack.json("router", "show", "r")["routes"] == [{"destination": "192.0.2.0/24", "nexthop": "10.2.0.9"}]
    assert "required by one or more routes" in openstack.refused("router", "remove", "subnet", "r", "blue4")
    openstack("router", "remove", "route", "--route", "destination=192.0.2.0/24,gateway=10.2.0.9", "r")
    openstack("router", "remove", "subnet", "r", "blue6")


def test_forwarded_ports_of_a_floating_address(openstack: Shell) -> None:
    port = openstack.json("port", "create", "--network", "blue", "--fixed-ip", "subnet=blue4", "web")
    floating = openstack.json("floating", "ip", "create", "public")["floating_ip_address"]
    made = openstack.json(
        "floating", "ip", "port", "forwarding", "create", "--port", "web", "--internal-ip-address",
        port["fixed_ips"][0]["ip_address"], "--internal-protocol-port", "80", "--external-protocol-port", "8080",
        "--protocol", "tcp", floating)  # fmt: skip
    assert made["external_port"] == 8080
    (listed,) = openstack.json("floating", "ip", "port", "forwarding", "list", floating)
    assert listed["Internal Port"] == 80
    openstack("floating", "ip", "port", "forwarding", "delete", floating, made["id"])


def test_groups_of_addresses_and_stateless_ones(openstack: Shell) -> None:
    openstack("address", "group", "create", "--address", "192.0.2.0/24", "offices")
    openstack("address", "group", "set", "--address", "2001:db8::/64", "offices")
    openstack("security", "group", "create", "--stateless", "web")
    openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "443",
              "--remote-address-group", "offices", "web")  # fmt: skip
    assert openstack.json("security", "group", "show", "web")["stateful"] is False
    assert "is in use" in openstack.refused("address", "group", "delete", "offices")
    assert len(openstack.json("default", "security", "group", "rule", "list")) == 4


def test_sharing_pools_limits_and_tags(openstack: Shell) -> None:
    project = openstack.json("project", "create", "guests")["id"]
    policy = openstack.json("network", "rbac", "create", "--type", "network", "--action", "access_as_shared",
                            "--target-project", "guests", "blue")  # fmt: skip
    assert policy["target_project_id"] == project
    openstack("network", "rbac", "delete", policy["id"])
    openstack("address", "scope", "create", "--ip-version", "4", "s")
    openstack("subnet", "pool", "create", "--pool-prefix", "10.50.0.0/16", "--default-prefix-length", "26",
              "--address-scope", "s", "pool")  # fmt: skip
    openstack("network", "create", "--tag", "red", "green")
    made = openstack.json("subnet", "create", "--network", "green", "--subnet-pool", "pool", "green4")
    assert made["cidr"] == "10.50.0.0/26"
    openstack("network", "qos", "policy", "create", "slow")
    openstack("network", "qos", "rule", "create", "--type", "bandwidth-limit", "--max-kbps", "1000", "--egress", "slow")
    openstack("network", "set", "--qos-policy", "slow", "green")
    assert [one["Name"] for one in openstack.json("network", "list", "--tags", "red")] == ["green"]
    openstack("network", "unset", "--tag", "red", "green")
    assert openstack.json("network", "list", "--tags", "red") == []
    assert openstack.json("network", "qos", "rule", "type", "list") == [{"Type": "bandwidth_limit"}]
    assert openstack.json("ip", "availability", "list")
    openstack("network", "auto", "allocated", "topology", "create", "--check-resources")
    made = openstack.json("network", "auto", "allocated", "topology", "create")
    assert openstack.json("network", "show", made["id"])["name"] == "auto_allocated_network"
