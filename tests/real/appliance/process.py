"""The real process as a child: started, asked over HTTP, killed, started again, and cleaned up after."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil

from novalite import settings as options
from novalite.appliance.build import build
from novalite.cloud.identity import credentials
from novalite.cloud.network import networks
from novalite.context import internal
from novalite.settings import Settings
from tests.contracts.ports import free_port
from tests.contracts.waiting import PATIENCE, until

NOVALITE = str(Path(sys.executable).with_name("novalite"))
SETTLED = ("ACTIVE", "ERROR", "SHUTOFF", "PAUSED", "SUSPENDED", "DELETED")


class Spawned(Protocol):
    """What is used of a process."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


class RealAppliance:
    """One appliance of its own. ``given`` are settings by their dotted names; ``program`` replaces the
    ``novalite serve`` command (it gets the same arguments)."""

    def __init__(
        self,
        state_dir: Path,
        *,
        driver: str = "fake",
        given: Mapping[str, Any] | None = None,
        program: tuple[str, ...] = (NOVALITE, "serve"),
    ) -> None:
        self.state_dir = state_dir
        self.driver = driver
        self.port = free_port()
        self.given = {"http.drain_seconds": 10, "tasks.sweep_seconds": 1, **(given or {})}
        self.process: Spawned | None = None
        self._program = program
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)
        self._token = ""

    # Its life.

    @property
    def settings(self) -> Settings:
        arguments = {
            "state_dir": str(self.state_dir), "http.port": self.port, "compute.driver": self.driver, **self.given,
        }  # fmt: skip
        return options.load(arguments=arguments, environment={})[0]

    @property
    def _arguments(self) -> list[str]:
        words = [
            "--state-dir",
            str(self.state_dir),
            "--port",
            str(self.port),
            "--driver",
            self.driver,
        ]
        for name, value in self.given.items():
            words += ["--set", f"{name}={value}"]
        return words

    @property
    def log_file(self) -> Path:
        return self.state_dir.with_name(self.state_dir.name + ".log")

    @property
    def log(self) -> str:
        """All it has said, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self, *, seconds: float = PATIENCE) -> None:
        """Start it and wait until it says that it is ready."""
        self.state_dir.parent.mkdir(parents=True, exist_ok=True)
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("NOVALITE_", "OS_"))}
        self.process = self._spawn(plain)
        self.wait_ready(seconds=seconds)

    def _spawn(self, environment: dict[str, str]) -> Spawned:
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [*self._program, *self._arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip

    def wait_ready(self, *, seconds: float = PATIENCE) -> None:
        until(self._answers_or_is_dead, f"the appliance is ready\n{self.log[-4000:]}", seconds)
        assert self.alive, f"the appliance ended:\n{self.log[-4000:]}"

    def _answers_or_is_dead(self) -> bool:
        return not self.alive or self.healthy

    @property
    def healthy(self) -> bool:
        try:
            return self._http.get("/healthz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def pids(self) -> list[int]:
        """Gunicorn's parent first, then its worker."""
        if self.process is None or not self.alive:
            return []
        try:
            children = psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []
        return [self.process.pid, *(child.pid for child in children)]

    def kill(self) -> None:
        """kill -9 of the parent, then of the worker: nothing may clean up."""
        for pid in self.pids():
            with _gone_is_fine():
                os.kill(pid, signal.SIGKILL)
        self.wait_dead()

    def wait_dead(self, *, seconds: float = PATIENCE) -> int:
        """Its exit code once the parent has ended and let go of the state directory."""
        assert self.process is not None
        code = self.process.wait(seconds)
        until(self._state_is_free, "the state directory is let go of", seconds)
        return code

    def _state_is_free(self) -> bool:
        from novalite.appliance.process import own_state
        from novalite.errors import Failed

        try:
            os.close(own_state(self.state_dir))
        except Failed:
            return False
        return True

    def terminate(self, *, seconds: float = PATIENCE) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait_dead(seconds=seconds)

    def restart(self) -> None:
        """kill -9 and start again."""
        self.kill()
        self.start()

    # Speaking to it.

    @property
    def environment(self) -> dict[str, str]:
        """What its openrc exports."""
        text = (self.state_dir / credentials.OPENRC).read_text()
        return dict(re.findall(r"^export (\w+)='(.*)'$", text, re.MULTILINE))

    @property
    def token(self) -> str:
        if not self._token:
            user = {"name": "admin", "domain": {"id": "default"}, "password": self.environment["OS_PASSWORD"]}
            scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
            identity = {"methods": ["password"], "password": {"user": user}}
            answer = self._http.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
            assert answer.status_code == 201, answer.text
            self._token = answer.headers["X-Subject-Token"]
        return self._token

    def call(self, method: str, path: str, *, version: str = "2.95", **more: Any) -> httpx.Response:
        """A request of the admin."""
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": f"compute {version}"}
        return self._http.request(method, path, headers=headers | more.pop("headers", {}), **more)

    def get(self, path: str, **more: Any) -> Any:
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any, **more: Any) -> Any:
        answer = self.call("POST", path, json=body, **more)
        assert answer.status_code < 300, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def doctor(self) -> list[dict[str, Any]]:
        """Its findings; an empty list is health."""
        findings: list[dict[str, Any]] = self.get("/admin/doctor")["findings"]
        return findings

    # Common requests.

    def image(self, data: bytes | Path, *, name: str = "tiny", disk_format: str = "raw", **properties: str) -> str:
        """The id of a new active image."""
        body = {"name": name, "disk_format": disk_format, "container_format": "bare", **properties}
        made = self.post("/image/v2/images", body)["id"]
        content = data.read_bytes() if isinstance(data, Path) else data
        kind = {"Content-Type": "application/octet-stream"}
        answer = self.call("PUT", f"/image/v2/images/{made}/file", content=content, headers=kind, timeout=300)
        assert answer.status_code == 204, answer.text
        return str(made)

    def flavor(self, name: str, *, ram: int, vcpus: int = 1, disk: int = 0) -> str:
        body = {"flavor": {"name": name, "ram": ram, "vcpus": vcpus, "disk": disk, "id": name}}
        return str(self.post("/compute/v2.1/flavors", body)["flavor"]["id"])

    def create(self, name: str, image: str, flavor: str, **more: Any) -> str:
        """The id of a server that has been asked for."""
        body = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": "auto", **more}
        return str(self.post("/compute/v2.1/servers", {"server": body})["server"]["id"])

    def server(self, server_id: str) -> dict[str, Any] | None:
        """What the API says of a server; None when it is not there any more."""
        answer = self.call("GET", f"/compute/v2.1/servers/{server_id}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["server"]
        return found

    def act(self, server_id: str, action: str, value: Any = None) -> httpx.Response:
        return self.call("POST", f"/compute/v2.1/servers/{server_id}/action", json={action: value})

    def delete(self, server_id: str) -> None:
        answer = self.call("DELETE", f"/compute/v2.1/servers/{server_id}")
        assert answer.status_code in (204, 404), answer.text

    def wait_status(self, server_id: str, *wanted: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The server once it has one of the statuses and nothing goes on."""
        last: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal last
            last = self.server(server_id) or {"status": "DELETED", "OS-EXT-STS:task_state": None}
            return last["status"] in wanted and last["OS-EXT-STS:task_state"] is None

        what = f"server {server_id} is {' or '.join(wanted)}"
        until_or(reached, lambda: f"{what}; it is {last}\n{self.log[-3000:]}", seconds)
        return last

    def wait_gone(self, server_id: str, seconds: float = PATIENCE) -> None:
        until_or(
            lambda: self.server(server_id) is None,
            lambda: f"server {server_id} is gone; it is {self.server(server_id)}\n{self.log[-3000:]}",
            seconds,
        )

    # The end.

    def close(self) -> None:
        """End it and take away what it made on the machine, by its own ids."""
        if self.process is not None:
            self.kill()
        self._http.close()
        if self.driver == "libvirt" and (self.state_dir / "appliance-id").exists():
            remove_host_state(self.settings)


def until_or(condition: Callable[[], bool], what: Callable[[], str], seconds: float = PATIENCE) -> None:
    """Like ``until``, with words that are only looked for at the end."""
    try:
        until(condition, "", seconds)
    except AssertionError:
        raise AssertionError(f"not within {seconds:.0f} s: {what()}") from None


def remove_host_state(settings: Settings) -> None:
    """Guests, networks and routers of an appliance that does not run any more."""
    made = build(settings)
    with made.database.read(internal()) as w:
        network_ids = {spec.id for spec in networks.specs(w)}
    for host in made.links.hosts():
        driver = made.links.driver(host)
        for artifact in driver.artifacts():
            driver.delete_guest(artifact.id)
    for spec in made.parts.exports.exports():
        made.parts.exports.remove_export(spec.id)
    there = made.network.check()
    for router_id in there.routers:
        made.network.remove_router(router_id)
    for network_id in network_ids | set(there.networks):
        made.network.remove_network(network_id)
    made.links.close()
    made.network.close()
    made.database.close()


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return


@contextmanager
def running(state_dir: Path, **more: Any) -> Iterator[RealAppliance]:
    """An appliance from its start to its end."""
    made = RealAppliance(state_dir, **more)
    try:
        made.start()
        yield made
    finally:
        made.close()
