from __future__ import annotations

import threading

import pytest

from novalite.drivers.compute.base import EventKind, Power
from novalite.drivers.compute.event_log import EventLog
from novalite.errors import HostUnreachable


def test_events_come_in_order_and_each_once() -> None:
    log = EventLog()
    position = log.since("", 0).position
    log.power("a", Power.RUNNING)
    log.power("b", Power.OFF, "the guest shut down")
    batch = log.since(position, 0)
    assert [(e.sequence, e.guest_id, e.power) for e in batch.events] == [(1, "a", Power.RUNNING), (2, "b", Power.OFF)]
    assert log.since(batch.position, 0).events == ()


def test_from_now_on_skips_what_was() -> None:
    log = EventLog()
    log.power("a", Power.RUNNING)
    assert log.since("", 0).events == ()


def test_a_position_older_than_the_log_asks_for_a_resync_and_goes_on() -> None:
    log = EventLog(keep=2)
    old = log.since("", 0).position
    for name in "abc":
        log.power(name, Power.RUNNING)
    batch = log.since(old, 0)
    assert [event.kind for event in batch.events] == [EventKind.RESYNC]
    log.power("d", Power.RUNNING)
    assert [event.guest_id for event in log.since(batch.position, 0).events] == ["d"]


def test_the_oldest_kept_event_can_still_be_reached() -> None:
    log = EventLog(keep=2)
    log.power("a", Power.RUNNING)
    position = log.since("", 0).position
    log.power("b", Power.RUNNING)
    log.power("c", Power.RUNNING)
    assert [event.guest_id for event in log.since(position, 0).events] == ["b", "c"]


def test_positions_of_another_epoch_ask_for_a_resync() -> None:
    elsewhere = EventLog().since("", 0).position
    assert EventLog().since(elsewhere, 5).events[0].kind is EventKind.RESYNC


def test_closing_wakes_everyone() -> None:
    log = EventLog()
    ends: list[str] = []

    def wait() -> None:
        try:
            log.since("", 60)
        except HostUnreachable:
            ends.append("told")

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    log.close()
    for thread in waiting:
        thread.join(60)
    assert ends == ["told"] * 3
    with pytest.raises(HostUnreachable):
        log.since("", 60)
