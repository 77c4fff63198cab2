"""A compute host on another machine, reached through ``novalite agent``: the same port over HTTP."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from novalite.drivers.compute import wire
from novalite.drivers.compute.base import ConsoleKind, EventBatch, FullDriver, ImageSource, ImageSpec
from novalite.errors import DriverError, HostUnreachable, Invalid

_CONNECT_SECONDS = 5.0
_QUICK_SECONDS = 30.0
_SECONDS = {
    "ensure_guest": 300.0,
    "delete_guest": 120.0,
    "set_power": 300.0,
    "ensure_image": 3600.0,
    "take_snapshot": 7200.0,
    "take_snapshots": 7200.0,
    "read_snapshot": 120.0,
    "drop_snapshot": 120.0,
    "attach_nic": 60.0,
    "detach_nic": 90.0,
    "attach_disk": 120.0,
    "detach_disk": 90.0,
    "resize_disk": 120.0,
    "replace_disk": 120.0,
    "swap_disk": 18100.0,
    "end_swap": 60.0,
    "keep_disks": 7200.0,
    "restore_disks": 120.0,
    "drop_kept_disks": 120.0,
    "read_disk": 120.0,
    "write_disk": 120.0,
    "adopt_disk": 180.0,
    "set_password": 60.0,
    "foreign_guest": 180.0,
    "take_guest": 60.0,
    "give_guest_back": 60.0,
}
"""How long the methods may take; all others are quick."""
BYTES_WANTED = "image.bytes_wanted"
_HEAD_BYTES = 16384

D = TypeVar("D", bound=type)


def connect(url: str, secret: str) -> FullDriver:
    """The driver served at ``url`` (``http://HOST:PORT``). Nothing is asked of it yet. It has every method;
    the host's report says which of the optional ones are of use."""
    return RemoteDriver(url, secret)  # type: ignore[abstract]  # the rest is forwarded below


def _forwarding(driver: D) -> D:
    """Give the class every method of the port that it does not have itself."""
    for name, method in wire.METHODS.items():
        if name not in vars(driver):
            setattr(driver, name, _forwarder(method))
    return driver


def _forwarder(method: wire.Method) -> Callable[..., Any]:
    def forward(self: RemoteDriver, *values: Any, **named: Any) -> Any:
        return self.call(method, _SECONDS.get(method.name, _QUICK_SECONDS), *values, **named)

    forward.__name__ = method.name
    return forward


@_forwarding
class RemoteDriver(FullDriver):
    """Implements ``FullDriver``; make one with ``connect``. Errors of the other side come out as
    themselves; an agent that does not answer is ``HostUnreachable``."""

    def __init__(self, url: str, secret: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise Invalid(f"The agent's address {url!r} is not like http://HOST:PORT.", field="compute.agents")
        self._url = url.rstrip("/")
        self._address = (parts.hostname, parts.port or 80)
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._client = httpx.Client(
            base_url=self._url,
            headers=self._headers,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=15),
        )

    def call(self, method: wire.Method, seconds: float, *values: Any, **named: Any) -> Any:
        """Ask one plain method and wait at most ``seconds`` for the answer."""
        body = method.encode_call(values, named)
        answer = self._ask(method.name, "POST", wire.CALLS + method.name, seconds, content=body)
        return method.decode_result(answer)

    def events(self, position: str, timeout_seconds: float) -> EventBatch:
        seconds = timeout_seconds + _QUICK_SECONDS
        batch: EventBatch = self.call(wire.METHODS["events"], seconds, position, timeout_seconds)
        return batch

    def ensure_image(self, image: ImageSpec, source: ImageSource) -> None:
        path = wire.IMAGES + quote(image.id, safe="")
        facts = urlencode({"format": image.format, "size": image.size, "sha512": image.sha512})
        seconds = _SECONDS["ensure_image"]
        try:
            self._ask("ensure_image", "POST", f"{path}?{facts}", seconds)
        except DriverError as error:
            if error.code != BYTES_WANTED:
                raise
            self._ask(
                "ensure_image",
                "PUT",
                f"{path}?{facts}",
                seconds,
                content=_exactly(image, source),
                headers={"Content-Length": str(image.size)},
            )

    def console(self, guest_id: str, kind: ConsoleKind) -> socket.socket:
        path = f"{wire.CONSOLES}{quote(guest_id, safe='')}/{kind}"
        try:
            end = socket.create_connection(self._address, _CONNECT_SECONDS)
        except OSError as error:
            raise self._unreachable(error) from error
        try:
            self._upgrade(end, path)
            end.settimeout(None)
        except OSError as error:
            end.close()
            raise self._unreachable(error) from error
        except BaseException:
            end.close()
            raise
        return end

    def _upgrade(self, end: socket.socket, path: str) -> None:
        end.settimeout(_QUICK_SECONDS)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {self._address[0]}",
            "Connection: Upgrade",
            f"Upgrade: {wire.CONSOLE_PROTOCOL}",
            f"Authorization: {self._headers['Authorization']}",
        ]
        end.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        status, headers, rest = _read_head(end)
        if status != http.client.SWITCHING_PROTOCOLS:
            length = min(int(headers.get("Content-Length", 0)), wire.BODY_BYTES)
            while len(rest) < length and (more := end.recv(length - len(rest))):
                rest += more
            raise wire.decode_error("console", rest)

    def close(self) -> None:
        self._client.close()

    def _ask(self, op: str, verb: str, path: str, seconds: float, **more: Any) -> bytes:
        try:
            answer = self._client.request(verb, path, timeout=httpx.Timeout(seconds, connect=_CONNECT_SECONDS), **more)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except RuntimeError as error:  # the client was closed meanwhile
            raise self._unreachable(error) from error
        if answer.is_success:
            return answer.content
        raise wire.decode_error(op, answer.content)

    def _unreachable(self, error: Exception) -> HostUnreachable:
        why = str(error) or type(error).__name__
        return HostUnreachable(
            f"The agent at {self._url} does not answer: {why}", hint="Is 'novalite agent' running there?"
        )


def _exactly(image: ImageSpec, source: ImageSource) -> Iterator[bytes]:
    """The image's bytes. A source of another length is corrupt, and HTTP could not carry it."""
    left = image.size
    for chunk in source.chunks():
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise DriverError("ensure_image", f"image {image.id} does not have {image.size} bytes", code="image.corrupt")


def _read_head(end: socket.socket) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers, and nothing of what follows: bytes after the head belong to the console."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = end.recv(1)
        if not byte or len(head) > _HEAD_BYTES:
            raise ConnectionError("the agent hung up")
        head += byte
    first, _, rest = head.partition(b"\r\n")
    parts = first.split(b" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    return status, http.client.parse_headers(io.BytesIO(rest)), b""
