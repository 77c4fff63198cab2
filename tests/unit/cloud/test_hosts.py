"""Claims on hosts: never more than there is, exact to the last MiB, whatever races for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novalite.cloud.hosts import hosts
from novalite.cloud.hosts.hosts import Allocation, Host, Ratios, Room
from novalite.context import internal
from novalite.db.work import Database
from novalite.errors import Conflict, NotFound

REPORT = {"vcpus": 4, "memory_mib": 4096, "disk_gib": 40, "boot_id": "b1"}


def _host(database: Database, name: str = "one", ratios: Ratios | None = None, **report: object) -> str:
    with database.write(internal()) as w:
        host = hosts.register(w, name, zone="nova", ratios=ratios or Ratios(cpu=1.0))
        hosts.record_report(w, name, REPORT | report)
        return host.id


def _claim(database: Database, host_id: str, server_id: str, room: Room, **more: object) -> bool:
    with database.write(internal()) as w:
        return hosts.claim(w, host_id=host_id, server_id=server_id, room=room, **more)  # type: ignore[arg-type]


def _get(database: Database, host_id: str) -> Host:
    with database.read(internal()) as w:
        return hosts.get(w, host_id)


def _used(database: Database, host_id: str) -> tuple[int, int, int, int]:
    host = _get(database, host_id)
    return host.vcpus_used, host.memory_mib_used, host.disk_gib_used, host.server_count


def test_racing_claims_fill_a_host_exactly(database: Database) -> None:
    host_id = _host(database)
    room = Room(1, 1024, 1)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: _claim(database, host_id, f"s{n}", room), range(24)))
    assert sum(won) == 4
    assert _used(database, host_id) == (4, 4096, 4, 4)


def test_racing_claims_of_two_processes_fill_a_host_exactly(database: Database) -> None:
    host_id, other = _host(database), Database(database.url)
    try:
        with ThreadPoolExecutor(8) as pool:
            won = pool.map(lambda n: _claim((database, other)[n % 2], host_id, f"s{n}", Room(1, 1, 1)), range(24))
            assert sum(won) == 4
    finally:
        other.close()


def test_the_same_server_claiming_from_many_threads_holds_its_room_once(database: Database) -> None:
    host_id = _host(database)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: _claim(database, host_id, "s", Room(1, 1, 1)), range(16)))
    assert _used(database, host_id) == (1, 1, 1, 1)


def test_releasing_from_many_threads_gives_back_once(database: Database) -> None:
    host_id = _host(database)
    _claim(database, host_id, "s", Room(2, 2, 2))
    _claim(database, host_id, "t", Room(1, 1, 1))

    def release(_: int) -> None:
        with database.write(internal()) as w:
            hosts.release(w, "s")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(release, range(16)))
    assert _used(database, host_id) == (1, 1, 1, 1)


SIZES = st.builds(Room, st.integers(0, 5), st.integers(0, 2000), st.integers(0, 20))
STEPS = st.lists(st.tuples(st.integers(0, 7), st.one_of(st.none(), SIZES)), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.floats(0.5, 4), st.floats(0.5, 2), st.integers(0, 512))
def test_no_sequence_of_claims_and_releases_overcommits_or_miscounts(
    database: Database, steps: list[tuple[int, Room | None]], cpu: float, ram: float, reserved: int
) -> None:
    with database.write(internal()) as w:
        w.session.query(Allocation).delete()
        w.session.query(Host).delete()
    host_id = _host(database, ratios=Ratios(cpu=cpu, ram=ram, reserved_memory_mib=reserved))
    held: dict[int, Room] = {}
    for server, room in steps:
        if room is None:
            with database.write(internal()) as w:
                hosts.release(w, str(server))
            held.pop(server, None)
        else:
            used = [sum(getattr(each, name) for each in held.values()) for name in ("vcpus", "memory_mib", "disk_gib")]
            fits = (
                used[0] + room.vcpus <= 4 * cpu
                and used[1] + room.memory_mib <= (4096 - reserved) * ram
                and used[2] + room.disk_gib <= 40
            )
            assert _claim(database, host_id, str(server), room) == (server in held or fits)
            if fits:
                held.setdefault(server, room)
        sums = [sum(getattr(each, name) for each in held.values()) for name in ("vcpus", "memory_mib", "disk_gib")]
        assert _used(database, host_id) == (*sums, len(held))
    with database.write(internal()) as w:
        assert hosts.recount(w) == []


@pytest.mark.parametrize("enough", [Room(4, 1, 1), Room(1, 4096, 1), Room(1, 1, 40)])
def test_the_last_unit_fits_and_one_more_does_not(database: Database, enough: Room) -> None:
    host_id = _host(database)
    more = Room(*(value + (value > 1) for value in (enough.vcpus, enough.memory_mib, enough.disk_gib)))
    assert not _claim(database, host_id, "s", more)
    assert _claim(database, host_id, "s", enough)


def test_a_host_that_is_off_limits_is_not_claimed(database: Database) -> None:
    disabled, down = _host(database, "disabled"), _host(database, "down")
    with database.write(internal()) as w:
        hosts.set_enabled(w, "disabled", False, reason="repair")
        hosts.force_down(w, "down", True)
    assert not _claim(database, disabled, "s", Room(1, 1, 1))
    assert not _claim(database, down, "s", Room(1, 1, 1))


def test_a_server_that_holds_room_elsewhere_does_not_get_it_twice(database: Database) -> None:
    here, there = _host(database, "here"), _host(database, "there")
    assert _claim(database, here, "s", Room(1, 1, 1))
    assert not _claim(database, there, "s", Room(1, 1, 1))
    assert _used(database, there) == (0, 0, 0, 0)


def test_a_group_bounds_its_servers_on_a_host_even_in_a_race(database: Database) -> None:
    host_id = _host(database)

    def claim(n: int) -> bool:
        return _claim(database, host_id, f"s{n}", Room(1, 1, 1), group_id="g", max_in_group=2)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(claim, range(4))) == 2
    assert _used(database, host_id) == (2, 2, 2, 2)
    with database.read(internal()) as w:
        assert hosts.group_members(w, ["g", "h"]) == {"g": {"one": 2}}


def test_counting_again_mends_what_is_counted_wrongly(database: Database) -> None:
    host_id = _host(database)
    _claim(database, host_id, "s", Room(1, 2, 3))
    with database.write(internal()) as w:
        hosts.get(w, host_id).vcpus_used = 9
    with database.write(internal()) as w:
        assert hosts.recount(w) == ["one"]
    assert _used(database, host_id) == (1, 2, 3, 1)


def test_a_new_boot_id_tells_of_a_restart_and_the_first_report_does_not(database: Database) -> None:
    with database.write(internal()) as w:
        hosts.register(w, "one", zone="nova", ratios=Ratios())
        assert not hosts.record_report(w, "one", REPORT)
    with database.write(internal()) as w:
        assert not hosts.record_report(w, "one", REPORT)
    with database.write(internal()) as w:
        assert hosts.record_report(w, "one", REPORT | {"boot_id": "b2"})


def test_a_host_is_up_while_its_last_report_is_fresh(database: Database) -> None:
    host = _get(database, _host(database))
    assert host.last_seen_at is not None
    assert hosts.is_up(host, host.last_seen_at + timedelta(seconds=60), 60)
    assert not hosts.is_up(host, host.last_seen_at + timedelta(seconds=61), 60)
    host.forced_down = True
    assert not hosts.is_up(host, host.last_seen_at, 60)


def test_a_host_that_does_not_answer_keeps_its_last_sight_and_shows_why(database: Database) -> None:
    host_id = _host(database)
    seen = _get(database, host_id).last_seen_at
    with database.write(internal()) as w:
        hosts.record_problem(w, "one", "libvirtd does not answer")
    host = _get(database, host_id)
    assert (host.last_seen_at, host.problem) == (seen, "libvirtd does not answer")


def test_a_host_with_servers_is_not_forgotten(database: Database) -> None:
    host_id = _host(database)
    _claim(database, host_id, "s", Room(1, 1, 1))
    with database.write(internal()) as w, pytest.raises(Conflict, match="holds 1 servers"):
        hosts.remove(w, "one")
    with database.write(internal()) as w:
        hosts.release(w, "s")
    with database.write(internal()) as w:
        hosts.remove(w, "one")
    with pytest.raises(NotFound):
        _get(database, host_id)


def test_a_host_is_found_by_both_its_ids(database: Database) -> None:
    host_id = _host(database)
    number = _get(database, host_id).number
    assert _get(database, str(number)).id == host_id
