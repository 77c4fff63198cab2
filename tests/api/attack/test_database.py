"""A database that another program holds, that is full or read-only: told as such, nothing half made, healed after."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.identity.records import Role
from novalite.context import internal
from novalite.db.engine import make_engine
from novalite.errors import Conflict
from tests.api.attack.conftest import server_body
from tests.api.conftest import Appliance, wait_for
from tests.postgresql import sqlite_only

SERVERS = "/compute/v2.1/servers"


@contextmanager
def held(appliance: Appliance) -> Iterator[None]:
    """Another program writes, and does not come to an end."""
    path = appliance.built.settings.state_path / "novalite.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient(fresh: Callable[..., Appliance]) -> Appliance:
    return fresh(database__busy_timeout_seconds=0.3)


@sqlite_only
def test_a_locked_database_is_told_and_leaves_nothing_behind(impatient: Appliance) -> None:
    image, _ = impatient.image(), impatient.token()
    with held(impatient):
        answer = impatient.post(SERVERS, server_body("1", image), version="2.90")
        assert answer.status_code == 503
        assert "locked" in answer.json["serviceUnavailable"]["message"]
        assert answer.headers["Retry-After"]
        assert impatient.get(f"{SERVERS}/detail").status_code == 200, "readers are not held up"
    assert impatient.get(SERVERS).json == {"servers": []}
    left = [port["device_owner"] for port in impatient.get("/network/v2.0/ports").json["ports"]]
    first = ["network:dhcp", "network:dhcp", "network:router_gateway", "network:router_interface"]
    assert sorted(left) == first, "those of the first start"


@sqlite_only
def test_threads_do_not_pile_up_behind_a_lock(impatient: Appliance) -> None:
    impatient.token()
    statuses: list[int] = []

    def write() -> None:
        body = {"keypair": {"name": f"k{threading.get_ident()}"}}
        statuses.append(impatient.post("/compute/v2.1/os-keypairs", body).status_code)

    with held(impatient):
        writers = [threading.Thread(target=write) for _ in range(12)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        assert statuses == [503] * 12, "every one has given up while the lock was held"


@sqlite_only
def test_a_boot_outlives_a_locked_database(impatient: Appliance) -> None:
    gate = impatient.driver.hold("ensure_guest")
    server = impatient.post(SERVERS, server_body("1", impatient.image()), version="2.90").json["server"]["id"]
    wait_for(lambda: impatient.driver.calls.get("ensure_guest"))
    with held(impatient):
        gate.set()
        threading.Event().wait(1.5)  # longer than the workers' patience
    wait_for(lambda: impatient.get(f"{SERVERS}/{server}").json["server"]["status"] == "ACTIVE")
    wait_for(lambda: all(part.state == "running" for part in impatient.engine.status()))


@sqlite_only
@pytest.mark.parametrize(
    ("raised", "status"),
    [
        ("database or disk is full", 503),
        ("attempt to write a readonly database", 503),
        ("disk I/O error", 503),
        ("unable to open database file", 503),
        ("database table is locked", 503),
        ("no such table: surprise", 500),
    ],
)
def test_what_is_wrong_with_the_database_is_told(appliance: Appliance, raised: str, status: int) -> None:
    appliance.get(SERVERS)
    me = threading.get_ident()

    def break_it(*_: Any) -> None:
        if threading.get_ident() == me:
            raise sqlite3.OperationalError(raised)

    sa.event.listen(appliance.built.database.engine, "do_execute", break_it)
    try:
        answer = appliance.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "k"}})
    finally:
        sa.event.remove(appliance.built.database.engine, "do_execute", break_it)
    assert answer.status_code == status
    assert raised not in answer.text, "the words of the database are not for callers"
    assert appliance.get("/compute/v2.1/os-keypairs").json == {"keypairs": []}


def test_errors_of_the_database_show_no_values(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection, pytest.raises(sa.exc.OperationalError) as raised:
        connection.execute(sa.text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "canary-value"})
    engine.dispose()
    assert "canary-value" not in str(raised.value)


def test_two_who_write_the_same_at_once_are_a_conflict(appliance: Appliance) -> None:
    twins = [Role(id=name, name="same", options={}) for name in ("one", "two")]
    with pytest.raises(Conflict), appliance.built.database.write(internal()) as w:
        w.session.add_all(twins)
