"""Faults around a running appliance: each gives a clear error or heals, and leaves nothing half made."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from novalite.cloud.hosts import hosts
from novalite.context import internal
from novalite.drivers.compute.base import Power
from novalite.drivers.compute.fake import FakeDriver
from novalite.engine import heartbeat, reconcile
from novalite.errors import Busy, DriverError
from tests.api.conftest import wait_for
from tests.api.engine.conftest import House, housed
from tests.postgresql import sqlite_only


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with housed(tmp_path / "state", database__busy_timeout_seconds=0.1) as made:
        yield made


@pytest.fixture
def other_process(house: House) -> Iterator[sqlite3.Connection]:
    """Another connection: SQLite does not tell it from another process."""
    file = house.appliance.built.settings.state_path / "novalite.db"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        yield connection


@sqlite_only
class TestALockedDatabase:
    def test_a_change_is_refused_with_503_and_reading_goes_on(
        self, house: House, other_process: sqlite3.Connection
    ) -> None:
        server_id = house.boot()
        other_process.execute("BEGIN IMMEDIATE")
        body = {"server": {"name": "x", "imageRef": house.image_id, "flavorRef": "1", "networks": "auto"}}
        answer = house.appliance.post("/compute/v2.1/servers", body, version="2.95")
        assert answer.status_code == 503
        assert "locked by another process" in answer.text
        assert house.server(server_id)["status"] == "ACTIVE"
        other_process.execute("ROLLBACK")
        assert house.appliance.post("/compute/v2.1/servers", body, version="2.95").status_code == 202
        house.idle()

    @pytest.mark.parametrize("boundary", ["place:begin", "wire:done", "spawn:done", "finish:done"])
    def test_a_boot_it_comes_over_ends_well_once_it_is_gone(
        self, house: House, other_process: sqlite3.Connection, boundary: str
    ) -> None:
        house.boot("warm-up")
        reached, go_on = house.stopped_at(boundary)
        server_id = house.ask()
        assert reached.wait(60)
        other_process.execute("BEGIN IMMEDIATE")
        go_on.set()
        _be_refused(house, times=3)
        other_process.execute("ROLLBACK")
        house.wait(server_id, "ACTIVE")
        assert house.findings() == []


class TestAHostThatDoesNotAnswer:
    def test_a_boot_waits_for_it_a_little_and_then_says_why_it_failed(self, house: House) -> None:
        house.image_id = house.appliance.image()
        house.driver.set_unreachable(True)
        fault = house.wait(house.ask(), "ERROR")["fault"]["message"]
        assert "does not answer" in fault
        assert set(house.claims().values()) == {(0, 0)}

    def test_its_servers_keep_their_states_and_are_compared_when_it_is_back(self, house: House) -> None:
        server_id, off = house.boot("kept"), house.boot("off")
        house.driver.set_unreachable(True)
        heartbeat.beat_all(house.database, house.appliance.built.links)
        reconcile.every_host(house.database, house.appliance.built.links)
        assert house.server(server_id)["status"] == "ACTIVE"
        assert any("does not answer" in what for what in house.findings())
        house.driver.guest_powers_itself_off(off)
        house.driver.set_unreachable(False)
        house.wait(off, "SHUTOFF")
        assert house.server(server_id)["status"] == "ACTIVE"
        assert house.findings() == []

    def test_an_action_on_it_fails_in_place_and_the_server_is_not_lost(self, house: House) -> None:
        server_id = house.boot()
        house.driver.set_unreachable(True)
        assert house.act(server_id, "pause") == 202
        house.wait(server_id, "ACTIVE")
        house.driver.set_unreachable(False)
        assert house.act(server_id, "pause") == 202
        house.wait(server_id, "PAUSED")

    def test_the_appliance_starts_although_it_is_away(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with ExitStack() as first:
            house = first.enter_context(housed(tmp_path / "s"))
            server_id = house.boot()
        began = FakeDriver.__init__

        def away(self: FakeDriver, *args: object, **more: object) -> None:
            began(self, *args, **more)  # type: ignore[arg-type]
            self.set_unreachable(True)

        monkeypatch.setattr(FakeDriver, "__init__", away)
        with housed(tmp_path / "s") as house:
            assert house.server(server_id)["status"] == "ACTIVE"
            house.driver.set_unreachable(False)
            wait_for(lambda: house.findings() == [], why=f"{house.findings()}")


class TestADeadDhcpServer:
    def test_it_is_started_again(self, house: House) -> None:
        house.boot()
        running = house.network.check().dhcp_running
        network_id = running[0]
        house.network.kill_dhcp(network_id)
        assert network_id not in house.network.check().dhcp_running
        wait_for(lambda: house.network.check().dhcp_running == running, why="DHCP was not started again")
        assert house.findings() == []


class TestAFullDisk:
    def test_a_boot_says_so_and_leaves_nothing(self, house: House) -> None:
        house.image_id = house.appliance.image()
        full = DriverError("ensure_guest", "no space left on device", code="disk.full")
        house.driver.fail_next("ensure_guest", full, 9)
        server_id = house.ask()
        assert "no space left" in house.wait(server_id, "ERROR")["fault"]["message"]
        house.delete(server_id)
        house.gone(server_id)
        house.assert_empty()


class TestNoHost:
    def test_a_disabled_host_is_named_in_the_fault(self, house: House) -> None:
        house.image_id = house.appliance.image()
        [service] = [
            item
            for item in house.appliance.get("/compute/v2.1/os-services", version="2.95").json["services"]
            if item["binary"] == "nova-compute"
        ]
        answer = house.appliance.call(
            "PUT", f"/compute/v2.1/os-services/{service['id']}", version="2.95",
            json={"status": "disabled", "disabled_reason": "new fans"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        assert "new fans" in house.wait(house.ask(), "ERROR")["fault"]["message"]

    def test_a_host_that_stopped_reporting_takes_no_server(self, house: House) -> None:
        house.image_id = house.appliance.image()
        with house.database.write(internal()) as w:
            [name] = house.appliance.built.hosts
            hosts.force_down(w, name, True)
        assert "No valid host" in house.wait(house.ask(), "ERROR")["fault"]["message"]


class TestOldNews:
    """A list of guests taken before an action ended must not overwrite its result."""

    def test_a_server_started_while_its_host_is_compared_stays_active(self, house: House) -> None:
        server_id = house.boot()
        house.act(server_id, "os-stop")
        house.wait(server_id, "SHUTOFF")
        self._compare_while(house, lambda: self._start(house, server_id))
        assert house.server(server_id)["status"] == "ACTIVE"
        assert house.driver.guest(server_id).power is Power.RUNNING

    def test_a_server_made_while_its_host_is_compared_is_not_taken_for_nobodys(self, house: House) -> None:
        house.boot("warm-up")
        made: list[str] = []
        self._compare_while(house, lambda: made.append(house.boot()), late=True)
        assert house.driver.guest(made[0]).power is Power.RUNNING
        assert house.server(made[0])["status"] == "ACTIVE"

    def _start(self, house: House, server_id: str) -> None:
        house.act(server_id, "os-start")
        house.wait(server_id, "ACTIVE")

    def _compare_while(self, house: House, act: Callable[[], object], *, late: bool = False) -> None:
        """Compare the host with its records; ``act`` happens after (``late``: before) it lists its guests."""
        driver = house.driver
        listing = driver.list_guests

        def list_guests() -> object:
            driver.list_guests = listing  # type: ignore[method-assign]
            if late:
                act()
                return listing()
            found = listing()
            act()
            return found

        driver.list_guests = list_guests  # type: ignore[method-assign,assignment]
        [name] = house.appliance.built.hosts
        reconcile.host(house.database, house.appliance.built.links, name)


def _be_refused(house: House, times: int) -> None:
    """Writing fails that often: whoever else writes meanwhile has met the lock too."""
    for _ in range(times):
        with pytest.raises(Busy), house.database.write(internal()) as w:
            w.session.execute(sa.text("SELECT 1"))
