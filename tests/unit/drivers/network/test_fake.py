"""The network driver in memory keeps the port's promises."""

from __future__ import annotations

import threading

import pytest

from novalite.drivers.network.base import NetworkDriver
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.errors import DriverError
from tests.contracts.network_driver import NETWORK, NetworkDriverContract


@pytest.fixture
def driver() -> NetworkDriver:
    return FakeNetworkDriver()


class TestFake(NetworkDriverContract):
    pass


def test_a_dead_dhcp_server_is_told_until_it_is_mended() -> None:
    driver, heard = FakeNetworkDriver(), []
    driver.ensure_network(NETWORK)
    assert driver.watch(0) == ()
    watcher = threading.Thread(target=lambda: heard.append(driver.watch(10)))
    watcher.start()
    driver.kill_dhcp(NETWORK.id)
    watcher.join(60)
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
