"""The contract of compute drivers, kept by libvirt, directly, behind an agent, with raw disks, and with ones
of LVM that files stand for."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from novalite.drivers.compute.libvirt import LocalStorage
from novalite.drivers.compute.libvirt.logical_volumes import LogicalVolumes
from tests.contracts.agents import behind_agent
from tests.contracts.compute_driver import Bench, ComputeDriverContract, new_bench
from tests.contracts.compute_driver_changes import ChangesContract
from tests.contracts.standing_for_lvm import StandingForLvm
from tests.real.compute.hosts import BootSectorGuests, Host

pytestmark = pytest.mark.real


@pytest.fixture(params=["direct", "agent", "raw", "lvm"], scope="module")
def bench(request: pytest.FixtureRequest, host: Host) -> Iterator[Bench]:
    driver = host.driver
    if request.param == "raw":
        driver = host.second_driver(str(uuid4()), host.state_dir.with_name("raw-state"), LocalStorage("raw"))
    elif request.param == "lvm":
        devices = host.state_dir.with_name("dev")
        volumes = LogicalVolumes("vg", "thin", run=StandingForLvm(devices / "vg", "thin"), devices=devices)
        local = LocalStorage("raw", volumes=volumes)
        driver = host.second_driver(str(uuid4()), host.state_dir.with_name("lvm-state"), local)
    guests = BootSectorGuests(driver)
    if request.param == "agent":
        with behind_agent(driver) as remote:
            yield new_bench(remote, guests)
    else:
        yield new_bench(driver, guests)
    for state in driver.list_guests():
        driver.delete_guest(state.id)
    if driver is not host.driver:
        driver.close()


class TestLibvirt(ComputeDriverContract):
    pass


class TestLibvirtChanges(ChangesContract):
    pass
