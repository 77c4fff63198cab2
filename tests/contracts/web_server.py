"""A web server on loopback that serves what it is told to, redirects, and cuts transfers off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Web:
    """``files`` by path, ``redirects`` by path, ``statuses`` by path; ``cut_after`` bytes a transfer ends (once).
    ``held`` lets a transfer stand still after its first block until it is set. ``asked`` is what came."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    tag: str = '"one"'
    cut_after: int = 0
    held: threading.Event | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def do_GET(self) -> None:
        web = self.web
        web.asked.append((self.path, dict(self.headers)))
        if self.path in web.redirects:
            self._answer(302, b"", Location=web.redirects[self.path])
        elif self.path in web.statuses:
            self._answer(web.statuses[self.path], b"")
        elif self.path not in web.files:
            self._answer(404, b"no such thing")
        else:
            self._serve(web.files[self.path])

    def _serve(self, data: bytes) -> None:
        begin, tag = 0, self.web.tag
        wanted = self.headers.get("Range", "")
        more = {"ETag": tag} if tag else {}
        if wanted and tag and self.headers.get("If-Range") == tag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            if begin >= len(data):
                self._answer(416, b"")
                return
            more["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self._answer(206 if "Content-Range" in more else 200, data[begin:], **more)

    def _answer(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        for name, value in headers.items():
            assert "\n" not in name + value
        self.end_headers()
        cut, self.web.cut_after = self.web.cut_after, 0
        if cut:
            self.wfile.write(data[:cut])
            self.close_connection = True
            return
        held = self.web.held
        if held is not None and data:
            self.wfile.write(data[:1024])
            self.wfile.flush()
            held.wait(30)
            data = data[1024:]
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients go away in the middle: that is what is tested."""


@contextmanager
def serving() -> Iterator[Web]:
    web = Web()
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": web})) as server:
        web.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join(5)
