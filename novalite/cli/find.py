"""Objects by name or id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from novalite.cli.client import Client
from novalite.errors import Conflict, Invalid, NotFound

_PLAIN_NAME = re.compile(r"[\w-]+", re.ASCII)


def server(client: Client, reference: str) -> dict[str, Any]:
    if _is_uuid(reference):
        found = _by_id(client, "compute", f"/servers/{reference}", "server")
        if found is not None:
            return found
    # Nova takes ``name`` for a pattern: a name with marks in it is compared here alone.
    narrowed = {"name": reference} if _PLAIN_NAME.fullmatch(reference) else {}
    everyone = client.collection("compute", "/servers/detail", "servers", **narrowed)
    return _only("server", reference, (each for each in everyone if each["name"] == reference))


def image(client: Client, reference: str) -> dict[str, Any]:
    if _is_uuid(reference):
        found = _by_id(client, "image", f"/images/{reference}", "")
        if found is not None:
            return found
    return _only("image", reference, client.collection("image", "/images", "images", name=reference))


def flavor(client: Client, reference: str) -> dict[str, Any]:
    everyone = client.collection("compute", "/flavors/detail", "flavors", is_public="None")
    return _only("flavor", reference, (each for each in everyone if reference in (each["id"], each["name"])))


def network(client: Client, reference: str) -> dict[str, Any]:
    key = "id" if _is_uuid(reference) else "name"
    return _only("network", reference, client.collection("network", "/networks", "networks", **{key: reference}))


def volume(client: Client, reference: str) -> dict[str, Any]:
    return _stored(client, "volume", reference)


def snapshot(client: Client, reference: str) -> dict[str, Any]:
    return _stored(client, "snapshot", reference)


def _stored(client: Client, kind: str, reference: str) -> dict[str, Any]:
    if _is_uuid(reference):
        found = _by_id(client, "block-storage", f"/{kind}s/{reference}", kind)
        if found is not None:
            return found
    several = client.collection("block-storage", f"/{kind}s/detail", f"{kind}s", name=reference)
    return _only(kind, reference, several, shown_by="volume snapshots" if kind == "snapshot" else "")


def only_server_of(volume: Mapping[str, Any]) -> str:
    """The id of the server that has the volume."""
    attached = [str(each["server_id"]) for each in volume["attachments"]]
    name = volume["name"] or volume["id"]
    if not attached:
        raise Conflict(f"Volume {name} is not attached.", code="volume.state")
    if len(attached) > 1:
        raise Conflict(f"{len(attached)} servers have volume {name}.", code="server.ambiguous",
                       hint=f"Say which: {', '.join(attached)}.")  # fmt: skip
    return attached[0]


def project(client: Client, reference: str) -> str:
    """The id of a project."""
    found = client.get("identity", "/projects", name=reference)["projects"]
    if not found and _is_uuid(reference):
        there = _by_id(client, "identity", f"/projects/{reference}", "project")
        found = [there] if there else []
    if not found:
        raise NotFound("project", reference, message=f"There is no project {reference}.")
    return str(_only("project", reference, found)["id"])


def networks(client: Client, references: Sequence[str]) -> list[dict[str, str]]:
    """What a new server's ``networks`` shall be; without references the only network there is."""
    if references:
        return [{"uuid": network(client, each)["id"]} for each in references]
    known = [each for each in client.collection("network", "/networks", "networks") if not each.get("router:external")]
    if not known:
        raise NotFound(
            "network",
            "",
            message="There is no network to put the server on.",
            hint="'novalite network list' shows them all.",
        )
    if len(known) > 1:
        raise Invalid(
            "There are several networks; say which.",
            field="network",
            code="network.ambiguous",
            hint=f"--network {' or '.join(sorted(each['name'] or each['id'] for each in known))}",
        )
    return [{"uuid": known[0]["id"]}]


def _only(kind: str, reference: str, found: Iterable[Mapping[str, Any]], *, shown_by: str = "") -> dict[str, Any]:
    """``shown_by`` is the command that lists them, if it is not the usual one."""
    several = [dict(each) for each in found]
    if not several:
        raise NotFound(
            kind,
            reference,
            message=f"There is no {kind} {reference}.",
            hint=f"'novalite {shown_by or f'{kind} list'}' shows them all.",
        )
    exact = [each for each in several if each["id"] == reference] or several
    if len(exact) > 1:
        raise Conflict(
            f"{len(exact)} {kind}s are named {reference}.",
            code=f"{kind}.ambiguous",
            hint=f"Say which by id: {', '.join(str(each['id']) for each in exact)}.",
        )
    return exact[0]


def _by_id(client: Client, service: str, path: str, key: str) -> dict[str, Any] | None:
    try:
        answer = client.get(service, path)
    except NotFound:
        return None
    return dict(answer[key] if key else answer)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
