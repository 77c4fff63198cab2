"""Consoles: who may open one, from where, for how long, and what is said when it fails."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from novalite import clock
from novalite.api.kit.handoff import SLOT, HandoffSlot
from novalite.cloud.compute import consoles
from novalite.context import internal
from tests.api.conftest import Appliance, wait_for
from tests.api.ui.conftest import Browser

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "binary",
}


@pytest.fixture(scope="module")
def server_id(browser: Browser) -> str:
    return browser.launch("screen")


@pytest.fixture
def token(appliance: Appliance, server_id: str) -> str:
    return new_token(appliance, server_id)


def new_token(appliance: Appliance, server_id: str) -> str:
    url = console_url(appliance, server_id)
    return parse_qs(parse_qs(urlsplit(url).query)["path"][0].partition("?")[2])["token"][0]


def console_url(appliance: Appliance, server_id: str) -> str:
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    answer = appliance.post(f"/compute/v2.1/servers/{server_id}/remote-consoles", body, version="2.6")
    assert answer.status_code == 200, answer.text
    return str(answer.json["remote_console"]["url"])


def connect(appliance: Appliance, query: str, **headers: str) -> tuple[Any, HandoffSlot]:
    slot = HandoffSlot()
    sent = UPGRADE | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = appliance.client.get(
        f"/console/websocket?{query}", headers=sent, environ_overrides={SLOT: slot}, base_url="http://here:8774"
    )
    return answer, slot


def test_the_address_the_api_gives_opens_a_page_for_that_server(appliance: Appliance, server_id: str) -> None:
    url = urlsplit(console_url(appliance, server_id))
    assert url.path == "/console/vnc_auto.html"
    answer = appliance.client.get(f"{url.path}?{url.query}")
    assert answer.status_code == 200
    assert "Screen of screen" in answer.text
    assert 'data-ready="yes"' in answer.text


def test_a_page_with_a_worthless_token_says_so_and_connects_nowhere(appliance: Appliance) -> None:
    answer = appliance.client.get("/console/vnc_auto.html?path=%3Ftoken%3Dnonsense")
    assert answer.status_code == 403
    assert "has expired or was withdrawn" in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("cloud.example:8774", "'self' ws://cloud.example:8774 wss://cloud.example:8774"), ("a;b", "'self'")],
)
def test_a_page_may_reach_this_site_and_no_other(appliance: Appliance, token: str, host: str, allowed: str) -> None:
    answer = appliance.client.get(f"/console/vnc_auto.html?token={token}", headers={"Host": host})
    policy = answer.headers["Content-Security-Policy"]
    assert policy.split("connect-src ")[1].split(";")[0] == allowed
    serial = appliance.client.get(f"/console/serial.html?token={token}").headers["Content-Security-Policy"]
    assert "script-src 'self';" in serial


@pytest.mark.parametrize("form", ["token={}", "path=%3Ftoken%3D{}", "path=console%2Fwebsocket%3Ftoken%3D{}"])
def test_the_token_may_stand_in_the_query_or_in_path(appliance: Appliance, token: str, form: str) -> None:
    answer, slot = connect(appliance, form.format(token))
    assert (answer.status_code, slot.callback is not None) == (101, True)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://here:8774", 101), ("null", 403), ("http://evil.example", 403), ("http://here:8775", 403),
        ("https://here:8774", 403), ("http://here", 403), ("http://here:8774.evil.example", 403),
    ],
)  # fmt: skip
def test_only_this_site_may_open_a_console_from_a_browser(
    appliance: Appliance, token: str, origin: str, status: int
) -> None:
    answer, slot = connect(appliance, f"token={token}", Origin=origin)
    assert (answer.status_code, slot.callback is not None) == (status, status == 101)


def test_a_program_without_origin_needs_the_token_all_the_same(appliance: Appliance, token: str) -> None:
    assert connect(appliance, f"token={token}")[0].status_code == 101
    assert connect(appliance, "token=")[0].status_code == 403
    assert connect(appliance, "token=nonsense")[0].status_code == 403
    refused = connect(appliance, "")[0]
    assert (refused.status_code, refused.data) == (403, b""), "words would be taken for frames"


def test_a_session_of_the_ui_opens_no_console_without_a_token(browser: Browser) -> None:
    assert browser.client.get("/console/websocket", headers=UPGRADE).status_code == 403


def test_what_is_not_a_websocket_is_told_to_become_one(appliance: Appliance, token: str) -> None:
    answer = appliance.client.get(f"/console/websocket?token={token}")
    assert (answer.status_code, answer.headers["Upgrade"]) == (426, "websocket")
    assert connect(appliance, f"token={token}", Sec_WebSocket_Version="1")[0].status_code == 426


def test_a_token_ends_with_its_time(appliance: Appliance, token: str) -> None:
    later = clock.now() + timedelta(seconds=601)
    clock.set_source(lambda: later)
    try:
        assert connect(appliance, f"token={token}")[0].status_code == 403
    finally:
        clock.set_source(None)


def test_a_token_is_stored_as_a_hash_only(appliance: Appliance, token: str) -> None:
    path = appliance.built.settings.state_path
    assert all(token.encode() not in file.read_bytes() for file in path.glob("novalite.db*"))


def test_a_token_is_never_logged(appliance: Appliance, token: str, capfd: pytest.CaptureFixture[str]) -> None:
    appliance.client.get(f"/console/vnc_auto.html?path=%3Ftoken%3D{token}")
    appliance.client.get(f"/console/check?token={token}")
    open_console(appliance, token).close()
    connect(appliance, f"token={token}", Origin="http://evil.example")
    wait_for(lambda: appliance.engine.proxy.open_consoles == 0)
    told = "".join(capfd.readouterr())
    assert "/console/websocket" in told
    assert token not in told


def test_revocation_ends_tokens_and_open_consoles(appliance: Appliance, browser: Browser) -> None:
    server_id = browser.launch("withdrawn")
    token = new_token(appliance, server_id)
    mine = open_console(appliance, token)
    with appliance.built.database.write(internal()) as w:
        assert consoles.revoke_server(w, server_id) == 1
    got = b""
    while piece := mine.recv(4096):
        got += piece
    assert b"\x88" in got, "a close frame"
    mine.close()
    assert connect(appliance, f"token={token}")[0].status_code == 403


def test_the_end_of_a_server_is_the_end_of_its_consoles(appliance: Appliance, browser: Browser) -> None:
    server_id = browser.launch("short-lived")
    token = new_token(appliance, server_id)
    mine = open_console(appliance, token)
    browser.send(f"/servers/{server_id}/delete")
    while mine.recv(4096):
        pass
    mine.close()
    wait_for(lambda: connect(appliance, f"token={token}")[0].status_code == 403)


def open_console(appliance: Appliance, token: str) -> socket.socket:
    """Through the real proxy to the fake host's console."""
    answer, slot = connect(appliance, f"token={token}")
    assert answer.status_code == 101
    assert slot.callback is not None
    mine, theirs = socket.socketpair()
    mine.settimeout(60)
    slot.callback(theirs, b"")
    got = b""
    while b"RFB 003.008\n" not in got:
        piece = mine.recv(4096)
        assert piece, got
        got += piece
    assert got.startswith(b"HTTP/1.1 101 ")
    return mine


def test_bytes_of_the_guest_arrive_in_frames(appliance: Appliance, token: str) -> None:
    open_console(appliance, token).close()
    wait_for(lambda: appliance.engine.proxy.open_consoles == 0)


def test_the_failing_hop_is_named(appliance: Appliance, browser: Browser) -> None:
    def asked(token: str) -> str:
        return str(appliance.client.get(f"/console/check?token={token}").json["hop"])

    server_id = browser.launch("hops")
    token = new_token(appliance, server_id)
    assert asked("nonsense") == "token"
    assert asked(token) == ""
    appliance.driver.set_unreachable(True)
    try:
        assert asked(token) == "guest"
    finally:
        appliance.driver.set_unreachable(False)
    browser.send(f"/servers/{server_id}/action", action="stop")
    wait_for(lambda: "SHUTOFF" in browser.get(f"/servers/{server_id}").text)
    assert asked(token) == "token", "stopping a server withdraws its tokens"
    assert asked(new_token(appliance, server_id)) == "guest"


def test_expired_tokens_are_forgotten(appliance: Appliance, token: str) -> None:
    later = clock.now() + timedelta(seconds=601)
    clock.set_source(lambda: later)
    try:
        with appliance.built.database.write(internal()) as w:
            assert consoles.prune(w) >= 1
            assert consoles.prune(w) == 0
    finally:
        clock.set_source(None)


@pytest.mark.parametrize(
    ("public_url", "type", "url"),
    [
        ("http://h:8774", "novnc", "http://h:8774/console/vnc_auto.html?path=console%2Fwebsocket%3Ftoken%3Dt"),
        ("https://h/", "novnc", "https://h/console/vnc_auto.html?path=console%2Fwebsocket%3Ftoken%3Dt"),
        ("http://h:8774", "serial", "ws://h:8774/console/websocket?token=t"),
        ("https://h", "serial", "wss://h/console/websocket?token=t"),
    ],
)
def test_addresses_are_those_that_clients_of_nova_expect(public_url: str, type: str, url: str) -> None:
    assert consoles.url(public_url, "t", type) == url
