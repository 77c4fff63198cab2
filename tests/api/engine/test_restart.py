"""The process ends and begins again over the same hosts: guests are adopted, and the machine's life goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.hosts.hosts import Allocation, Host
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.compute.base import Power
from novalite.drivers.compute.fake import FakeDriver
from tests.api.conftest import wait_for
from tests.api.engine.conftest import House, housed

AUTOSTART = {"autostart": "true"}


class Lives:
    """One state directory, one process after the other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self.given: dict[str, Any] = {}

    def begin(self, **given: Any) -> House:
        self.given |= given
        house = self._stack.enter_context(housed(self._directory, **self.given))
        self._database_url = house.database.url
        return house

    def end(self) -> None:
        self._stack.close()

    def forget_servers(self) -> None:
        """As if an older copy of the database had been brought back."""
        with closing(Database(self._database_url)) as database, database.write(internal()) as w:
            w.changed(sa.text("DELETE FROM servers"))

    def meanwhile(self, act: Callable[[FakeDriver], None], *, host: str = "*") -> None:
        """Do something to the host while no process runs."""
        [directory] = (self._directory / "fake").glob(host)
        driver = FakeDriver(directory.name, state_dir=directory)
        act(driver)
        driver.close()


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    made = Lives(tmp_path / "state")
    yield made
    made.end()


def _started(house: House) -> list[tuple[str, datetime | None]]:
    """(server's name, when its start may run), in the order they were asked for."""
    with house.database.read(internal()) as w:
        rows = w.session.scalars(
            sa.select(tasks.Task).where(tasks.Task.kind == "server.start").order_by(tasks.Task.created_at)
        )
        found = [(task.resource_id, task.run_after) for task in rows]
    return [(house.server(server_id)["name"], after) for server_id, after in found]


def test_running_guests_are_adopted_and_not_touched(lives: Lives) -> None:
    house = lives.begin()
    server_id = house.boot()
    lives.end()
    lives.meanwhile(lambda driver: None)
    house = lives.begin()
    assert house.server(server_id)["status"] == "ACTIVE"
    assert house.driver.guest(server_id).power is Power.RUNNING
    assert "ensure_guest" not in house.driver.calls
    assert house.findings() == []


def test_what_happened_meanwhile_is_seen(lives: Lives) -> None:
    house = lives.begin()
    off, gone, kept = (house.boot(name) for name in ("off", "gone", "kept"))
    lives.end()

    def happen(driver: FakeDriver) -> None:
        driver.guest_powers_itself_off(off)
        driver.guest_vanishes(gone)

    lives.meanwhile(happen)
    house = lives.begin()
    assert [house.server(each)["status"] for each in (off, gone, kept)] == ["SHUTOFF", "SHUTOFF", "ACTIVE"]


def test_one_found_down_that_wishes_so_is_started_again_others_are_not(lives: Lives) -> None:
    house = lives.begin()
    wishes, plain = house.boot("wishes", metadata=AUTOSTART), house.boot("plain")
    lives.end()

    def happen(driver: FakeDriver) -> None:
        driver.guest_powers_itself_off(wishes)
        driver.guest_powers_itself_off(plain)

    lives.meanwhile(happen)
    house = lives.begin()
    house.wait(wishes, "ACTIVE")
    assert house.server(plain)["status"] == "SHUTOFF"


def test_one_that_was_stopped_on_purpose_stays_so_unless_the_machine_restarted(lives: Lives) -> None:
    house = lives.begin()
    server_id = house.boot(metadata=AUTOSTART)
    house.act(server_id, "os-stop")
    house.wait(server_id, "SHUTOFF")
    lives.end()
    house = lives.begin()
    house.idle()
    assert house.server(server_id)["status"] == "SHUTOFF"


def test_after_a_power_cut_those_that_wish_so_start_in_their_order_with_their_delays(lives: Lives) -> None:
    house = lives.begin(compute__start_delay_seconds=7)
    for name, order, delay in (("third", "30", ""), ("first", "-", "100"), ("second", "20", "40")):
        metadata = AUTOSTART | {"autostart_order": order} | ({"autostart_delay": delay} if delay else {})
        house.boot(name, metadata=metadata)
    plain = house.boot("plain")
    lives.end()
    lives.meanwhile(FakeDriver.power_cut)
    house = lives.begin()
    started = _started(house)
    assert [name for name, _ in started] == ["first", "second", "third"]
    first, second, third = (after for _, after in started)
    assert second is not None
    assert third is not None
    assert first is None or first < second
    assert 40 <= (third - second).total_seconds() < 41
    assert house.server(plain)["status"] == "SHUTOFF"
    ids = {server["name"]: server["id"] for server in _all(house)}
    house.wait(ids["first"], "ACTIVE")
    assert house.server(ids["third"])["OS-EXT-STS:task_state"] == "powering-on"


def _all(house: House) -> Any:
    return house.appliance.get("/compute/v2.1/servers/detail", version="2.95").json["servers"]


@pytest.mark.parametrize("who_notices", ["the events", "the report"])
def test_a_machine_that_restarts_under_a_running_process_starts_its_servers_too(lives: Lives, who_notices: str) -> None:
    house = lives.begin()
    server_id, plain = house.boot(metadata=AUTOSTART), house.boot("plain")
    driver = house.driver
    if who_notices == "the report":
        with driver._lock:  # no event is heard before the report is asked for
            driver.power_cut()
            _report(house)
    else:
        driver.power_cut()
    wait_for(lambda: driver.guest(server_id).power is Power.RUNNING, why="the server did not start")
    house.wait(server_id, "ACTIVE")
    house.wait(plain, "SHUTOFF")


def _report(house: House) -> None:
    """What the periodic job does."""
    job = house.appliance.engine.periodic._scheduler.get_job("reports")
    assert job is not None
    job.func(*job.args)


def test_only_servers_of_the_machine_that_restarted_are_started(lives: Lives) -> None:
    house = lives.begin(compute__fake_hosts=2)
    ids = [house.boot(f"s{n}", metadata=AUTOSTART) for n in range(2)]
    for server_id in ids:
        house.act(server_id, "os-stop")
        house.wait(server_id, "SHUTOFF")
    names = [house.server(server_id)["OS-EXT-SRV-ATTR:host"] for server_id in ids]
    assert len(set(names)) == 2
    lives.end()
    lives.meanwhile(FakeDriver.power_cut, host=names[0])
    house = lives.begin()
    house.wait(ids[0], "ACTIVE")
    house.idle()
    assert house.server(ids[1])["status"] == "SHUTOFF"


def test_tasks_that_waited_go_on(lives: Lives) -> None:
    house = lives.begin(compute__stop_timeout_seconds=1)
    server_id = house.boot()
    house.driver.ignore_shutdown(server_id)
    house.act(server_id, "os-stop")

    def waits() -> bool:
        with house.database.read(internal()) as w:
            return tasks.backlog(w) == {"waiting": 1}

    wait_for(waits)
    lives.end()
    house = lives.begin()
    house.wait(server_id, "SHUTOFF")


def test_a_guest_nobody_owns_is_removed(lives: Lives) -> None:
    house = lives.begin()
    house.boot()
    lives.end()
    lives.forget_servers()
    house = lives.begin()
    wait_for(lambda: house.guests() == {}, why="the guest nobody owns is still there")


def test_claims_are_counted_again(lives: Lives) -> None:
    house = lives.begin()
    house.boot()
    with house.database.write(internal()) as w:
        w.session.execute(sa.update(Host).values(vcpus_used=40))
    assert house.findings() != []
    lives.end()
    house = lives.begin()
    assert house.findings() == []
    assert set(house.claims().values()) == {(1, 256)}


def test_a_claim_of_a_server_that_is_nowhere_is_found(lives: Lives) -> None:
    house = lives.begin()
    server_id = house.boot()
    with house.database.write(internal()) as w:
        allocation = w.session.get_one(Allocation, server_id)
        w.session.add(Allocation(server_id="lost", host_id=allocation.host_id, vcpus=1, memory_mib=1, disk_gib=1))
    assert any("lost" in what for what in house.findings())


def test_networks_and_ports_are_made_again(lives: Lives) -> None:
    house = lives.begin()
    house.boot()
    before = (set(house.network.networks), set(house.network.ports))
    lives.end()
    house = lives.begin()
    assert (set(house.network.networks), set(house.network.ports)) == before


def test_stopping_lets_a_step_end_and_loses_no_task(lives: Lives) -> None:
    house = lives.begin()
    house.boot("warm-up")
    gate = house.driver.hold("ensure_guest")
    server_id = house.ask("slow")
    wait_for(lambda: house.server(server_id)["OS-EXT-STS:task_state"] == "spawning")
    Timer(0.5, gate.set).start()
    lives.end()
    house = lives.begin()
    house.wait(server_id, "ACTIVE")
    with house.database.read(internal()) as w:
        [boot] = tasks.actions(w, server_id)
        results = [(step.name, step.result) for step in tasks.steps(w, boot.id)]
    assert ("spawn", "Success") in results
    assert not [each for each in results if each[1] != "Success"], "stopping disturbed a step that was under way"
