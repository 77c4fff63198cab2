"""The Linux driver keeps the promises of every network driver."""

from __future__ import annotations

import pytest

from novalite.drivers.network.base import NetworkDriver
from tests.contracts.network_driver import NetworkDriverContract
from tests.real.network.conftest import Machine

pytestmark = pytest.mark.real


@pytest.fixture
def driver(machine: Machine) -> NetworkDriver:
    return machine.driver()


class TestLinux(NetworkDriverContract):
    pass
