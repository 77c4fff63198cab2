"""The metadata service as guests see it: who asks is told by network and address, never by a header."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.api.metadata.app import Guests, metadata_app
from novalite.api.metadata.listener import MetadataService
from novalite.cloud import records
from novalite.cloud.compute.guest_data import AddressFact, GuestFacts, KeyFact, NicFact
from novalite.cloud.network import networks, new_ports, ports, security_groups, subnets
from novalite.context import Context
from novalite.db.records import Base
from novalite.db.work import Database, Work
from novalite.drivers.network import namespaces
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    METADATA_ADDRESS_6,
    METADATA_PORT,
    NetworkSpec,
    bridge_name,
    network_namespace,
)
from tests.contracts.waiting import until
from tests.real.network.conftest import Guest, Machine, on, sh

assert records  # every table is known, whichever tests run beside these
pytestmark = pytest.mark.real

ROOT = f"http://{METADATA_ADDRESS}"
CTX = Context("u1", "11111111-2222-3333-4444-555555555555", frozenset({"member", "admin"}))
IDENTITY = f"{ROOT}/openstack/latest/meta_data.json"


class Cloud:
    """Records, driver and metadata service of one appliance."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self.machine, self.driver = machine, machine.driver()
        self.database = Database(f"sqlite:///{directory / 'novalite.db'}")
        Base.metadata.create_all(self.database.engine)
        self.passwords: dict[str, str] = {}
        self.networks: list[NetworkSpec] = []
        guests = Guests(self._facts, lambda w, id: self.passwords.get(id, ""), self._keep)
        self.service = MetadataService(
            lambda network_id: metadata_app(self.database, network_id, guests),
            self.driver.metadata_sockets,
            lambda network_id: namespaces.identity(network_namespace(network_id)),
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.service.run, args=(self._stop,))

    def _facts(self, w: Work, server_id: str) -> GuestFacts | None:
        nics = tuple(
            NicFact(view.port_id, view.network_id, view.mac_address, (AddressFact(view.ip_address, "10.0.0.0/8"),))
            for view in ports.of_device(w, server_id)
        )
        return GuestFacts(server_id, f"name-{server_id}", f"host-{server_id}", CTX.project_id, b"#!/bin/sh\n",
                          nics=nics, keys=(KeyFact("my key", "ssh-ed25519 AAAA"),))  # fmt: skip

    def _keep(self, w: Work, server_id: str, text: str) -> bool:
        return self.passwords.setdefault(server_id, text) == text

    def start(self) -> None:
        self._thread.start()

    def sync(self) -> None:
        self.service.sync(self.networks)
        until(self.service.alive, "every network is served")

    def network(self, *cidrs: str) -> NetworkSpec:
        """A network with these ranges (10.97.0.0/24)."""
        with self.database.write(CTX) as w:
            network = networks.create(w, networks.NewNetwork(name="test"))
            for cidr in cidrs or ("10.97.0.0/24",):
                subnets.create(w, network, subnets.NewSubnet(cidr=cidr))
        with self.database.read(CTX) as w:
            spec = networks.spec(w, network.id)
        self.driver.ensure_network(spec)
        self.networks.append(spec)
        self.sync()
        return spec

    def guest(self, network: NetworkSpec, server_id: str, *pairs: str) -> Guest:
        """A guest whose port has an address of each range; ``pairs`` are other addresses it may speak from."""
        with self.database.write(CTX) as w:
            new = new_ports.NewPort(
                network.id, device_id=server_id, device_owner="compute:nova",
                address_pairs=tuple({"ip_address": pair} for pair in pairs),
            )  # fmt: skip
            new_ports.create(w, new)
            (port,) = ports.of_server(w, server_id)
            groups = security_groups.specs(w)
        self.driver.ensure_groups(groups, only=True)
        self.driver.ensure_port(port)
        guest = self.machine.plug(port)
        assert guest.lease()["ip"] in port.addresses
        return guest

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self.database.close()
        assert not self._thread.is_alive()


@pytest.fixture
def clouds(machine: Machine, tmp_path: Path) -> Iterator[list[Cloud]]:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(Cloud(machine, tmp_path / name))
    yield made
    for cloud in made:
        cloud.close()


@pytest.fixture
def cloud(clouds: list[Cloud]) -> Cloud:
    for one in clouds:
        one.start()
    return clouds[0]


def _name(guest: Guest, *options: str) -> str | None:
    text = guest.fetch(IDENTITY, *options)
    return None if text is None else str(json.loads(text)["name"])


_FETCH = """
import http.client, json, sys
connection = http.client.HTTPConnection(sys.argv[1], 80, timeout=3, source_address=(sys.argv[3], 0))
connection.request("GET", "/openstack/latest/meta_data.json", headers=dict([sys.argv[2].split(": ")]))
answer = connection.getresponse()
print(json.loads(answer.read())["name"] if answer.status == 200 else answer.status)
"""


def _name_6(guest: Guest, header: str = "Accept: */*", *, source: str = "::") -> str | None:
    done = guest.run(sys.executable, "-c", _FETCH, f"{METADATA_ADDRESS_6}%eth0", header, source)
    return done.stdout.strip() if done.returncode == 0 else None


HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Instance-ID", "X-Tenant-ID", "Host")


def test_each_guest_hears_of_itself_whatever_it_claims(cloud: Cloud) -> None:
    left, right = cloud.network(), cloud.network("10.98.0.0/24")
    first, second, third = cloud.guest(left, "s1"), cloud.guest(left, "s2"), cloud.guest(right, "s3")
    assert [_name(guest) for guest in (first, second, third)] == ["name-s1", "name-s2", "name-s3"]
    assert [_name_6(guest) for guest in (first, second, third)] == ["name-s1", "name-s2", "name-s3"]
    for header in HEADERS:
        for value in (second.port.addresses[0], f"for={second.port.addresses[0]}", "s2"):
            assert _name(first, "--header", f"{header}: {value}") == "name-s1", header
            assert _name_6(first, f"{header}: {value}") == "name-s1", header


def test_a_forged_address_hears_nothing(cloud: Cloud) -> None:
    network = cloud.network()
    first, second = cloud.guest(network, "s1"), cloud.guest(network, "s2")
    first.run("ip", "-4", "addr", "flush", "dev", "eth0")
    first.run("ip", "addr", "add", f"{second.port.addresses[0]}/24", "dev", "eth0")
    first.run("ip", "route", "add", "default", "via", network.subnets[0].server_ip)
    assert _name(first) is None
    assert _name(second) == "name-s2"
    other = json.loads(second.run("ip", "-j", "-6", "addr", "show", "dev", "eth0", "scope", "link").stdout)
    address = next(each["local"] for link in other if link for each in link["addr_info"])
    first.run("ip", "-6", "addr", "flush", "dev", "eth0")
    first.run("ip", "addr", "add", f"{address}/64", "dev", "eth0", "nodad")
    assert _name_6(first) is None
    assert _name_6(second) == "name-s2"


def test_an_ipv6_address_of_the_port_tells_who_it_is(cloud: Cloud) -> None:
    network = cloud.network("10.97.0.0/24", "fd00:97::/64")
    first, second = cloud.guest(network, "s1"), cloud.guest(network, "s2")
    for guest, name in ((first, "name-s1"), (second, "name-s2")):
        (address,) = (each for each in guest.port.addresses if ":" in each)
        guest.run("ip", "addr", "add", f"{address}/64", "dev", "eth0", "nodad")
        assert _name_6(guest, source=address) == name
    stolen = next(each for each in second.port.addresses if ":" in each)
    second.run("ip", "addr", "del", f"{stolen}/64", "dev", "eth0")
    first.run("ip", "addr", "add", f"{stolen}/64", "dev", "eth0", "nodad")
    assert _name_6(first, source=stolen) is None


def test_an_address_that_ports_may_share_tells_nobody(cloud: Cloud) -> None:
    network = cloud.network()
    guest = cloud.guest(network, "s1", "10.97.0.77")
    guest.run("ip", "addr", "add", "10.97.0.77/24", "dev", "eth0")
    guest.run("ip", "route", "replace", METADATA_ADDRESS, "via", network.subnets[0].server_ip, "src", "10.97.0.77")
    assert _name(guest) is None
    guest.run("ip", "route", "replace", METADATA_ADDRESS, "via", network.subnets[0].server_ip)
    assert _name(guest) == "name-s1"


def test_appliances_side_by_side_answer_their_own_guests_in_the_same_range(clouds: list[Cloud], cloud: Cloud) -> None:
    other = clouds[1]
    left, right = cloud.network(), other.network()
    first, second = cloud.guest(left, "s1"), other.guest(right, "s9")
    assert first.port.addresses == second.port.addresses
    assert (_name(first), _name(second)) == ("name-s1", "name-s9")


def test_both_trees_are_there(cloud: Cloud) -> None:
    network = cloud.network()
    guest = cloud.guest(network, "s1")
    assert "2018-08-27" in str(guest.fetch(f"{ROOT}/openstack/")).split()
    assert guest.fetch(f"{ROOT}/latest/user-data") == "#!/bin/sh\n"
    assert guest.fetch(f"{ROOT}/2009-04-04/meta-data/public-keys/") == "0=my key"
    assert guest.fetch(f"{ROOT}/latest/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA"
    assert guest.fetch(f"{ROOT}/latest/meta-data/local-ipv4") == guest.port.addresses[0]
    assert guest.fetch(f"{ROOT}/latest/meta-data/nothing") is None
    assert guest.fetch(f"{ROOT}/openstack/1999-01-01/meta_data.json") is None


def test_a_password_is_kept_once(cloud: Cloud) -> None:
    network = cloud.network()
    guest, path = cloud.guest(network, "s1"), f"{ROOT}/openstack/2013-04-04/password"
    assert guest.fetch(path) == ""
    assert guest.fetch(path, "--post-data", "c2VjcmV0") == ""
    assert guest.fetch(path) == "c2VjcmV0"
    assert guest.fetch(path, "--post-data", "b3RoZXI=") is None
    assert guest.fetch(path) == "c2VjcmV0"
    assert cloud.passwords == {"s1": "c2VjcmV0"}


def test_a_bridge_made_anew_is_served_again(cloud: Cloud) -> None:
    network = cloud.network()
    guest = cloud.guest(network, "s1")
    assert _name(guest) == "name-s1"
    sh("ip", "-n", network_namespace(network.id), "link", "del", bridge_name(network.id))
    until(lambda: network.id in "".join(cloud.service.problems()), "the loss is noticed")
    assert not cloud.service.alive()
    cloud.driver.ensure_network(network, (guest.port,))
    until(cloud.service.alive, "the new bridge is served")
    until(lambda: _name(guest) == "name-s1", "the same guest is answered")
    assert _name_6(guest) == "name-s1"


def test_a_namespace_made_anew_is_served_again(cloud: Cloud) -> None:
    network, untouched = cloud.network(), cloud.network("10.98.0.0/24")
    guest, other = cloud.guest(network, "s1"), cloud.guest(untouched, "s2")
    before = namespaces.identity(network_namespace(network.id))
    sh("ip", "netns", "del", network_namespace(network.id))
    cloud.driver.ensure_network(network, (guest.port,))
    assert namespaces.identity(network_namespace(network.id)) != before
    until(lambda: _name(guest) == "name-s1", "the new namespace is served")
    assert _name_6(guest) == "name-s1"
    assert _name(other) == "name-s2"


_HOARD = """
import select, socket, sys, time
held = []
for _ in range(60):
    held.append(socket.create_connection(("169.254.169.254", 80), timeout=5))
open_ones, end = list(held), time.monotonic() + 5
while len(open_ones) > 40 and time.monotonic() < end:
    closed = select.select(open_ones, [], [], end - time.monotonic())[0]
    open_ones = [one for one in open_ones if one not in closed]
print(len(held) - len(open_ones), flush=True)
sys.stdin.read()
"""


def test_a_guest_that_hoards_connections_harms_only_itself(cloud: Cloud) -> None:
    network = cloud.network()
    first, second = cloud.guest(network, "s1"), cloud.guest(network, "s2")
    hoarder = subprocess.Popen(["ip", "netns", "exec", first.name, sys.executable, "-c", _HOARD], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    with hoarder:
        assert hoarder.stdout is not None
        assert int(hoarder.stdout.readline()) >= 20, "beyond 32 connections are closed"
        assert _name(second) == "name-s2"
        hoarder.communicate("")
    assert hoarder.returncode == 0


def test_a_removed_network_is_served_no_longer(cloud: Cloud) -> None:
    network = cloud.network()
    guest = cloud.guest(network, "s1")
    cloud.service.sync(())
    until(lambda: f":{METADATA_PORT}" not in on(network, "ss", "-Hltn"), "the sockets are closed")
    assert guest.fetch(IDENTITY) is None
