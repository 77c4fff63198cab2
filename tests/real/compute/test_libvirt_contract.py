"""The contract of compute drivers, kept by libvirt, directly and behind an agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.agents import behind_agent
from tests.contracts.compute_driver import Bench, ComputeDriverContract, new_bench
from tests.contracts.compute_driver_changes import ChangesContract
from tests.real.compute.hosts import BootSectorGuests, Host

pytestmark = pytest.mark.real


@pytest.fixture(params=["direct", "agent"], scope="module")
def bench(request: pytest.FixtureRequest, host: Host) -> Iterator[Bench]:
    guests = BootSectorGuests(host.driver)
    if request.param == "direct":
        yield new_bench(host.driver, guests)
    else:
        with behind_agent(host.driver) as remote:
            yield new_bench(remote, guests)
    for state in host.driver.list_guests():
        host.driver.delete_guest(state.id)


class TestLibvirt(ComputeDriverContract):
    pass


class TestLibvirtChanges(ChangesContract):
    pass
