"""What a guest asks at 169.254.169.254. The network (known from the socket) and the caller's address alone say
who asks: no header is looked at, so none can be forged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from novalite import logs
from novalite.api.metadata.files import Directory, File, Missing, Node, find
from novalite.cloud.compute import guest_data
from novalite.cloud.compute.guest_data import GuestFacts
from novalite.cloud.network import callers
from novalite.context import internal
from novalite.db.work import Database, Work
from novalite.errors import NovaLiteError

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
LONGEST_PASSWORD = 4096
_log = logs.get("metadata")
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
            413: "Content Too Large", 503: "Service Unavailable"}  # fmt: skip


@dataclass(frozen=True)
class Guests:
    """The records behind the service. ``facts(w, server_id)`` gives None when the server is gone; ``password`` is
    what its guest has posted, ``keep_password(w, server_id, text)`` keeps it: False when one was kept before."""

    facts: Callable[[Work, str], GuestFacts | None]
    password: Callable[[Work, str], str]
    keep_password: Callable[[Work, str, str], bool]


class _Answer(Exception):
    """A status other than 200, with a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def metadata_app(database: Database, network_id: str, guests: Guests) -> Wsgi:
    """The service of one network as a WSGI application."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            status, content = 200, _serve(database, network_id, guests, environ)
        except _Answer as answer:
            status, content = answer.status, f"{answer}\n".encode()
        except NovaLiteError as error:
            _log.warning("metadata request failed", network_id=network_id, error=str(error))
            status, content = 503, b"The metadata are not available at the moment.\n"
        is_json = status == 200 and str(environ.get("PATH_INFO", "")).endswith(".json")
        kind = "application/json" if is_json else "text/plain; charset=utf-8"
        start_response(f"{status} {_REASONS[status]}", [("Content-Type", kind), ("Content-Length", str(len(content)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    return app


def _serve(database: Database, network_id: str, guests: Guests, environ: dict[str, Any]) -> bytes:
    method, address = environ["REQUEST_METHOD"], str(environ.get("REMOTE_ADDR", ""))
    parts = [part for part in str(environ.get("PATH_INFO", "")).split("/") if part]
    is_password = len(parts) == 3 and parts[0] == "openstack" and parts[2] == "password"
    if method not in ("GET", "HEAD") and not (method == "POST" and is_password):
        raise _Answer(405, "The method is not allowed.")
    if is_password and guest_data.known_version(parts[1]):
        return _password(database, network_id, guests, address, environ if method == "POST" else None)
    with database.read(internal()) as w:
        facts = guests.facts(w, _device(w, network_id, address))
    if facts is None:
        raise _Answer(404, "No server has this address.")
    try:
        return find(tree(guest_data.guest_data(facts)), parts)
    except Missing:
        raise _Answer(404, "There is no such item.") from None


def _device(w: Work, network_id: str, address: str) -> str:
    device_id = callers.device_at(w, network_id, address)
    if not device_id:
        raise _Answer(404, "No server has this address.")
    return device_id


def _password(
    database: Database, network_id: str, guests: Guests, address: str, posted: dict[str, Any] | None
) -> bytes:
    if posted is None:
        with database.read(internal()) as w:
            return guests.password(w, _device(w, network_id, address)).encode()
    text = _posted_text(posted)
    with database.write(internal()) as w:
        if not guests.keep_password(w, _device(w, network_id, address), text):
            raise _Answer(409, "A password has been kept already.")
    return b""


def _posted_text(environ: dict[str, Any]) -> str:
    data = environ["wsgi.input"].read(LONGEST_PASSWORD + 1)
    if len(data) > LONGEST_PASSWORD:
        raise _Answer(413, "The password is too long.")
    try:
        return str(data.decode("ascii"))
    except UnicodeDecodeError:
        raise _Answer(400, "The password must be encrypted and in base64.") from None


def tree(data: guest_data.GuestData) -> Directory:
    """All a guest may read. What a version holds is made when it is entered."""
    ec2: dict[str, Node] = dict.fromkeys((*guest_data.EC2_VERSIONS, guest_data.LATEST), partial(_ec2, data))
    openstack: dict[str, Node] = {
        version: partial(_openstack, data, version) for version in (*guest_data.OPENSTACK_VERSIONS, guest_data.LATEST)
    }
    versions = Directory(openstack, slashes=False)
    return Directory({**ec2, "openstack": versions}, hidden=("openstack",), slashes=False)


def _ec2(data: guest_data.GuestData) -> Directory:
    entries: dict[str, Node] = {"meta-data": _directory(guest_data.ec2_tree(data))}
    if data.facts.user_data:
        entries["user-data"] = File(data.facts.user_data)
    return Directory(entries)


def _directory(entries: guest_data.Tree) -> Directory:
    nodes: dict[str, Node] = {
        name: File(value.encode()) if isinstance(value, str) else _directory(value) for name, value in entries.items()
    }
    if "public-keys" in entries and isinstance(entries["public-keys"], dict):
        nodes["public-keys"] = _keys(entries["public-keys"])
    return Directory(nodes)


def _keys(entries: guest_data.Tree) -> Directory:
    """Listed as ``0=NAME``, entered as ``0``."""
    nodes = {name.partition("=")[0]: _directory(key) for name, key in entries.items() if isinstance(key, dict)}
    return Directory(nodes, listing="\n".join(entries))


def _openstack(data: guest_data.GuestData, version: str) -> Directory:
    entries: dict[str, Node] = {
        name: File(guest_data.openstack_file(data, version, name) or b"")
        for name in guest_data.openstack_names(data, version)
    }
    return Directory({**entries, "password": File(b"")})
