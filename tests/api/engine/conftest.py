"""Stories of the engine: servers asked for over HTTP, a fake host that misbehaves, everything compared at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from novalite.cloud.hosts import hosts
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.drivers.compute.base import Power
from novalite.drivers.compute.fake import FakeDriver
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.engine import doctor
from tests.api.conftest import Appliance, running, wait_for
from tests.contracts.plain_logs import plain_logs

V = "2.95"
plain_logs()


class House:
    """One appliance and what the stories say of it."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.database = appliance.built.database
        self.image_id = ""

    def drivers(self) -> dict[str, FakeDriver]:
        links = self.appliance.built.links
        return {name: links.driver(name)._driver for name in self.appliance.built.hosts}  # type: ignore[attr-defined]

    @property
    def driver(self) -> FakeDriver:
        return self.appliance.driver

    @property
    def network(self) -> FakeNetworkDriver:
        driver: FakeNetworkDriver = self.appliance.built.network._driver  # type: ignore[attr-defined]
        return driver

    # Asking.

    def ask(self, name: str = "s", **more: Any) -> str:
        """The id of a server that was accepted."""
        self.image_id = self.image_id or self.appliance.image()
        body = {"name": name, "imageRef": self.image_id, "flavorRef": "1", "networks": "auto", **more}
        answer = self.appliance.post("/compute/v2.1/servers", {"server": body}, version=V)
        assert answer.status_code == 202, answer.text
        return str(answer.json["server"]["id"])

    def boot(self, name: str = "s", **more: Any) -> str:
        server_id = self.ask(name, **more)
        self.wait(server_id, "ACTIVE")
        return server_id

    def server(self, server_id: str) -> Any:
        """What the API says; None when it is gone."""
        answer = self.appliance.get(f"/compute/v2.1/servers/{server_id}", version=V)
        assert answer.status_code in (200, 404), answer.text
        return answer.json["server"] if answer.status_code == 200 else None

    def wait(self, server_id: str, status: str) -> Any:
        def arrived() -> Any:
            found = self.server(server_id)
            assert found is not None, "the server is gone"
            return found if found["status"] == status and found["OS-EXT-STS:task_state"] is None else None

        try:
            return wait_for(arrived)
        except AssertionError:
            raise AssertionError(f"the server did not become {status}: {self.server(server_id)}") from None

    def act(self, server_id: str, action: str, value: Any = None) -> int:
        path = f"/compute/v2.1/servers/{server_id}/action"
        return int(self.appliance.post(path, {action: value}, version=V).status_code)

    def delete(self, server_id: str) -> int:
        return int(self.appliance.call("DELETE", f"/compute/v2.1/servers/{server_id}", version=V).status_code)

    def gone(self, server_id: str) -> None:
        wait_for(lambda: self.server(server_id) is None, why=f"{server_id} is still there")

    # Steering.

    def at(self, boundary: str, act: Callable[[], None], *, kind: str = "server.boot") -> None:
        """Call ``act`` in the worker's thread, once, when a task reaches the boundary."""
        once = [f"{kind}/{boundary}"]

        def reached(name: str) -> None:
            if name in once:
                once.remove(name)
                act()

        self.appliance.engine.workers._boundary = reached

    def stopped_at(self, boundary: str, *, kind: str = "server.boot") -> tuple[threading.Event, threading.Event]:
        """(reached, go on): the worker waits at the boundary."""
        reached, go_on = threading.Event(), threading.Event()

        def wait() -> None:
            reached.set()
            assert go_on.wait(60)

        self.at(boundary, wait, kind=kind)
        return reached, go_on

    def hear_only_events(self) -> None:
        """What the host does not tell is not found out by asking it now and then either."""
        for name in ("reports", "reconcile", "unowned"):
            self.appliance.engine.periodic._scheduler.remove_job(name)

    # Looking.

    def idle(self) -> None:
        """Wait until no task is left."""

        def none_left() -> bool:
            with self.database.read(internal()) as w:
                return not tasks.backlog(w)

        wait_for(none_left, why="tasks are left")

    def claims(self) -> dict[str, tuple[int, int]]:
        """host -> (servers, MiB) promised."""
        with self.database.read(internal()) as w:
            return {host.name: (host.server_count, host.memory_mib_used) for host in hosts.everyone(w)}

    def guests(self) -> dict[str, Power]:
        """What all fake hosts really have, leftovers included."""
        return {item.id: item.power for driver in self.drivers().values() for item in driver.artifacts()}

    def findings(self) -> list[str]:
        parts, store = self.appliance.built.parts, self.appliance.built.store
        return [finding.what for finding in doctor.examine(parts, store).findings]

    def clear(self) -> None:
        """What a story that failed has left must not spoil the next."""
        self.appliance.engine.workers._boundary = lambda name: None
        for server in self.appliance.get("/compute/v2.1/servers", version=V).json["servers"]:
            self.delete(server["id"])
        self.idle()

    def assert_empty(self) -> None:
        """No server has ever been here, by the look of it."""
        self.idle()
        assert self.guests() == {}
        assert set(self.claims().values()) == {(0, 0)}
        assert self.network.ports == {}
        assert self.findings() == []


@contextmanager
def housed(state_dir: Path, **given: Any) -> Iterator[House]:
    with running(state_dir, **{"tasks__sweep_seconds": 1, "compute__stop_timeout_seconds": 1, **given}) as appliance:
        yield House(appliance)


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with housed(tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.fixture
def house(shared_house: House) -> Iterator[House]:
    """One appliance with one host for a module's stories; each finds it empty."""
    yield shared_house
    shared_house.clear()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Makes houses of one's own, with settings."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(housed(tmp_path / "state", **given))
