"""The network front alone, over a real database, with networks in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import pytest

from novalite.api.kit.auth import TokenAuth
from novalite.api.kit.dispatch import mount
from novalite.api.kit.parts import Parts
from novalite.api.network.front import FRONT
from novalite.cloud.network import networks
from novalite.context import Context
from novalite.db.work import Database
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.engine.network_changes import NetworkChanges
from novalite.errors import Unauthenticated
from novalite.settings import Settings
from tests.databases import declared

MINE, OTHERS = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
WHO = {
    "admin": Context("u1", MINE, frozenset({"admin", "manager", "member", "reader"})),
    "member": Context("u2", MINE, frozenset({"member", "reader"})),
    "reader": Context("u3", MINE, frozenset({"reader"})),
    "other": Context("u4", OTHERS, frozenset({"member", "reader"})),
}


def _resolve(token: str) -> tuple[Context, datetime]:
    if token not in WHO:
        raise Unauthenticated("The request you have made requires authentication.")
    return WHO[token], datetime.now(UTC) + timedelta(hours=1)


class Neutron:
    """Speaks HTTP to the front as one of ``WHO``; what changes has reached the machine when ``call`` returns, unless
    the driver refuses it. ``first`` is the id of the shared network of the first start."""

    def __init__(self, app: flask.Flask, database: Database, driver: FakeNetworkDriver, first: str) -> None:
        self._client = app.test_client()
        self.database, self.driver, self.first = database, driver, first
        self.changes = NetworkChanges(database, driver)
        database.listen(lambda topic, id_, project_id: self.changes.note(topic, id_))

    def call(
        self, method: str, path: str, body: Any = None, *, who: str = "member", headers: dict[str, str] | None = None
    ) -> Any:
        headers = {**({"X-Auth-Token": who} if who else {}), **(headers or {})}
        data = None if body is None else json.dumps(body)
        answer = self._client.open(f"/network{path}", method=method, headers=headers, data=data,
                                   content_type="application/json")  # fmt: skip
        self.changes.apply()
        return answer

    def get(self, path: str, *, who: str = "member") -> Any:
        answer = self.call("GET", path, who=who)
        assert answer.status_code == 200, answer.text
        return answer.json

    def new(self, kind: str, *, who: str = "member", **fields: Any) -> dict[str, Any]:
        answer = self.call("POST", f"/v2.0/{kind}s", {kind: fields}, who=who)
        assert answer.status_code == 201, answer.text
        return dict(answer.json[kind])

    def ports(self, query: str = "", *, who: str = "member") -> list[dict[str, Any]]:
        """Ports but those that networks have themselves."""
        found = self.get(f"/v2.0/ports?{query}", who=who)["ports"]
        return [port for port in found if port["device_owner"] != "network:dhcp"]

    def names(self, kind: str, query: str = "", *, who: str = "member") -> list[str]:
        return [item["name"] for item in self.get(f"/v2.0/{kind}?{query}", who=who)[kind]]


@pytest.fixture
def neutron(tmp_path: Path) -> Iterator[Neutron]:
    database = Database(declared(tmp_path / "novalite.db"))
    driver = FakeNetworkDriver()
    with database.write(WHO["admin"]) as w:
        first = networks.ensure_first(w, name="private", cidr="10.1.0.0/24", mtu=1500, dns_servers=["192.0.2.53"])
        spec = networks.spec(w, first)
    driver.ensure_network(spec)
    parts = Parts(Settings(state_dir=str(tmp_path)), database, TokenAuth(_resolve, lambda: 0), network_driver=driver)
    app = flask.Flask("network tests")
    mount(app, FRONT, parts)
    yield Neutron(app, database, driver, first)
    database.close()
