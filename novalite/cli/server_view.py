"""How servers look in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from novalite.errors import NotFound

if TYPE_CHECKING:
    from novalite.cli.output import Column
    from novalite.cli.session import Session

_POWER = {0: "unknown", 1: "running", 3: "paused", 4: "off", 6: "crashed", 7: "suspended"}


def addresses(server: Mapping[str, Any]) -> list[str]:
    return [str(entry["addr"]) for entries in server.get("addresses", {}).values() for entry in entries]


def _state(server: Mapping[str, Any]) -> str:
    task = server.get("OS-EXT-STS:task_state")
    return f"{server['status']} ({task})" if task else str(server["status"])


COLUMNS: list[Column] = [
    ("ID", lambda each: each["id"]),
    ("Name", lambda each: each["name"]),
    ("Status", _state),
    ("Addresses", addresses),
    ("Flavor", lambda each: each["flavor"].get("original_name")),
]


class ImageNames:
    """Looks up images once, and only when a table asks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def _names(self) -> dict[str, str]:
        images = self._session.client.collection("image", "/images", "images", limit=1000)
        return {each["id"]: each["name"] for each in images}

    def of(self, server: Mapping[str, Any]) -> str:
        image = server.get("image") or {}
        return self._names.get(image["id"], image["id"]) if image else "-"

    def admin_user(self, server: Mapping[str, Any]) -> str:
        """Whom the image says to log in as; empty when it does not say."""
        image = server.get("image") or {}
        if not image:
            return ""
        try:
            return str(self._session.client.get("image", f"/images/{image['id']}").get("os_admin_user") or "")
        except NotFound:
            return ""


def facts(server: Mapping[str, Any], images: ImageNames) -> Iterator[tuple[str, Any]]:
    """What ``server show`` prints, in order."""
    flavor = server["flavor"]
    yield "id", server["id"]
    yield "name", server["name"]
    yield "status", _state(server)
    yield "power", _POWER.get(server.get("OS-EXT-STS:power_state", 0))
    if server.get("fault"):
        yield "fault", server["fault"]["message"]
    yield "addresses", {name: [entry["addr"] for entry in entries] for name, entries in server["addresses"].items()}
    yield "flavor", f"{flavor['original_name']} ({flavor['vcpus']} vCPU, {flavor['ram']} MiB, {flavor['disk']} GiB)"
    yield "image", images.of(server)
    yield "key", server.get("key_name")
    if server.get("OS-EXT-SRV-ATTR:host"):
        yield "host", server["OS-EXT-SRV-ATTR:host"]
    yield "zone", server.get("OS-EXT-AZ:availability_zone")
    yield "properties", server["metadata"]
    yield "created", server["created"]
    yield "launched", server.get("OS-SRV-USG:launched_at")
    yield "project", server["tenant_id"]
