"""The Linux driver behind the privileged process, asked by a user without root."""

from __future__ import annotations

import os
import pwd
import subprocess
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from novalite.api.metadata.listener import MetadataService
from novalite.drivers.network import namespaces
from novalite.drivers.network.base import METADATA_ADDRESS, NetworkDriver, network_namespace
from novalite.drivers.privileged.client import PrivilegedNetworkDriver
from novalite.drivers.privileged.main import listen
from novalite.errors import DriverError
from tests.contracts.network_driver import NetworkDriverContract
from tests.contracts.privileged import OPEN, AsUser, as_user, narrowed, serving
from tests.contracts.waiting import until
from tests.real.appliance.process import NOVALITE
from tests.real.network.conftest import Machine, new_network, new_port

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
    filter_file = machine.directory / "privileged.toml"
    filter_file.write_text(
        'user = "nobody"\nappliances = ["*"]\nrun_dir = "/run/novalite-test"\n'
        'operations = ["used_ranges", "check", "ensure_network", "remove_network"]\n'
    )
    filter_file.chmod(0o644)
    path = machine.directory / "socket"
    process = subprocess.Popen([NOVALITE, "privileged", "--rules", str(filter_file), "--socket", str(path)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    assert process.stdout is not None
    said = ""
    try:
        while "privileged_ready" not in said:
            line = process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        facts = path.stat()
        assert (facts.st_uid, oct(facts.st_mode & 0o777)) == (0, "0o660")
        client, network = PrivilegedNetworkDriver(path, str(uuid4())), new_network()
        gid = pwd.getpwnam("nobody").pw_gid
        assert facts.st_gid == gid
        path.chmod(0o666)  # so that it is the process, not the file, that refuses the wrong user
        with as_user(UID):
            assert "203.0.113.0/24" in client.used_ranges()
            client.ensure_network(network)
            assert client.check().networks == (network.id,)
            with pytest.raises(DriverError) as refused:
                client.remove_router(str(uuid4()))
            client.remove_network(network.id)
        assert refused.value.code == "driver.forbidden"
        with as_user(1), pytest.raises(DriverError) as stranger:
            client.check()
        assert stranger.value.code == "driver.privileged"
        with pytest.raises(Exception, match="Another process listens"):
            listen(path, OPEN)
    finally:
        process.terminate()
        process.communicate(timeout=20)
        subprocess.run(["rm", "-rf", "/run/novalite-test"], check=True)
    assert process.returncode == 0
    listen(path, OPEN).close()
