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
from novalite.cloud.compute.guest_data import GuestFacts, KeyFact, nic_fact
from novalite.cloud.network import networks, ports, security_groups, subnets
from novalite.context import Context
from novalite.db.records import Base
from novalite.db.work import Database, Work
from novalite.drivers.network.base import METADATA_ADDRESS, METADATA_PORT, NetworkSpec, bridge_name
from tests.contracts.waiting import until
from tests.real.network.conftest import Guest, Machine, sh

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
        guests = Guests(self._facts, lambda w, id: self.passwords.get(id, ""), self._keep)
        self.service = MetadataService(lambda network_id: metadata_app(self.database, network_id, guests))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.service.run, args=(self._stop,))

    def _facts(self, w: Work, server_id: str) -> GuestFacts:
        nics = tuple(nic_fact(view) for view in ports.of_device(w, server_id))
        return GuestFacts(server_id, f"name-{server_id}", f"host-{server_id}", CTX.project_id, b"#!/bin/sh\n",
                          nics=nics, keys=(KeyFact("my key", "ssh-ed25519 AAAA"),))  # fmt: skip

    def _keep(self, w: Work, server_id: str, text: str) -> bool:
        return self.passwords.setdefault(server_id, text) == text

    def start(self) -> None:
        self._thread.start()
        self.sync()

    def sync(self) -> None:
        with self.database.read(CTX) as w:
            self.service.sync(networks.specs(w))
        until(self.service.alive, "every network is served")

    def network(self, cidr: str) -> NetworkSpec:
        with self.database.write(CTX) as w:
            network = networks.create(w, name=cidr)
            subnets.create(w, network, subnets.NewSubnet(cidr=cidr))
        with self.database.read(CTX) as w:
            spec = networks.spec(w, network.id)
        self.driver.ensure_network(spec)
        return spec

    def guest(self, network: NetworkSpec, server_id: str) -> Guest:
        with self.database.write(CTX) as w:
            ports.create(w, ports.NewPort(network.id, device_id=server_id))
            (view,) = ports.of_device(w, server_id)
            groups = security_groups.specs(w)
        self.driver.ensure_groups(groups, only=True)
        port = ports.as_spec(view, server_id)
        self.driver.ensure_port(port)
        guest = self.machine.plug(port)
        assert guest.lease()["ip"] == port.ip_address
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


def test_each_guest_hears_of_itself_whatever_it_claims(cloud: Cloud) -> None:
    left, right = cloud.network("10.97.0.0/24"), cloud.network("10.98.0.0/24")
    cloud.sync()
    first, second, third = cloud.guest(left, "s1"), cloud.guest(left, "s2"), cloud.guest(right, "s3")
    assert [_name(guest) for guest in (first, second, third)] == ["name-s1", "name-s2", "name-s3"]
    for header in (
        f"X-Forwarded-For: {second.port.ip_address}",
        f"Forwarded: for={second.port.ip_address}",
        f"X-Real-IP: {second.port.ip_address}",
        "X-Instance-ID: s2",
        "X-Tenant-ID: other",
        f"Host: {second.port.ip_address}",
    ):
        assert _name(first, "--header", header) == "name-s1", header


def test_a_forged_address_hears_nothing(cloud: Cloud) -> None:
    network = cloud.network("10.97.0.0/24")
    cloud.sync()
    first, second = cloud.guest(network, "s1"), cloud.guest(network, "s2")
    first.run("ip", "addr", "flush", "dev", "eth0")
    first.run("ip", "addr", "add", f"{second.port.ip_address}/24", "dev", "eth0")
    first.run("ip", "route", "add", "default", "via", network.gateway_ip)
    assert _name(first) is None
    assert _name(second) == "name-s2"


def test_another_networks_gateway_gives_nothing(cloud: Cloud) -> None:
    left, right = cloud.network("10.97.0.0/24"), cloud.network("10.98.0.0/24")
    cloud.sync()
    guest = cloud.guest(left, "s1")
    assert guest.fetch(f"http://{left.gateway_ip}:{METADATA_PORT}/openstack") is not None
    assert guest.fetch(f"http://{right.gateway_ip}:{METADATA_PORT}/openstack") is None


def test_appliances_side_by_side_answer_their_own_guests(clouds: list[Cloud], cloud: Cloud) -> None:
    other = clouds[1]
    left, right = cloud.network("10.97.0.0/24"), other.network("10.98.0.0/24")
    for one in clouds:
        one.sync()
    assert _name(cloud.guest(left, "s1")) == "name-s1"
    assert _name(other.guest(right, "s9")) == "name-s9"


def test_both_trees_are_there(cloud: Cloud) -> None:
    network = cloud.network("10.97.0.0/24")
    cloud.sync()
    guest = cloud.guest(network, "s1")
    assert "2018-08-27" in str(guest.fetch(f"{ROOT}/openstack/")).split()
    assert guest.fetch(f"{ROOT}/latest/user-data") == "#!/bin/sh\n"
    assert guest.fetch(f"{ROOT}/2009-04-04/meta-data/public-keys/") == "0=my key"
    assert guest.fetch(f"{ROOT}/latest/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA"
    assert guest.fetch(f"{ROOT}/latest/meta-data/local-ipv4") == guest.port.ip_address
    assert guest.fetch(f"{ROOT}/latest/meta-data/nothing") is None
    assert guest.fetch(f"{ROOT}/openstack/1999-01-01/meta_data.json") is None


def test_a_password_is_kept_once(cloud: Cloud) -> None:
    network = cloud.network("10.97.0.0/24")
    cloud.sync()
    guest, path = cloud.guest(network, "s1"), f"{ROOT}/openstack/2013-04-04/password"
    assert guest.fetch(path) == ""
    assert guest.fetch(path, "--post-data", "c2VjcmV0") == ""
    assert guest.fetch(path) == "c2VjcmV0"
    assert guest.fetch(path, "--post-data", "b3RoZXI=") is None
    assert guest.fetch(path) == "c2VjcmV0"
    assert cloud.passwords == {"s1": "c2VjcmV0"}


def test_a_bridge_made_anew_is_served_again(cloud: Cloud) -> None:
    network = cloud.network("10.97.0.0/24")
    cloud.sync()
    assert _name(cloud.guest(network, "s1")) == "name-s1"
    sh("ip", "link", "del", bridge_name(network.id))
    until(lambda: bridge_name(network.id) in "".join(cloud.service.problems()), "the loss is noticed")
    assert not cloud.service.alive()
    cloud.driver.ensure_network(network)
    until(cloud.service.alive, "the new bridge is served")
    assert _name(cloud.guest(network, "s2")) == "name-s2"


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
    network = cloud.network("10.97.0.0/24")
    cloud.sync()
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
    network = cloud.network("10.97.0.0/24")
    cloud.sync()
    cloud.service.sync(())
    until(lambda: str(METADATA_PORT) not in sh("ss", "-Hltn"), "the socket is closed")
    assert cloud.guest(network, "s1").fetch(IDENTITY) is None
