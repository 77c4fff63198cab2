"""The metadata service without sockets: who asks, what is refused, what is kept."""

from __future__ import annotations

import io
from typing import Any

import pytest

from novalite.api.metadata.app import Guests, Wsgi, metadata_app
from novalite.cloud.compute.guest_data import GuestFacts
from novalite.cloud.network import ports
from novalite.db.work import Database, Work
from tests.unit.network.conftest import MEMBER, make_network

PASSWORD = "/openstack/latest/password"


def ask(
    app: Wsgi,
    path: str,
    address: str = "10.0.0.2",
    method: str = "GET",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    said: list[str] = []
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": address,
                               "wsgi.input": io.BytesIO(body), **(headers or {})}  # fmt: skip
    content = b"".join(app(environ, lambda status, head: said.append(status)))
    return int(said[0].split()[0]), content


@pytest.fixture
def kept() -> dict[str, str]:
    return {}


@pytest.fixture
def app(database: Database, kept: dict[str, str]) -> Wsgi:
    network_id = make_network(database)
    with database.write(MEMBER) as w:
        ports.create(w, ports.NewPort(network_id, device_id="s1"))
        ports.create(w, ports.NewPort(network_id))
        ports.create(w, ports.NewPort(network_id, device_id="gone"))

    def facts(w: Work, server_id: str) -> GuestFacts | None:
        return GuestFacts(server_id, server_id, server_id, "p1") if server_id == "s1" else None

    def keep(w: Work, server_id: str, text: str) -> bool:
        return kept.setdefault(server_id, text) == text

    return metadata_app(database, network_id, Guests(facts, lambda w, id: kept.get(id, ""), keep))


def test_only_the_address_counts(app: Wsgi) -> None:
    forged = {"HTTP_X_FORWARDED_FOR": "10.0.0.2", "HTTP_X_INSTANCE_ID": "s1"}
    assert ask(app, "/latest/meta-data/hostname") == (200, b"s1")
    for address in ("10.0.0.3", "10.0.0.4", "10.0.0.9", "", "fe80::1", "10.0.0.2 "):
        assert ask(app, "/latest/meta-data/hostname", address, headers=forged)[0] == 404, address


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/latest/meta-data/hostname/more", "/nothing", "/openstack/9"])
def test_there_is_nothing_elsewhere(app: Wsgi, path: str) -> None:
    assert ask(app, path)[0] == 404


def test_a_head_request_has_no_body(app: Wsgi) -> None:
    assert ask(app, "/latest/meta-data/hostname", method="HEAD") == (200, b"")


def test_only_the_password_is_written(app: Wsgi) -> None:
    for method, path in (("POST", "/latest/meta-data/hostname"), ("PUT", PASSWORD), ("DELETE", PASSWORD)):
        assert ask(app, path, method=method)[0] == 405


def test_a_password_is_kept_once_and_only_when_sane(app: Wsgi, kept: dict[str, str]) -> None:
    assert ask(app, PASSWORD) == (200, b"")
    assert ask(app, PASSWORD, method="POST", body=b"x" * 5000)[0] == 413
    assert ask(app, PASSWORD, method="POST", body=b"\xff\xfe")[0] == 400
    assert ask(app, PASSWORD, "10.0.0.9", method="POST", body=b"abc")[0] == 404
    assert kept == {}
    assert ask(app, PASSWORD, method="POST", body=b"abc") == (200, b"")
    assert ask(app, PASSWORD, method="POST", body=b"def")[0] == 409
    assert ask(app, PASSWORD) == (200, b"abc")
