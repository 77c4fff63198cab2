"""A caller of Block Storage, on an appliance whose volumes hold no data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from novalite.api.kit.table import RouteTable, pick_action
from novalite.api.kit.versions import Version
from novalite.api.volume.front import FRONT
from novalite.api.volume.versions import VERSIONS
from novalite.drivers.storage.fake_volumes import FakeVolumes
from tests.api.conftest import Appliance, running, wait_for
from tests.api.contract.walk import mismatches

UNKNOWN = "12345678-1234-1234-1234-123456789abc"
LUKS = {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}


_TABLE = RouteTable(FRONT)


def as_declared(method: str, path: str, body: Any, answer: TestResponse, version: str) -> None:
    """A good answer is what its operation's view says, and nothing else."""
    asked = Version.parse(version) if version != "latest" else Version.parse(VERSIONS.maximum)
    match = _TABLE.match(method, f"/v3{path.partition('?')[0]}")
    acted = any(route.action for route in match.routes)
    route = pick_action(match, body, asked) if acted else match.in_version(asked)[0]
    if route.view is None:
        assert not answer.data, f"{method} {route.path} {route.action} tells nothing of its answer"
    else:
        assert list(mismatches(answer.json, route.view.schema(asked))) == []


class Cinder:
    """Speaks with one token, in the newest version unless another is named."""

    def __init__(self, appliance: Appliance, token: str) -> None:
        self.appliance, self.token = appliance, token

    @property
    def driver(self) -> FakeVolumes:
        """The simulated backend itself, to look at it and make it fail."""
        found: FakeVolumes = self.appliance.built.parts.volumes.of("")._driver  # type: ignore[attr-defined]
        return found

    def call(self, method: str, path: str, body: Any = None, version: str = "3.70", **more: Any) -> TestResponse:
        headers = {"OpenStack-API-Version": f"volume {version}"}
        if body is not None:
            more["json"] = body
        answer: TestResponse = self.appliance.call(
            method, f"/volume/v3{path}", token=self.token, headers=headers, **more
        )
        if answer.status_code < 300:
            as_declared(method, path, body, answer, version)
        return answer

    def get(self, path: str, version: str = "3.70") -> Any:
        answer = self.call("GET", path, version=version)
        assert answer.status_code == 200, answer.text
        return answer.json

    def ask(self, path: str, body: Any, status: int = 202, version: str = "3.70") -> Any:
        answer = self.call("POST", path, body, version)
        assert answer.status_code == status, answer.text
        return answer.json if answer.data else None

    def act(self, volume_id: str, action: str, body: Any = None, status: int = 202, version: str = "3.70") -> Any:
        return self.ask(f"/volumes/{volume_id}/action", {action: body}, status, version)

    def refused(self, method: str, path: str, body: Any = None, version: str = "3.70") -> tuple[int, str]:
        answer = self.call(method, path, body, version)
        assert 400 <= answer.status_code < 500, answer.text
        (fault,) = answer.json.values()
        return answer.status_code, fault["message"]

    def until(self, kind: str, id: str, status: str) -> dict[str, Any]:
        """The resource once it has that status."""
        one = kind.removesuffix("s")

        def reached() -> Any:
            now = self.get(f"/{kind}/{id}")[one]
            return now if now["status"] == status else None

        found: dict[str, Any] = wait_for(reached, why=f"{one} {id} did not become {status}")
        return found

    def volume(self, **fields: Any) -> dict[str, Any]:
        made = self.ask("/volumes", {"volume": {"size": 1, **fields}})["volume"]
        return self.until("volumes", made["id"], "available")

    def snapshot(self, volume_id: str, **fields: Any) -> dict[str, Any]:
        made = self.ask("/snapshots", {"snapshot": {"volume_id": volume_id, **fields}})["snapshot"]
        return self.until("snapshots", made["id"], "available")

    def gone(self, kind: str, id: str) -> None:
        wait_for(lambda: self.call("GET", f"/{kind}/{id}").status_code == 404, why=f"{kind} {id} is still there")

    def delete(self, kind: str, id: str, query: str = "") -> None:
        answer = self.call("DELETE", f"/{kind}/{id}{query}")
        assert answer.status_code == 202, answer.text
        self.gone(kind, id)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with running(tmp_path_factory.mktemp("state"), quota__volumes=30, quota__gigabytes=100) as made:
        yield made


@pytest.fixture(scope="module")
def admin(cloud: Appliance) -> Cinder:
    return Cinder(cloud, cloud.token())


@pytest.fixture(scope="module")
def member(cloud: Appliance) -> Cinder:
    return Cinder(cloud, cloud.member("alice"))


@pytest.fixture(scope="module")
def other(cloud: Appliance) -> Cinder:
    return Cinder(cloud, cloud.member("bob"))


@pytest.fixture(scope="module")
def reader(cloud: Appliance) -> Cinder:
    return Cinder(cloud, cloud.member("carol", "reader"))


@pytest.fixture
def kind(admin: Cinder) -> Iterator[str]:
    """A type without encryption, which may be gone afterwards."""
    type_id = admin.ask("/types", {"volume_type": {"name": "encrypted"}}, 200)["volume_type"]["id"]
    yield type_id
    assert admin.call("DELETE", f"/types/{type_id}").status_code in (202, 404)


@pytest.fixture
def luks(admin: Cinder, kind: str) -> str:
    admin.ask(f"/types/{kind}/encryption", {"encryption": LUKS}, 200)
    return kind
