"""The Linux driver behind the privileged process, asked by a user without root."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest

from novalite.api.metadata.listener import MetadataService
from novalite.drivers.network import namespaces
from novalite.drivers.network.base import (
    METADATA_ADDRESS,
    FloatingSpec,
    GroupSpec,
    HostForwardSpec,
    NetworkDriver,
    RouterPortSpec,
    RouterSpec,
    RuleSpec,
    UplinkSpec,
    network_namespace,
)
from novalite.drivers.privileged.client import PrivilegedNetworkDriver
from novalite.drivers.privileged.main import listen
from novalite.errors import DriverError, Failed
from tests.contracts.network_driver import NetworkDriverContract
from tests.contracts.privileged import OPEN, AsUser, as_user, narrowed, serving
from tests.contracts.waiting import until
from tests.real.network.conftest import Machine, new_network, new_port
from tests.real.privileged_command import privileged_command, take_away, unit_capabilities

pytestmark = pytest.mark.real

UID = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def driver(machine: Machine) -> Iterator[NetworkDriver]:
    with serving(machine.driver(), machine.directory, uid=UID) as path:
        client = PrivilegedNetworkDriver(path, str(uuid4()))
        yield AsUser(client, UID)  # type: ignore[misc]
        client.close()


class TestPrivileged(NetworkDriverContract):
    def test_it_is_a_network_driver(self, driver: NetworkDriver) -> None:
        assert isinstance(driver._driver, NetworkDriver)  # type: ignore[attr-defined]


def test_the_user_may_do_nothing_itself(machine: Machine) -> None:
    linux, network = machine.driver(), new_network()
    with as_user(UID), pytest.raises(DriverError):
        linux.ensure_network(network)
    linux.ensure_network(network)


def test_a_guest_hears_from_a_server_without_root(machine: Machine, driver: NetworkDriver) -> None:
    """The sockets are opened in the network's namespace by root, and served by the user."""
    network = new_network()
    port = new_port(network, 5)
    driver.ensure_network(network, (port,))
    guest = machine.plug(port)
    assert guest.lease()["ip"] == "10.97.0.5"

    def app(environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['REMOTE_ADDR']} {os.geteuid()}".encode()]

    service = MetadataService(
        lambda network_id: app, driver.metadata_sockets,
        lambda network_id: namespaces.identity(network_namespace(network_id)),
    )  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        service.sync([network])
        until(service.alive, "it is served")
        assert str(guest.fetch(f"http://{METADATA_ADDRESS}/")).startswith("10.97.0.5 ")
    finally:
        stop.set()
        thread.join(10)


def test_an_interface_that_the_filter_does_not_name_stays_as_it_is(machine: Machine) -> None:
    with serving(machine.driver(), machine.directory, narrowed(interfaces=("eth9",)), uid=UID) as path:
        client = PrivilegedNetworkDriver(path, str(uuid4()))
        with as_user(UID), pytest.raises(DriverError) as refused:
            client.attach_lan("uplink0", wait_seconds=1)
    assert refused.value.code == "driver.forbidden"
    done = subprocess.run(["ip", "-j", "addr", "show", "uplink0"], capture_output=True, text=True, check=True)
    assert machine.address in done.stdout


def test_the_command_serves_the_user_of_its_filter_file_alone(machine: Machine) -> None:
    with privileged_command(machine.directory, unit_capabilities()) as (path, _):
        facts = path.stat()
        assert (facts.st_uid, oct(facts.st_mode & 0o777)) == (0, "0o660")
        assert facts.st_gid == pwd.getpwnam("nobody").pw_gid
        path.chmod(0o666)  # so that it is the process, not the file, that refuses the wrong user
        client = PrivilegedNetworkDriver(path, str(uuid4()))
        with as_user(UID):
            assert "203.0.113.0/24" in client.used_ranges()
            with pytest.raises(DriverError) as refused:
                client.remove_router(str(uuid4()))
        assert refused.value.code == "driver.forbidden"
        with as_user(1), pytest.raises(DriverError) as stranger:
            client.check()
        assert stranger.value.code == "driver.privileged"
        with pytest.raises(Failed, match="Another process listens"):
            listen(path, OPEN)
    listen(path, OPEN).close()


class _Leaving:
    """Takes away what a test that failed has left."""

    def __init__(self, client: PrivilegedNetworkDriver) -> None:
        self._client = client

    def close(self) -> None:
        take_away(self._client)


def test_the_capabilities_of_the_unit_suffice(machine: Machine) -> None:
    """Networks of both IP versions, guests that are served, groups, routers, forwards: made, used, mended, removed."""
    outside = new_network("10.96.0.0/24", uplink=UplinkSpec("host"))
    inside = new_network("10.97.0.0/24", "fd00:97::/64", subnet={"ra_mode": "slaac", "address_mode": "slaac"})
    inside = replace(inside, subnets=(replace(inside.subnets[0], ra_mode="", address_mode=""), inside.subnets[1]))
    group = GroupSpec(str(uuid4()), (RuleSpec(True), RuleSpec(False), RuleSpec(True, 6), RuleSpec(False, 6)))
    port = new_port(inside, 5, groups=(group.id,), addresses=("10.97.0.5", "fd00:97::f816:3eff:fe00:5"))
    router = RouterSpec(
        str(uuid4()),
        (RouterPortSpec(str(uuid4()), inside.id, "fa:16:3e:00:01:01", ("10.97.0.1/24", "fd00:97::1/64")),),
        RouterPortSpec(str(uuid4()), outside.id, "fa:16:3e:00:01:02", ("10.96.0.9/24",)),
        ("10.96.0.1",),
        floating=(FloatingSpec("10.96.0.50", "10.97.0.5"),),
    )
    capabilities = os.environ.get("NOVALITE_TEST_CAPABILITIES", unit_capabilities())
    with privileged_command(machine.directory, capabilities) as (path, run_dir):
        client = PrivilegedNetworkDriver(path, str(uuid4()))
        with closing(_Leaving(client)):
            client.ensure_groups((group,), only=True)
            client.ensure_network(outside, ())
            client.ensure_network(inside, (port,))
            client.ensure_routers((router,), only=True)
            client.ensure_forwards((HostForwardSpec("tcp", 8080, "10.97.0.5", 80),))
            assert client.check().problems == ()
            guest = machine.plug(port)
            assert guest.lease()["ip"] == "10.97.0.5"
            assert guest.pings("10.97.0.1")
            assert guest.pings("10.96.0.1"), "the router leads to the machine"
            until(lambda: guest.pings("fd00:97::1"), "the guest has made an address from what radvd tells")
            for one in client.metadata_sockets(inside.id):
                one.close()
            (dnsmasq,) = run_dir.glob(f"*/{inside.id}/dnsmasq.pid")
            os.kill(int(dnsmasq.read_text()), signal.SIGKILL)
            until(lambda: inside.id in client.watch(5.0), "the death is told")
            client.ensure_network(inside, (port,))
            assert guest.lease()["ip"] == "10.97.0.5"
            client.ensure_forwards(())
            client.ensure_routers((), only=True)
            client.remove_port(inside.id, port.id)
            client.remove_network(inside.id)
            client.remove_network(outside.id)
            client.remove_group(group.id)
            left = client.check()
    assert (left.networks, left.routers, left.dhcp_running, left.problems) == ((), (), (), ())


def test_the_capabilities_of_the_unit_suffice_for_the_lan(machine: Machine) -> None:
    """The machine's addresses move to a bridge, with what watches over that, and back."""
    with privileged_command(machine.directory, unit_capabilities()) as (path, _):
        client = PrivilegedNetworkDriver(path, str(uuid4()))
        made = client.attach_lan("uplink0", wait_seconds=10)
        assert made.addresses == (f"{machine.address}/24",)
        assert _addresses(made.bridge) == [machine.address]
        subprocess.run(["ping", "-c1", "-W5", machine.gateway], capture_output=True, check=True)
        client.detach_lan("uplink0")
        assert _addresses("uplink0") == [machine.address]
        subprocess.run(["ping", "-c1", "-W5", machine.gateway], capture_output=True, check=True)


def _addresses(link: str) -> list[str]:
    done = subprocess.run(["ip", "-j", "-4", "addr", "show", link], capture_output=True, text=True, check=True)
    return [each["local"] for found in json.loads(done.stdout) if found for each in found["addr_info"]]
