"""Servers in an appliance of the module, made and waited for in a line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Appliance, wait_for

C = "/compute/v2.1"


class Cloud:
    """The Compute API of one appliance, as one caller with one microversion sees it."""

    def __init__(self, appliance: Appliance, token: str, image: str) -> None:
        self.appliance, self.token, self.image_id = appliance, token, image

    def call(self, method: str, path: str, body: Any = None, version: str = "2.95", **more: Any) -> Any:
        given = {} if body is None else {"json": body}
        return self.appliance.call(method, C + path, token=self.token, version=version, **given, **more)

    def get(self, path: str, version: str = "2.95") -> Any:
        return self.call("GET", path, version=version)

    def new(self, name: str = "one", version: str = "2.95", beside: Any = None, **values: Any) -> Any:
        """The answer to POST /servers."""
        server = {"name": name, "flavorRef": "1", "imageRef": self.image_id, **values}
        if tuple(int(part) for part in version.split(".")) >= (2, 37):
            server.setdefault("networks", "auto")
        return self.call("POST", "/servers", {"server": server, **(beside or {})}, version)

    def boot(self, name: str = "one", **values: Any) -> str:
        """The id of a new server that is ACTIVE."""
        answer = self.new(name, **values)
        assert answer.status_code == 202, answer.text
        server_id = str(answer.json["server"]["id"])
        self.wait(server_id, "ACTIVE")
        return server_id

    def server(self, server_id: str, version: str = "2.95") -> Any:
        answer = self.get(f"/servers/{server_id}", version)
        assert answer.status_code == 200, answer.text
        return answer.json["server"]

    def wait(self, server_id: str, status: str) -> Any:
        def arrived() -> Any:
            server = self.server(server_id)
            return server if server["status"] == status and not server["OS-EXT-STS:task_state"] else None

        return wait_for(arrived, why=f"the server did not become {status}")

    def act(self, server_id: str, name: str, value: Any = None, version: str = "2.95") -> Any:
        return self.call("POST", f"/servers/{server_id}/action", {name: value}, version)

    def gone(self, server_id: str) -> None:
        assert self.call("DELETE", f"/servers/{server_id}").status_code == 204
        wait_for(lambda: self.get(f"/servers/{server_id}").status_code == 404)


@pytest.fixture(scope="module")
def image_id(appliance: Appliance) -> str:
    return appliance.image()


@pytest.fixture(scope="module")
def admin(appliance: Appliance, image_id: str) -> Cloud:
    return Cloud(appliance, appliance.token(), image_id)


@pytest.fixture(scope="module")
def member(appliance: Appliance, image_id: str) -> Cloud:
    return Cloud(appliance, appliance.member("alice"), image_id)


@pytest.fixture(scope="module")
def stranger(appliance: Appliance, image_id: str) -> Cloud:
    return Cloud(appliance, appliance.member("mallory"), image_id)


@pytest.fixture(scope="module")
def reader(appliance: Appliance, image_id: str) -> Cloud:
    return Cloud(appliance, appliance.member("bob", role="reader"), image_id)
