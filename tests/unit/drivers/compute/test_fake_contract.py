"""The contract of compute drivers, kept by the fake, directly and behind an agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from novalite.drivers.compute.fake import NMI, FakeDriver
from tests.contracts.agents import behind_agent
from tests.contracts.compute_driver import Bench, ComputeDriverContract, new_bench
from tests.contracts.compute_driver_changes import ChangesContract


class FakeGuests:
    greeting = b"boot "
    nmi = NMI

    def __init__(self, driver: FakeDriver) -> None:
        self._driver = driver

    def power_off(self, guest_id: str) -> None:
        self._driver.guest_powers_itself_off(guest_id)

    def panic(self, guest_id: str) -> None:
        self._driver.guest_crashes(guest_id)

    def lose_agent(self, guest_id: str) -> None:
        self._driver.lose_agent(guest_id)


@pytest.fixture(params=["direct", "agent"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    fake = FakeDriver("here")
    if request.param == "direct":
        yield new_bench(fake, FakeGuests(fake))
    else:
        with behind_agent(fake) as remote:
            yield new_bench(remote, FakeGuests(fake))
    fake.close()


class TestFake(ComputeDriverContract):
    pass


class TestFakeChanges(ChangesContract):
    pass
