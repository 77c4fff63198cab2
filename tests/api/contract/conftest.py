"""One appliance for the walk through all operations, with room for all it makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.conftest import running
from tests.api.contract.world import World

ROOMY = {
    f"quota__{name}": -1
    for name in ("instances", "cores", "ram_mib", "key_pairs", "server_groups", "networks", "subnets", "ports",
                 "routers", "floating_ips", "security_groups", "security_group_rules", "volumes", "snapshots",
                 "gigabytes")
} | {
    "compute__fake_hosts": 2, "compute__reclaim_instance_interval_seconds": 3600,
    "compute__shelved_offload_seconds": -1,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("state"), **ROOMY) as appliance:
        yield World(appliance)
