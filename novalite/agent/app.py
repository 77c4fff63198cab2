"""What the agent answers: any ``ComputeDriver``, served by walking the port. Knows nothing of sockets."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from novalite import logs
from novalite.drivers.compute import wire
from novalite.drivers.compute.base import ComputeDriver, ConsoleKind, ImageSpec
from novalite.drivers.compute.remote import BYTES_WANTED
from novalite.errors import DriverError, NotFound, NovaLiteError, TooLarge, Unauthenticated

_log = logs.get("agent")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Request:
    """``read(n)`` gives up to ``n`` bytes of the body, which has ``length`` bytes in all."""

    method: str
    target: str
    authorization: str
    upgrade: str
    length: int
    read: Callable[[int], bytes]


@dataclass(frozen=True)
class Answer:
    """With ``console`` the connection becomes that socket's."""

    status: HTTPStatus
    body: bytes = b""
    console: socket.socket | None = None


class CallerGone(Exception):
    """The caller hung up in the middle of a request; there is nobody to answer."""


class Agent:
    """Answers requests for ``driver`` from those who know ``secret``."""

    def __init__(self, driver: ComputeDriver, secret: str) -> None:
        self._driver = driver
        self._expected = f"Bearer {secret}".encode()

    def answer(self, request: Request) -> Answer:
        """An unforeseen failure is logged and told as a ``DriverError``. Raises only ``CallerGone``."""
        try:
            self._admit(request)
            return self._route(request)
        except NovaLiteError as error:
            return Answer(_status(error), wire.encode_error(error))
        except CallerGone:
            raise
        except Exception as error:  # noqa: BLE001 - nothing stands above that could tell the caller
            _log.exception("call_failed", target=request.target)
            told = DriverError(urlsplit(request.target).path.rpartition("/")[2], f"the agent failed: {error!r}")
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, wire.encode_error(told))

    def _admit(self, request: Request) -> None:
        given = request.authorization.encode("latin-1", "replace")
        if not hmac.compare_digest(given, self._expected):
            raise Unauthenticated("The agent's secret is missing or wrong.")

    def _route(self, request: Request) -> Answer:
        path = urlsplit(request.target).path
        if request.method == "POST" and path.startswith(wire.CALLS):
            return self._call(path.removeprefix(wire.CALLS), request)
        if request.method in ("POST", "PUT") and path.startswith(wire.IMAGES):
            return self._image(unquote(path.removeprefix(wire.IMAGES)), request)
        if request.method == "GET" and path.startswith(wire.CONSOLES) and request.upgrade == wire.CONSOLE_PROTOCOL:
            return self._console(path.removeprefix(wire.CONSOLES))
        raise NotFound("resource", path)

    def _call(self, name: str, request: Request) -> Answer:
        method = wire.METHODS.get(name)
        if method is None:
            raise DriverError(
                name,
                "this agent does not know the method",
                code="driver.unsupported",
                hint="Agent and service must have the same version.",
            )
        if request.length > wire.BODY_BYTES:
            raise TooLarge(f"A call may have {wire.BODY_BYTES} bytes.")
        try:
            arguments = method.decode_call(b"".join(_body(request)))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DriverError(
                name,
                f"the call makes no sense: {error}",
                code="driver.bad_call",
                hint="Agent and service must have the same version.",
            ) from error
        result: Any = getattr(self._driver, name)(**arguments)
        return Answer(HTTPStatus.OK, wire.encode(result))

    def _image(self, image_id: str, request: Request) -> Answer:
        facts = dict(parse_qsl(urlsplit(request.target).query))
        try:
            image = ImageSpec(image_id, facts["format"], int(facts["size"]), facts["sha512"])
        except (KeyError, ValueError) as error:
            raise DriverError("ensure_image", f"the call makes no sense: {error}", code="driver.bad_call") from error
        if request.method == "PUT" and request.length != image.size:
            raise DriverError("ensure_image", "the body has another size than the image", code="driver.bad_call")
        source = _Arriving(request) if request.method == "PUT" else _NotHere()
        self._driver.ensure_image(image, source)
        return Answer(HTTPStatus.OK)

    def _console(self, rest: str) -> Answer:
        guest_id, _, kind = rest.rpartition("/")
        if kind not in list(ConsoleKind):
            raise NotFound("console", kind)
        return Answer(
            HTTPStatus.SWITCHING_PROTOCOLS, console=self._driver.console(unquote(guest_id), ConsoleKind(kind))
        )


class _NotHere:
    """Asks whether the image is there already: a driver that wants bytes finds out that there are none."""

    path: Path | None = None

    def chunks(self) -> Iterator[bytes]:
        raise DriverError("ensure_image", "the host does not have the image", code=BYTES_WANTED)


@dataclass(frozen=True)
class _Arriving:
    """The image's bytes as they come in."""

    request: Request
    path: Path | None = None

    def chunks(self) -> Iterator[bytes]:
        return _body(self.request)


def _body(request: Request) -> Iterator[bytes]:
    left = request.length
    while left:
        try:
            chunk = request.read(min(left, _CHUNK))
        except OSError as error:
            raise CallerGone(str(error)) from error
        if not chunk:
            raise CallerGone("the caller hung up")
        left -= len(chunk)
        yield chunk


def _status(error: NovaLiteError) -> HTTPStatus:
    if isinstance(error, Unauthenticated):
        return HTTPStatus.UNAUTHORIZED
    if isinstance(error, NotFound):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, TooLarge):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return HTTPStatus.INTERNAL_SERVER_ERROR if isinstance(error, DriverError) else HTTPStatus.SERVICE_UNAVAILABLE
