"""Brings a file from the web: from where it may, from the address that was looked at, on from where it was cut off."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from urllib.parse import urljoin

import httpx

from novalite.drivers.storage.web_places import Address, Allowed, Place
from novalite.errors import DependencyDown, Failed, TooLarge

Resolve = Callable[[str, int], list[str]]
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)


def resolve_by_system(host: str, port: int) -> list[str]:
    """Every address of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))


class WebSource:
    """``most_bytes`` and ``most_seconds`` bound one file. Constant memory."""

    def __init__(
        self,
        allowed: Allowed,
        *,
        most_bytes: int,
        most_seconds: float = 6 * 3600.0,
        resolve: Resolve = resolve_by_system,
    ) -> None:
        self._allowed, self._most_bytes, self._most_seconds, self._resolve = allowed, most_bytes, most_seconds, resolve

    def fetch(self, uri: str, target: Path, *, watch: Callable[[], None] = lambda: None) -> None:
        """Bring ``uri`` to ``target``. A part that is there is continued if the server can tell that the rest still
        belongs to it. ``watch`` is called now and then and may raise.

        Raises ``Invalid`` for a place that may not be asked, ``TooLarge``, ``Failed`` when the server refuses, and
        ``DependencyDown`` when it may help to repeat it.
        """
        part = target.with_name(target.name + ".part")
        have, validator = _kept(part, uri)
        end = time.monotonic() + self._most_seconds
        with self._asked(uri, have, validator) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                _notes(part).unlink(missing_ok=True)
                raise DependencyDown(f"{uri} has no more than the {have} bytes that came; it is begun anew.",
                                     code="image.fetch")  # fmt: skip
            _require_content(uri, answer)
            have = _continued(answer, have)
            announced = answer.headers.get("Content-Length", "")
            whole = have + int(announced) if announced.isdigit() else None
            if (whole or 0) > self._most_bytes:
                raise self._too_large()
            _note(part, uri, answer)
            with part.open("ab" if have else "wb", buffering=0) as file:
                for block in _blocks(answer):
                    watch()
                    have += len(block)
                    if have > self._most_bytes:
                        raise self._too_large()
                    if time.monotonic() > end:
                        raise Failed(f"{uri} did not arrive within {self._most_seconds:.0f} s.", code="image.fetch")
                    _write(file, block)
                os.fsync(file.fileno())
        if whole is not None and have != whole:
            raise DependencyDown(f"{uri} was cut off after {have} of {whole} bytes.", code="image.fetch")
        part.replace(target)
        _notes(part).unlink(missing_ok=True)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The image is larger than the {self._most_bytes} bytes that images may have.",
                        code="image.too_large")  # fmt: skip

    @contextmanager
    def _asked(self, uri: str, have: int, validator: str) -> Iterator[httpx.Response]:
        """The answer at the end of all redirects, each of which is looked at like the first address."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "novalite"}
        if have and validator:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        here = uri
        for _ in range(_MOST_REDIRECTS + 1):
            place = self._allowed.place(here)
            with self._connected(place, headers) as answer:
                if answer.status_code not in _REDIRECTS:
                    yield answer
                    return
                here = urljoin(here, answer.headers.get("Location", ""))
        raise Failed(f"{uri} leads to more than {_MOST_REDIRECTS} other addresses.", code="image.fetch")

    @contextmanager
    def _connected(self, place: Place, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The request goes to an address that was resolved once and looked at: another answer of the name server
        cannot lead elsewhere."""
        addresses = self._addresses(place)
        with httpx.Client(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as http:
            answer = _send(http, place, addresses, headers)
            try:
                yield answer
            finally:
                answer.close()

    def _addresses(self, place: Place) -> list[Address]:
        try:
            found = [ipaddress.ip_address(text) for text in self._resolve(place.host, place.port)]
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise DependencyDown(f"The name {place.host} cannot be looked up now.", code="image.fetch") from error
            raise Failed(f"The host {place.host} is not known.", code="image.fetch") from error
        except (OSError, UnicodeError) as error:
            raise Failed(f"The host {place.host} cannot be looked up.", code="image.fetch") from error
        self._allowed.require_addresses(place, found)
        return found


def _send(http: httpx.Client, place: Place, addresses: list[Address], headers: dict[str, str]) -> httpx.Response:
    problem = f"{place.host} has no address"
    for address in addresses:
        name = f"[{address}]" if address.version == 6 else str(address)
        request = http.build_request(
            "GET", f"{place.scheme}://{name}:{place.port}{place.target}",
            headers={"Host": place.authority, **headers}, extensions={"sni_hostname": place.host},
        )  # fmt: skip
        try:
            return http.send(request, stream=True)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            problem = f"{place.authority} cannot be asked: {error or type(error).__name__}"
    raise DependencyDown(f"{problem}.", code="image.fetch")


def _require_content(uri: str, answer: httpx.Response) -> None:
    if answer.status_code in (200, 206):
        return
    problem = f"{uri} was answered {answer.status_code}."
    if answer.status_code >= 500 or answer.status_code == 429:
        raise DependencyDown(problem, code="image.fetch")
    raise Failed(problem, code="image.fetch")


def _continued(answer: httpx.Response, have: int) -> int:
    """At which byte the answer goes on."""
    if answer.status_code == 200:
        return 0
    if answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return have
    raise Failed("The server sent another part than it was asked for.", code="image.fetch")


def _blocks(answer: httpx.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_raw()
    except httpx.TransportError as error:
        raise DependencyDown(
            f"The transfer was cut off: {error or type(error).__name__}.", code="image.fetch"
        ) from error


def _write(file: FileIO, block: bytes) -> None:
    """At once, so that a kill loses nothing, and all of it: a disk that fills up takes only a part."""
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _note(part: Path, uri: str, answer: httpx.Response) -> None:
    """Keep, before any byte, by what the server would know the file again."""
    tag = answer.headers.get("ETag", "")
    validator = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
    _notes(part).write_text(json.dumps({"uri": uri, "validator": validator}))


def _kept(part: Path, uri: str) -> tuple[int, str]:
    """How many bytes are there already, and by what the server knows them; 0 when it could not tell."""
    try:
        notes = json.loads(_notes(part).read_text())
        size = part.stat().st_size
    except (OSError, ValueError):
        return 0, ""
    return (size, notes["validator"]) if notes["uri"] == uri and notes["validator"] else (0, "")
