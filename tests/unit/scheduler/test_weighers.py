"""What puts one host before another."""

from __future__ import annotations

import pytest

from novalite.engine.scheduler.loader import load_weighers
from novalite.engine.scheduler.select import select
from novalite.engine.scheduler.snapshot import Group, HostView, Request


def host(name: str, **more: int) -> HostView:
    facts = {"vcpus_total": 8, "memory_mib_total": 8192, "disk_gib_total": 80, **more}
    return HostView(host_id=name, name=name, **facts)  # type: ignore[arg-type]


def order(request: Request, *hosts: HostView) -> list[str]:
    return [each.name for each in select(request, hosts, (), load_weighers()).hosts]


@pytest.mark.parametrize(
    "burden",
    [{"vcpus_used": 2}, {"memory_mib_used": 512}, {"disk_gib_used": 5}, {"server_count": 1}],
    ids=lambda burden: next(iter(burden)),
)
def test_the_host_with_less_on_it_comes_first(burden: dict[str, int]) -> None:
    for number in range(8):
        assert order(Request(server_id=f"s{number}"), host("busy", **burden), host("idle")) == [
            "idle",
            "busy",
        ]


@pytest.mark.parametrize(("policy", "first"), [("soft-affinity", "busy"), ("soft-anti-affinity", "idle")])
def test_a_soft_policy_outweighs_even_spreading(policy: str, first: str) -> None:
    busy = host("busy", vcpus_used=4, memory_mib_used=4096, disk_gib_used=40, server_count=5)
    idle = host("idle", server_count=1)
    members = {"busy": 2} if policy == "soft-affinity" else {"busy": 1}
    request = Request(server_id="s", group=Group(id="g", policy=policy, members=members))
    assert order(request, busy, idle)[0] == first


def test_a_soft_policy_chooses_a_crowded_host_over_an_empty_one_when_the_group_must_spread() -> None:
    crowded = host("crowded", vcpus_used=7, memory_mib_used=8000, disk_gib_used=70, server_count=9)
    member = host("member", server_count=1)
    request = Request(server_id="s", group=Group(id="g", policy="soft-anti-affinity", members={"member": 1}))
    assert order(request, crowded, member)[0] == "crowded"
