"""A cloud of canned answers, for what the command prints and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from novalite.cli.client import Client
from novalite.cli.credentials import Credentials
from novalite.cli.main import run
from novalite.cli.session import Session
from novalite.settings import Secret

BASE = "http://cloud.example:8774"
CREDENTIALS = Credentials(
    auth_url=f"{BASE}/identity/v3", origin="a test", username="ann", password=Secret("pw"), project_name="demo"
)
_PREFIXES = {"compute": "/compute/v2.1", "image": "/image", "network": "/network"}
Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]


class CannedCloud:
    """Answers each path as it was told to; several answers for one path come one after another, the last stays."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.requests: list[httpx.Request] = []
        self.logins = 0

    def on(self, method: str, path: str, *answers: Any, status: int = 200) -> None:
        """``path`` as ``compute/servers``; plain values become JSON bodies."""
        service, _, rest = path.partition("/")
        prefix = {"compute": "/compute/v2.1", "image": "/image/v2", "network": "/network/v2.0"}.get(service, "")
        self.answers[method, f"{prefix}/{rest}"] = [
            each if isinstance(each, httpx.Response) or callable(each) else httpx.Response(status, json=each)
            for each in answers or (httpx.Response(status),)
        ]

    def sent(self, method: str, path: str) -> Any:
        """The JSON body of the last such request."""
        found = [each for each in self.requests if each.method == method and each.url.path.endswith(path)]
        return json.loads(found[-1].content)

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/identity/v3/auth/tokens":
            return self._log_in(request)
        self.requests.append(request)
        queue = self.answers.get((request.method, request.url.path))
        if queue is None:
            return httpx.Response(404, json={"itemNotFound": {"code": 404, "message": "It could not be found."}})
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        return answer(request) if callable(answer) else answer

    def _log_in(self, request: httpx.Request) -> httpx.Response:
        self.logins += 1
        user = json.loads(request.content)["auth"]["identity"]["password"]["user"]
        if user["password"] != "pw":
            return httpx.Response(401, json={"error": {"code": 401, "message": "No.", "title": "Unauthorized"}})
        catalog = [
            {"type": name, "endpoints": [{"interface": "public", "region_id": "RegionOne", "url": BASE + prefix}]}
            for name, prefix in _PREFIXES.items()
        ]
        token = {
            "user": {"id": "u1", "name": "ann"},
            "project": {"id": "p1", "name": "demo"},
            "catalog": catalog,
            "expires_at": "2030-01-01T00:00:00.000000Z",
        }
        return httpx.Response(201, json={"token": token}, headers={"X-Subject-Token": f"token-{self.logins}"})


@pytest.fixture
def cloud() -> CannedCloud:
    return CannedCloud()


@pytest.fixture
def client(cloud: CannedCloud) -> Client:
    return Client(CREDENTIALS, transport=httpx.MockTransport(cloud.handle))


@pytest.fixture
def novalite(cloud: CannedCloud) -> Callable[..., int]:
    """Runs one command line against the canned cloud; its exit code."""

    def command(*arguments: str) -> int:
        session = Session(connect=lambda _: Client(CREDENTIALS, transport=httpx.MockTransport(cloud.handle)))
        return run(arguments, session)

    return command
