"""A small HTTP client over one kept connection: it must cost little beside what it measures."""

from __future__ import annotations

import http.client
import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPUTE_VERSION, VOLUME_VERSION = "2.79", "3.70"
_SECONDS = 120.0
_IDLE_SECONDS = 15.0
"""After so long a server may have let the connection go."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Caller:
    """Speaks to one loopback port. Not for several threads at once."""

    def __init__(self, port: int, token: str = "") -> None:
        self.port, self.token = port, token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        self._used = time.monotonic()

    def call(self, method: str, path: str, body: Any = None, *, data: bytes | None = None) -> Answer:
        """One request. Raises ``RuntimeError`` for an error status, ``OSError`` when nobody answers."""
        headers = {"OpenStack-API-Version": f"compute {COMPUTE_VERSION},volume {VOLUME_VERSION}"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif data is not None:
            headers["Content-Type"] = "application/octet-stream"
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._connection.close()
        try:
            self._connection.request(method, path, body=data, headers=headers)
            response = self._connection.getresponse()
            content = response.read()
            self._used = time.monotonic()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return answer

    def get(self, path: str) -> Any:
        return self.call("GET", path).json

    def post(self, path: str, body: Any) -> Any:
        answer = self.call("POST", path, body)
        return answer.json if answer.data else None

    def log_in(self, state_dir: Path) -> None:
        """Take a token with the password of the appliance's first admin."""
        given = openrc(state_dir)
        user = {"name": given["OS_USERNAME"], "domain": {"id": "default"}, "password": given["OS_PASSWORD"]}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": given["OS_PROJECT_NAME"], "domain": {"id": "default"}}},
            }
        }
        self.token = self.call("POST", "/identity/v3/auth/tokens", body).headers["x-subject-token"]

    def close(self) -> None:
        self._connection.close()


def openrc(state_dir: Path) -> dict[str, str]:
    """The variables of the appliance's credentials file."""
    lines = (state_dir / "admin-openrc").read_text().splitlines()
    words = (shlex.split(line, comments=True) for line in lines)
    pairs = (word[1].partition("=") for word in words if len(word) == 2 and word[0] == "export")
    return {name: value for name, _, value in pairs}
