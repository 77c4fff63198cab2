"""An appliance in this process: real database, engine and fronts over the fake host; HTTP through Flask's client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from novalite import settings as options
from novalite.appliance.build import Built, prepare
from novalite.appliance.engine import Engine
from novalite.appliance.web import application
from novalite.cloud.identity import credentials
from novalite.cloud.image import images
from novalite.cloud.image.images import NewImage
from novalite.context import internal
from novalite.db.engine import sqlite_path
from novalite.drivers.compute.fake import FakeDriver
from tests import postgresql
from tests.databases import do_not_wait_for_the_disk, migrated

do_not_wait_for_the_disk()


def wait_for(what: Callable[[], Any], seconds: float = 60.0, why: str = "") -> Any:
    """The first true answer of ``what``; fails loudly when time is up, which is when something is broken."""
    never, end, pause = threading.Event(), time.monotonic() + seconds, 0.01
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < end, why or f"{what} did not become true in {seconds} s"
        never.wait(pause)
        pause = min(pause * 1.3, 0.1)  # asking costs more than most of what is waited for


class Appliance:
    """A running appliance and a way to speak to it as its admin, or as anybody else."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.engine = Engine(built)
        self.app: flask.Flask = application(self.engine)
        self.engine.start()
        assert self.engine.ready.wait(60)
        self.password = _password(built.settings.state_path)
        self._tokens: dict[tuple[str, str, str], str] = {}

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def driver(self) -> FakeDriver:
        """The fake host itself, to make it fail or speak."""
        host = next(iter(self.built.hosts))
        driver: FakeDriver = self.built.links.driver(host)._driver  # type: ignore[attr-defined]
        return driver

    def token(self, user: str = "admin", password: str = "", project: str = "admin") -> str:
        key = (user, password, project)
        if key not in self._tokens:
            body = {
                "auth": {
                    "identity": {
                        "methods": ["password"],
                        "password": {
                            "user": {"name": user, "domain": {"id": "default"}, "password": password or self.password}
                        },
                    },
                    "scope": {"project": {"name": project, "domain": {"id": "default"}}},
                }
            }
            answer = self.client.post("/identity/v3/auth/tokens", json=body)
            assert answer.status_code == 201, answer.text
            self._tokens[key] = answer.headers["X-Subject-Token"]
        return self._tokens[key]

    def call(self, method: str, path: str, *, token: str = "", version: str = "", **more: Any) -> Any:
        """A request with a token (default: admin's); ``version`` is a Compute microversion."""
        headers = {"X-Auth-Token": token or self.token(), **more.pop("headers", {})}
        if version:
            headers["OpenStack-API-Version"] = f"compute {version}"
        return self.client.open(path, method=method, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> Any:
        return self.call("POST", path, json=body, **more)

    def member(self, name: str, role: str = "member") -> str:
        """A token of a new user with ``role`` in a new project, both called ``name``."""
        project = self.post("/identity/v3/projects", {"project": {"name": name}}).json["project"]["id"]
        body = {"user": {"name": name, "password": "a-long-passphrase", "default_project_id": project}}
        user = self.post("/identity/v3/users", body).json["user"]["id"]
        roles = self.get("/identity/v3/roles").json["roles"]
        role_id = next(item["id"] for item in roles if item["name"] == role)
        assert self.call("PUT", f"/identity/v3/projects/{project}/users/{user}/roles/{role_id}").status_code == 204
        return self.token(name, "a-long-passphrase", name)

    def image(self, name: str = "tiny", size: int = 1 << 20) -> str:
        """The id of a new active, public image of zeros."""
        with self.built.database.write(internal()) as w:
            made = images.create(
                w, NewImage(name=name, disk_format="raw", container_format="bare", visibility="public")
            )
            images.begin_upload(w, made.id)
        stored = self.built.store.save(made.id, [b"\0" * size], disk_format="raw")
        with self.built.database.write(internal()) as w:
            images.finish_upload(
                w, made.id, size=stored.size, virtual_size=stored.virtual_size, checksum=stored.md5,
                os_hash_value=stored.sha512,
            )  # fmt: skip
        return made.id

    def stop(self) -> None:
        self.engine.stop()


def _password(state_path: Path) -> str:
    for line in (state_path / credentials.OPENRC).read_text().splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        if name == "OS_PASSWORD":
            return value.strip("'")
    raise AssertionError("no password in the openrc")


@contextmanager
def running(state_dir: Path, **given: Any) -> Iterator[Appliance]:
    """An appliance with the fake host; ``given`` are settings, dots written as two underscores."""
    arguments = {"state_dir": str(state_dir), "compute.driver": "fake", "logging.level": "WARNING"}
    if postgresql.SERVER:
        arguments["database.url"] = postgresql.database_for(postgresql.SERVER, state_dir)
    arguments |= {name.replace("__", "."): value for name, value in given.items()}
    loaded, _ = options.load(arguments=arguments, environment={})
    file = sqlite_path(loaded.database_url)
    if file is not None and not file.exists():
        migrated(file)
    appliance = Appliance(prepare(loaded))
    try:
        yield appliance
    finally:
        appliance.stop()


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """One appliance for a module's stories."""
    with running(tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes appliances of one's own, with settings."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(running(tmp_path / f"state{len(given)}", **given))
