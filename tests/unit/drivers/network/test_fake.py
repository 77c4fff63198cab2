"""The network driver in memory keeps the port's promises."""

from __future__ import annotations

import threading

import pytest

from novalite.drivers.network.base import NetworkDriver, NetworkSpec, PortSpec
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.errors import DriverError

NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "10.0.0.0/24", "10.0.0.1")
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", "10.0.0.5", "web")


def test_everything_may_be_done_twice() -> None:
    driver = FakeNetworkDriver()
    assert isinstance(driver, NetworkDriver)
    for _ in range(2):
        driver.ensure_network(NETWORK)
        driver.ensure_port(PORT)
    assert driver.check().ports == ((NETWORK.id, PORT.id),)
    driver.ensure_network(NETWORK, ())
    assert driver.check().ports == ()
    for _ in range(2):
        driver.remove_port(NETWORK.id, PORT.id)
        driver.remove_network(NETWORK.id)
    assert driver.check().bridges == ()


def test_a_port_needs_its_network() -> None:
    with pytest.raises(DriverError, match="not set up"):
        FakeNetworkDriver().ensure_port(PORT)


def test_a_dead_dhcp_server_is_told_until_it_is_mended() -> None:
    driver, heard = FakeNetworkDriver(), []
    driver.ensure_network(NETWORK)
    assert driver.watch(0) == ()
    watcher = threading.Thread(target=lambda: heard.append(driver.watch(10)))
    watcher.start()
    driver.kill_dhcp(NETWORK.id)
    watcher.join(10)
    assert heard == [(NETWORK.id,)]
    assert driver.check().problems
    driver.ensure_network(NETWORK)
    assert driver.watch(0) == ()


def test_failures_come_when_asked_for() -> None:
    driver = FakeNetworkDriver()
    driver.fail_next("ensure_network", times=2)
    for _ in range(2):
        with pytest.raises(DriverError):
            driver.ensure_network(NETWORK)
    driver.ensure_network(NETWORK)
