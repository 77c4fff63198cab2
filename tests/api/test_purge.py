"""Taking an appliance away."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from novalite import settings as options
from novalite.appliance.purge import purge
from novalite.drivers.compute.base import ForeignDisk, ForeignGuest, Power
from novalite.drivers.compute.fake import FakeDriver
from novalite.errors import Failed, NotFound
from tests.api.conftest import running, wait_for


def test_nothing_is_left_of_a_stopped_appliance(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(state):
        pass
    loaded, _ = options.load(arguments={"state_dir": str(state), "compute.driver": "fake"}, environment={})
    removed = list(purge(loaded))
    assert not state.exists()
    assert removed[-1] == f"state {state}"


def test_an_appliance_of_an_older_release_is_taken_away_too(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(state):
        pass
    with closing(sqlite3.connect(state / "novalite.db")) as database, database:
        for table in ("adoptions", "image_keys"):
            database.execute(f"DROP TABLE {table}")
        database.execute("UPDATE alembic_version SET version_num = '0011'")
    loaded, _ = options.load(arguments={"state_dir": str(state), "compute.driver": "fake"}, environment={})
    assert list(purge(loaded))[-1] == f"state {state}"


def test_what_was_adopted_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, disk = tmp_path / "state", tmp_path / "own.img"
    disk.write_bytes(bytes(4096))
    disks = (ForeignDisk(str(disk), "raw", "vda", "virtio", 4096),)
    machine = ForeignGuest("own", "4dea22b3-1d52-48f3-8516-782e98ab3fa0", Power.OFF, 1, 64, disks)
    with running(state) as appliance:
        appliance.driver.somebody_makes(machine)
        definition = appliance.driver.foreign_guest("own").definition
        made = appliance.post("/admin/adoptions", {"adoption": {"domain": "own"}})
        assert made.status_code == 202, made.text
        wait_for(lambda: appliance.get(f"/admin/adoptions/{machine.id}").json["adoption"]["status"] == "adopted")
    given: list[tuple[str, str, bool]] = []
    monkeypatch.setattr(FakeDriver, "give_guest_back", lambda driver, *what: given.append(what))
    loaded, _ = options.load(arguments={"state_dir": str(state), "compute.driver": "fake"}, environment={})
    removed = list(purge(loaded))
    assert any("machine own" in line for line in removed)
    assert given == [(machine.id, definition, False)]
    assert (disk.exists(), state.exists()) == (True, False)


def test_a_directory_without_an_appliance_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    loaded, _ = options.load(arguments={"state_dir": str(tmp_path)}, environment={})
    with pytest.raises(NotFound):
        list(purge(loaded))
    assert (tmp_path / "mine").exists()


def test_a_running_appliance_is_not_taken_away(tmp_path: Path) -> None:
    from novalite.appliance.process import own_state

    with running(tmp_path / "state") as appliance:
        own_state(appliance.built.settings.state_path)
        with pytest.raises(Failed, match="Another NovaLite runs"):
            list(purge(appliance.built.settings))
