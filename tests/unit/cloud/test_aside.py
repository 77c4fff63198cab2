"""Room of servers that move: old and new are promised side by side, and the sums stay those of the rows."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novalite.cloud.hosts import aside, hosts
from novalite.cloud.hosts.hosts import Ratios, Room
from novalite.context import internal
from novalite.db.work import Database, Work
from novalite.errors import Conflict

SMALL, BIG = Room(1, 1024, 1), Room(2, 2048, 2)


def _hosts(database: Database) -> tuple[str, str]:
    with database.write(internal()) as w:
        made = []
        for name in ("one", "two"):
            host = hosts.register(w, name, zone="nova", ratios=Ratios(cpu=1.0))
            hosts.record_report(w, name, {"vcpus": 4, "memory_mib": 4096, "disk_gib": 40})
            made.append(host.id)
    return made[0], made[1]


def _used(w: Work, host_id: str) -> tuple[int, int, int]:
    w.session.expire_all()
    host = hosts.get(w, host_id)
    return host.vcpus_used, host.memory_mib_used, host.server_count


def _claim(w: Work, host_id: str, room: Room, server_id: str = "s", **more: object) -> bool:
    return hosts.claim(w, host_id=host_id, server_id=server_id, room=room, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("stays", [True, False])
def test_old_and_new_are_held_until_one_of_them_goes(database: Database, stays: bool) -> None:
    one, two = _hosts(database)
    dest = one if stays else two
    for back in (True, False):
        with database.write(internal()) as w:
            assert _claim(w, one, SMALL)
            for _ in range(2):
                aside.set_aside(w, "s", "m")
            assert _claim(w, dest, BIG)
            assert aside.is_held(w, "m")
            assert _used(w, one) == ((3, 3072, 1) if stays else (1, 1024, 0))
            assert _used(w, dest) == ((3, 3072, 1) if stays else (2, 2048, 1))
            for _ in range(2):
                aside.take_back(w, "s", "m") if back else hosts.release(w, "m")
            assert not aside.is_held(w, "m")
            assert _used(w, dest if not back else one) == ((1, 1024, 1) if back else (2, 2048, 1))
            assert hosts.recount(w) == []
            hosts.release(w, "s")
            assert _used(w, one) == _used(w, two) == (0, 0, 0)


def test_a_host_with_room_that_stands_aside_is_not_forgotten(database: Database) -> None:
    one, two = _hosts(database)
    with database.write(internal()) as w:
        assert _claim(w, one, SMALL)
        aside.set_aside(w, "s", "m")
        assert _claim(w, two, BIG)
    with pytest.raises(Conflict), database.write(internal()) as w:
        hosts.remove(w, "one")


def test_what_stands_aside_is_no_member_of_a_group(database: Database) -> None:
    one, _ = _hosts(database)
    with database.write(internal()) as w:
        assert _claim(w, one, SMALL, group_id="g", max_in_group=1)
        assert not _claim(w, one, SMALL, "other", group_id="g", max_in_group=1)
        aside.set_aside(w, "s", "m")
        assert hosts.group_members(w, ["g"]) == {}
        assert _claim(w, one, BIG, group_id="g", max_in_group=1)
        assert hosts.group_members(w, ["g"]) == {"g": {"one": 1}}
        aside.release_all(w, "s")
        assert _used(w, one) == (0, 0, 0)


STEPS = st.lists(st.sampled_from(["claim", "aside", "back", "forget", "gone"]), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_the_order_the_sums_are_those_of_the_rows(database: Database, steps: list[str]) -> None:
    with database.write(internal()) as w:
        if not hosts.everyone(w):
            hosts.register(w, "one", zone="nova", ratios=Ratios(cpu=1.0))
            hosts.record_report(w, "one", {"vcpus": 4, "memory_mib": 4096, "disk_gib": 40})
        host_id = hosts.by_name(w, "one").id
        acts = {
            "claim": lambda: _claim(w, host_id, SMALL),
            "aside": lambda: aside.set_aside(w, "s", "m") if not aside.is_held(w, "m") else None,
            "back": lambda: aside.take_back(w, "s", "m"),
            "forget": lambda: hosts.release(w, "m"),
            "gone": lambda: aside.release_all(w, "s"),
        }
        for step in steps:
            acts[step]()
        w.session.expire_all()
        assert hosts.recount(w) == []
        aside.release_all(w, "s")
        w.session.expire_all()
        assert _used(w, host_id) == (0, 0, 0)
