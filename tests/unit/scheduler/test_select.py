"""The choice as a whole, by properties: whatever the hosts and the request, these hold."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novalite.engine.scheduler.loader import load_filters, load_weighers
from novalite.engine.scheduler.select import Selection, explain, removed_by, select
from novalite.engine.scheduler.snapshot import Group, Hints, HostView, Request

FILTERS = load_filters()
WEIGHERS = load_weighers()
NAMES = [f"host{number}" for number in range(8)]
ZONES = ("nova", "west")


def choose(request: Request, hosts: list[HostView]) -> Selection:
    return select(request, hosts, FILTERS, WEIGHERS)


def a_host(name: str) -> st.SearchStrategy[HostView]:
    return st.builds(
        HostView,
        host_id=st.just(name),
        name=st.just(name),
        enabled=st.sampled_from((True, True, True, False)),
        alive=st.sampled_from((True, True, True, False)),
        zone=st.sampled_from(ZONES),
        architecture=st.sampled_from(("x86_64", "x86_64", "aarch64")),
        firmwares=st.sampled_from((("bios",), ("bios", "uefi"))),
        vcpus_total=st.integers(1, 16),
        vcpus_used=st.integers(0, 40),
        memory_mib_total=st.integers(1, 4096),
        memory_mib_used=st.integers(0, 4096),
        disk_gib_total=st.integers(1, 100),
        disk_gib_used=st.integers(0, 100),
        reserved_memory_mib=st.integers(0, 512),
        reserved_disk_gib=st.integers(0, 2),
        cpu_ratio=st.sampled_from((0.5, 1.0, 4.0)),
        ram_ratio=st.sampled_from((1.0, 1.5)),
        disk_ratio=st.sampled_from((1.0, 2.0)),
        server_count=st.integers(0, 20),
    )


hosts_of_a_cloud = st.lists(st.sampled_from(NAMES), unique=True, max_size=8).flatmap(
    lambda names: st.tuples(*map(a_host, names)).map(list)
)
groups = st.none() | st.builds(
    Group,
    id=st.just("g"),
    policy=st.sampled_from(("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")),
    max_per_host=st.integers(1, 2),
    members=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), max_size=3),
)
requests = st.builds(
    Request,
    server_id=st.uuids().map(str),
    vcpus=st.integers(1, 16),
    memory_mib=st.integers(1, 4096),
    disk_gib=st.integers(0, 100),
    architecture=st.sampled_from(("", "x86_64", "aarch64")),
    zone=st.sampled_from(("", "", *ZONES)),
    forced_host=st.sampled_from(("", "", "", *NAMES)),
    image_properties=st.sampled_from(({}, {"hw_firmware_type": "uefi"})),
    group=groups,
    hints=st.builds(
        Hints,
        same_host=st.none() | st.frozensets(st.sampled_from(NAMES)),
        different_host=st.frozensets(st.sampled_from(NAMES), max_size=2),
    ),
    excluded_hosts=st.dictionaries(st.sampled_from(NAMES), st.just("tried already"), max_size=2),
)


@given(requests, hosts_of_a_cloud)
def test_a_chosen_host_has_the_room_within_its_ratios(request_: Request, hosts: list[HostView]) -> None:
    for host in choose(request_, hosts).hosts:
        assert host.vcpus_used + request_.vcpus <= host.vcpus_total * host.cpu_ratio
        usable = (host.memory_mib_total - host.reserved_memory_mib) * host.ram_ratio
        assert host.memory_mib_used + request_.memory_mib <= usable
        if request_.disk_gib:
            usable = (host.disk_gib_total - host.reserved_disk_gib) * host.disk_ratio
            assert host.disk_gib_used + request_.disk_gib <= usable
        assert request_.vcpus <= host.vcpus_total


@given(requests, hosts_of_a_cloud)
def test_a_chosen_host_is_up_and_allowed(request_: Request, hosts: list[HostView]) -> None:
    for host in choose(request_, hosts).hosts:
        assert host.enabled
        assert host.alive
        assert host.name not in request_.excluded_hosts
        assert request_.forced_host in ("", host.name)
        assert request_.zone in ("", host.zone)
        assert host.name not in request_.hints.different_host


@given(requests, hosts_of_a_cloud, st.randoms(use_true_random=False))
def test_the_order_in_which_hosts_are_given_changes_nothing(
    request_: Request, hosts: list[HostView], shuffler: random.Random
) -> None:
    shuffled = list(hosts)
    shuffler.shuffle(shuffled)
    assert choose(request_, shuffled) == choose(request_, hosts)


@given(requests, hosts_of_a_cloud)
def test_every_host_is_either_chosen_or_removed_once_with_a_reason(request_: Request, hosts: list[HostView]) -> None:
    chosen, trace = (selection := choose(request_, hosts)).hosts, selection.trace
    accounted = [host.name for host in chosen] + [name for entry in trace for name, _ in entry.removed]
    assert sorted(accounted) == sorted(host.name for host in hosts)
    assert all(reason for entry in trace for _, reason in entry.removed)
    left = len(hosts)
    for entry in trace:
        assert entry.hosts_left_before == left
        left -= len(entry.removed)
    assert left == len(chosen)


@given(requests, hosts_of_a_cloud)
def test_adding_a_host_never_takes_another_out(request_: Request, hosts: list[HostView]) -> None:
    alone = {host.name for host in choose(request_, hosts[:-1]).hosts}
    assert alone <= {host.name for host in choose(request_, hosts).hosts}


@given(requests, hosts_of_a_cloud)
def test_a_flavor_as_small_as_advised_does_fit(request_: Request, hosts: list[HostView]) -> None:
    for entry in choose(request_, hosts).trace:
        for filter_, field, unit in (
            ("cpu", "vcpus", "vCPUs"),
            ("ram", "memory_mib", "MiB"),
            ("disk", "disk_gib", "GiB"),
        ):
            if entry.filter == filter_ and entry.suffices and entry.remedy.startswith("a flavor of at most"):
                advised = int(entry.remedy.removeprefix("a flavor of at most ").split(f" {unit}")[0])
                assert choose(replace(request_, **{field: advised}), hosts).hosts
                assert not choose(replace(request_, **{field: advised + 1}), hosts).hosts


def small(name: str, **more: object) -> HostView:
    facts: dict[str, object] = {"vcpus_total": 4, "memory_mib_total": 4096, "disk_gib_total": 50}
    return HostView(host_id=name, name=name, **{**facts, **more})  # type: ignore[arg-type]


def test_the_explanation_counts_hosts_by_filter_and_names_the_flavor_that_would_fit() -> None:
    hosts = [
        small("a", enabled=False, disabled_reason="being repaired"),
        small("b", memory_mib_used=3072),
        small("c", memory_mib_used=3584),
    ]
    text = explain(choose(Request(server_id="s", vcpus=1, memory_mib=4096, disk_gib=1), hosts).trace)
    assert text.startswith("No valid host was found. Of 3 hosts, ")
    assert "alive removed 1 of 3 (disabled: being repaired)" in text
    assert "ram removed 2 of 2" in text
    assert "a flavor of at most 1024 MiB of memory (needs 4096, the roomiest host has 1024 free)" in text


def test_when_no_single_change_helps_the_nearest_host_tells_which_belong_together() -> None:
    text = explain(choose(Request(server_id="s", vcpus=8, memory_mib=8192, disk_gib=1), [small("a")]).trace)
    assert text.endswith(
        "What would help: a flavor of at most 4 vCPUs (needs 8, the roomiest host has 4 free) and "
        "a flavor of at most 4096 MiB of memory (needs 8192, the roomiest host has 4096 free)."
    )


def test_a_host_tried_in_vain_is_not_offered_as_a_way_out() -> None:
    request = Request(server_id="s", vcpus=1, memory_mib=64, excluded_hosts={"a": "its hypervisor refused the guest"})
    text = explain(choose(request, [small("a")]).trace)
    assert text == (
        "No valid host was found. Of 1 host, allowed_host removed 1 of 1 (its hypervisor refused the guest)."
    )


def test_many_different_reasons_are_shortened() -> None:
    hosts = [small(f"h{number}", memory_mib_used=4000 + number) for number in range(10)]
    (entry,) = removed_by(choose(Request(server_id="s", memory_mib=512), hosts).trace)
    assert entry[:2] == ("ram", 10)
    assert entry[2].endswith("and the like on 7 hosts")


def test_a_cloud_without_hosts_says_so() -> None:
    assert explain(choose(Request(server_id="s"), []).trace) == "No valid host was found. There is no compute host."


def test_equal_hosts_are_drawn_by_lot_that_each_server_repeats() -> None:
    hosts = [small(f"h{number}") for number in range(5)]
    firsts = [choose(Request(server_id=f"server{number}", vcpus=1), hosts).hosts[0].name for number in range(60)]
    assert set(firsts) == {host.name for host in hosts}
    assert firsts == [
        choose(Request(server_id=f"server{number}", vcpus=1), hosts).hosts[0].name for number in range(60)
    ]


@pytest.mark.parametrize("memory_mib", [512, 10**7], ids=["one fits", "none fits"])
def test_ten_times_the_hosts_take_about_ten_times_as_long(memory_mib: int) -> None:
    hosts = [small(f"h{number}", memory_mib_used=number, server_count=number % 7) for number in range(1000)]
    request = Request(server_id="s", vcpus=1, memory_mib=memory_mib, disk_gib=1)
    few, many = (min(_seconds(request, hosts[:number]) for _ in range(5)) for number in (100, 1000))
    assert many < 40 * few


def _seconds(request: Request, hosts: list[HostView]) -> float:
    start = time.thread_time()
    choose(request, hosts)
    return time.thread_time() - start


def test_a_host_that_never_reported_is_only_said_to_be_down() -> None:
    unknown = HostView(host_id="a", name="a", alive=False)
    text = explain(choose(Request(server_id="s", vcpus=1, memory_mib=64, disk_gib=1), [unknown]).trace)
    assert text.endswith("What would help: bringing back host a.")
