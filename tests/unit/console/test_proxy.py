"""A console carries bytes both ways, ends when either side or the cloud ends it, and says why."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from websockify.websocket import WebSocket, WebSocketWantReadError

from novalite.engine.console.proxy import ConsoleProxy
from novalite.errors import DriverError
from tests.contracts.waiting import until

HEADERS = {
    "Host": "here",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "binary",
}


@pytest.fixture
def proxy() -> Iterator[ConsoleProxy]:
    proxy = ConsoleProxy(max_open=3)
    yield proxy
    proxy.stop()
    until(lambda: proxy.open_consoles == 0, "no console is open")


class Browser:
    """The client's end of an adopted connection."""

    def __init__(
        self,
        proxy: ConsoleProxy,
        *,
        server_id: str = "one",
        leftover: bytes = b"",
        target: Callable[[], socket.socket] | None = None,
    ) -> None:
        self.sock, theirs = socket.socketpair()
        self.guest, far = socket.socketpair()
        self._far = far
        for sock in (self.sock, self.guest):
            sock.settimeout(60)
        proxy.adopt(theirs, HEADERS, target or (lambda: far), server_id=server_id, leftover=leftover)
        self.answer = b""
        while not self.answer.endswith(b"\r\n\r\n"):
            self.answer += self.sock.recv(1)
        self.web = WebSocket()
        self.web.client, self.web.socket, self.web._state = True, self.sock, "done"

    def read(self) -> bytes | None:
        while True:
            with contextlib.suppress(WebSocketWantReadError):
                return self.web.recv()

    def closed(self) -> tuple[int, str]:
        with contextlib.suppress(BrokenPipeError):  # our answer to the close may come too late
            while self.read() is not None:
                pass
        return self.web.close_code, self.web.close_reason

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self.sock, self.guest, self._far):
            with contextlib.suppress(OSError):
                sock.close()


def frame(payload: bytes, opcode: int = 2, *, masked: bool = True, fin: bool = True) -> bytes:
    first = (0x80 if fin else 0) | opcode
    size = (
        struct.pack(">B", len(payload) | (0x80 if masked else 0))
        if len(payload) < 126
        else struct.pack(">BQ", 127 | (0x80 if masked else 0), len(payload))
    )
    return bytes([first]) + size + (b"\0\0\0\0" if masked else b"") + payload


def test_the_handshake_is_that_of_rfc_6455(proxy: ConsoleProxy) -> None:
    with Browser(proxy) as browser:
        assert browser.answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in browser.answer
        assert b"Sec-WebSocket-Protocol: binary\r\n" in browser.answer


def test_bytes_go_both_ways(proxy: ConsoleProxy) -> None:
    with Browser(proxy) as browser:
        browser.guest.sendall(b"RFB 003.008\n")
        assert browser.read() == b"RFB 003.008\n"
        for text in (b"k", b"key presses", bytes(range(256)) * 3):
            browser.web.send(text)
            got = b""
            while len(got) < len(text):
                got += browser.guest.recv(4096)
            assert got == text


def test_frames_sent_right_behind_the_request_are_not_lost(proxy: ConsoleProxy) -> None:
    with Browser(proxy, leftover=frame(b"early")) as browser:
        assert browser.guest.recv(100) == b"early"


def test_a_slow_browser_slows_the_guest_and_loses_nothing(proxy: ConsoleProxy) -> None:
    picture = bytes(range(256)) * 8192
    with Browser(proxy) as browser:
        sender = threading.Thread(target=browser.guest.sendall, args=(picture,))
        sender.start()
        got = bytearray()
        while len(got) < len(picture):
            piece = browser.read()
            assert piece is not None
            got += piece
        sender.join()
        assert bytes(got) == picture


def test_a_ping_is_answered_while_the_picture_is_flowing(proxy: ConsoleProxy) -> None:
    with Browser(proxy) as browser:
        browser.guest.sendall(b"x" * 100_000)
        browser.sock.sendall(frame(b"are you there", opcode=9))
        answered = threading.Event()
        browser.web.handle_pong = lambda data: answered.set()  # type: ignore[method-assign]
        got = 0
        while got < 100_000:
            got += len(browser.read() or b"")
        if not answered.is_set():
            browser.guest.sendall(b"more")
            browser.read()
        assert answered.is_set()


def test_when_the_guest_ends_the_browser_hears_why(proxy: ConsoleProxy) -> None:
    with Browser(proxy) as browser:
        browser.guest.close()
        code, reason = browser.closed()
        assert (code, "guest closed its console" in reason) == (1000, True)


def test_when_the_browser_leaves_the_guest_end_is_closed(proxy: ConsoleProxy) -> None:
    with Browser(proxy) as browser:
        browser.web.close()
        assert browser.guest.recv(1) == b""
        until(lambda: proxy.open_consoles == 0, "no console is open")


def test_a_guest_that_cannot_be_reached_is_named_as_the_failing_hop(proxy: ConsoleProxy) -> None:
    def unreachable() -> socket.socket:
        raise DriverError("console", "the guest is not running", code="console.unavailable")

    with Browser(proxy, target=unreachable) as browser:
        code, reason = browser.closed()
        assert code == 4502
        assert "the guest is not running" in reason


def test_revocation_ends_the_consoles_of_that_server_only(proxy: ConsoleProxy) -> None:
    with Browser(proxy, server_id="one") as one, Browser(proxy, server_id="two") as two:
        assert proxy.close_server("one") == 1
        assert one.closed()[0] == 4403
        assert one.guest.recv(1) == b""
        two.guest.sendall(b"still here")
        assert two.read() == b"still here"


def test_stop_ends_all_and_takes_no_more(proxy: ConsoleProxy) -> None:
    with Browser(proxy) as browser:
        proxy.stop()
        assert browser.closed()[0] == 1001
        assert proxy.open_consoles == 0
        with pytest.raises(AssertionError), Browser(proxy) as late:
            assert b"101" in late.answer


def test_one_more_than_the_limit_is_told_to_come_back(proxy: ConsoleProxy) -> None:
    with Browser(proxy), Browser(proxy), Browser(proxy), Browser(proxy) as fourth:
        assert fourth.answer.startswith(b"HTTP/1.1 503 ")


def test_a_flood_of_pings_that_nobody_reads_the_answers_of_is_held_back(proxy: ConsoleProxy) -> None:
    with Browser(proxy) as browser:
        pings = frame(b"x" * 125, opcode=9) * 1000
        browser.sock.settimeout(0.3)
        sent = 0
        with contextlib.suppress(TimeoutError):
            for _ in range(100):
                browser.sock.sendall(pings)
                sent += len(pings)
        assert sent < 50 * len(pings), "its sending blocks instead of filling our memory"


@pytest.mark.parametrize(
    ("bytes_sent", "code"),
    [
        (frame(b"text", opcode=1), 1003),
        (frame(b"not masked", masked=False), 1002),
        (frame(b"x" * 2_000_000), 1009),
        (frame(b"x" * 900_000, fin=False) + frame(b"x" * 900_000, opcode=0, fin=False), 1009),
    ],
    ids=["text frame", "unmasked", "too large", "too large in parts"],
)
def test_a_broken_protocol_ends_the_console(proxy: ConsoleProxy, bytes_sent: bytes, code: int) -> None:
    with Browser(proxy) as browser:
        swallow = threading.Thread(target=_drain, args=(browser.guest,), daemon=True)
        swallow.start()
        with contextlib.suppress(OSError):
            browser.sock.sendall(bytes_sent)
        assert browser.closed()[0] == code


def _drain(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(65536):
            pass


def test_a_silent_browser_is_pinged_and_then_let_go() -> None:
    proxy = ConsoleProxy(ping_seconds=0.05, silence_seconds=1)
    with Browser(proxy) as browser:
        got = b""
        with contextlib.suppress(OSError):
            while piece := browser.sock.recv(4096):
                got += piece
        assert b"\x89\x00" in got, "a ping"
        assert b"has not answered" in got
    until(lambda: proxy.open_consoles == 0, "no console is open")


def test_threads_are_named_after_their_server(proxy: ConsoleProxy) -> None:
    with Browser(proxy, server_id="5f1c0de5-0000"):
        assert "console-5f1c0de5" in {thread.name for thread in threading.enumerate()}
