"""Copies of a real guest, booted out of sight: a good one comes up, one with a zeroed boot sector does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contracts.waiting import until
from tests.real.guests.conftest import BOOT_SECONDS, Cloud, Guest, sh

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]
P = "/admin/protections"


@pytest.fixture(scope="module")
def guest(cloud: Cloud) -> Guest:
    guest = cloud.create("precious")
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    guest.wait_ready(1)
    return guest


def _shown(cloud: Cloud, guest: Guest) -> Any:
    return cloud.appliance.get(f"{P}/{guest.id}")["protection"]


def _copy(cloud: Cloud, guest: Guest, *, seconds: int = int(3 * BOOT_SECONDS)) -> None:
    body = {"protection": {"schedule": "daily, keep 5", "test": {"every": "daily", "seconds": seconds}}}
    assert cloud.appliance.call("PUT", f"{P}/{guest.id}", json=body).status_code == 200
    assert cloud.appliance.call("POST", f"{P}/{guest.id}/runs").status_code == 202
    until(lambda: not _shown(cloud, guest)["running"], "the copy is made")
    assert _shown(cloud, guest)["last_run"]["result"] == "done"


def _tested(cloud: Cloud, guest: Guest) -> dict[str, Any]:
    assert cloud.appliance.call("POST", f"{P}/{guest.id}/tests", json={"test": None}).status_code == 202
    until(lambda: not _shown(cloud, guest)["testing"], "the test ends", 4 * BOOT_SECONDS)
    return dict(_shown(cloud, guest)["last_test"])


def _nothing_is_left(cloud: Cloud, guest: Guest, test: dict[str, Any]) -> None:
    assert cloud.appliance.doctor() == []
    assert test["id"] not in sh("virsh", "-c", cloud.libvirtd.uri, "list", "--all", "--uuid")
    left = [path for path in Path(cloud.appliance.state_dir).rglob("*") if test["id"] in path.name]
    assert left == []
    assert guest.answers(15), "the server itself has not noticed"


def test_a_good_copy_passes(cloud: Cloud, guest: Guest) -> None:
    _copy(cloud, guest)
    test = _tested(cloud, guest)
    assert test["result"] == "passed", (test["reason"], test["console"][-1500:])
    assert "login" in test["console"]
    _nothing_is_left(cloud, guest, test)


def test_a_copy_without_boot_sector_fails(cloud: Cloud, guest: Guest) -> None:
    """What a mistake inside does to a system: the next start would have shown it, the copy's test does before."""
    guest.ssh("dd if=/dev/zero of=/dev/vda bs=512 count=64 conv=fsync; sync")
    _copy(cloud, guest, seconds=60)
    test = _tested(cloud, guest)
    assert test["result"] == "failed", (test["reason"], test["console"][-1500:])
    assert test["reason"].startswith("Nothing boots"), test
    _nothing_is_left(cloud, guest, test)
