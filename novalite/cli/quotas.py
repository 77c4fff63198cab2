"""A project's quotas of all services, each asked for at the API that has it; those of images are Identity's limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from novalite.cli.client import Client
from novalite.errors import Invalid


@dataclass(frozen=True)
class _Sets:
    """Where a service has a project's quotas, and how it tells what is used of them."""

    path: str
    key: str
    detail: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


_SETS = {
    "compute": _Sets("/os-quota-sets/{}", "quota_set", "/detail"),
    "block-storage": _Sets("/os-quota-sets/{}", "quota_set", query={"usage": "true"}),
    "network": _Sets("/quotas/{}", "quota", "/details"),
}


@dataclass(frozen=True)
class Quota:
    """-1 is no limit; ``in_use`` is None where the service does not tell it of others' projects."""

    service: str
    limit: int
    in_use: int | None

    def told(self) -> dict[str, int]:
        return {"limit": self.limit, **({} if self.in_use is None else {"in_use": self.in_use})}


def numbers(words: Iterable[str]) -> dict[str, int]:
    """``NAME=NUMBER`` each. Raises ``Invalid``."""
    found: dict[str, int] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            number = int(text)
        except ValueError:
            number = -2
        if not name or number < -1 or name in found:
            raise Invalid(f"'{word}' is no quota: say NAME=NUMBER, each name once.", field="wanted",
                          hint="-1 is no limit.")  # fmt: skip
        found[name] = number
    return found


def of_project(client: Client, project_id: str) -> dict[str, Quota]:
    """Every quota by name."""
    offered = {entry["type"] for entry in client.token.get("catalog", ())}
    found: dict[str, Quota] = {}
    for service, sets in _SETS.items():
        if service in offered:
            answer = client.get(service, sets.path.format(project_id) + sets.detail, **sets.query)[sets.key]
            found |= {
                name: Quota(service, each["limit"], each.get("in_use", each.get("used")))
                for name, each in answer.items()
                if isinstance(each, dict)
            }
    if "image" in offered:
        found |= _of_images(client, project_id)
    return found


def _of_images(client: Client, project_id: str) -> dict[str, Quota]:
    if project_id == client.project_id:
        used = client.get("image", "/info/usage")["usage"]
        return {name: Quota("image", each["limit"], each["usage"]) for name, each in used.items()}
    service_id = _image_service(client)
    defaults = client.get("identity", "/registered_limits", service_id=service_id)["registered_limits"]
    found = {each["resource_name"]: each["default_limit"] for each in defaults}
    found |= {name: each["resource_limit"] for name, each in _own_of_images(client, project_id, service_id).items()}
    return {name: Quota("image", limit, None) for name, limit in found.items()}


def _image_service(client: Client) -> str:
    return str(next(entry["id"] for entry in client.token["catalog"] if entry["type"] == "image"))


def _own_of_images(client: Client, project_id: str, service_id: str) -> dict[str, dict[str, Any]]:
    """The limits that the project has as its own."""
    own = client.get("identity", "/limits", service_id=service_id, project_id=project_id)["limits"]
    return {each["resource_name"]: each for each in own}


def change(client: Client, project_id: str, wanted: Mapping[str, int], *, force: bool) -> None:
    """Set these and leave the others. Raises ``Invalid`` for names that no service has, before anything is set."""
    known = of_project(client, project_id)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Invalid(f"There is no quota {', '.join(unknown)}.", field="wanted",
                      hint=f"There are {', '.join(sorted(known))}.")  # fmt: skip
    for service, sets in _SETS.items():
        mine: dict[str, Any] = {name: number for name, number in wanted.items() if known[name].service == service}
        if mine:
            forced = {"force": True} if force and service != "network" else {}
            client.put(service, sets.path.format(project_id), {sets.key: {**mine, **forced}})
    of_images = {name: number for name, number in wanted.items() if known[name].service == "image"}
    if of_images:
        _change_images(client, project_id, of_images)


def _change_images(client: Client, project_id: str, wanted: Mapping[str, int]) -> None:
    service_id = _image_service(client)
    own = _own_of_images(client, project_id, service_id)
    for name in wanted.keys() & own.keys():
        body = {"limit": {"resource_limit": wanted[name]}}
        client.request("PATCH", "identity", f"/limits/{own[name]['id']}", json=body)
    new = [
        {"service_id": service_id, "project_id": project_id, "resource_name": name, "resource_limit": number}
        for name, number in wanted.items()
        if name not in own
    ]
    if new:
        client.post("identity", "/limits", {"limits": new})


def reset(client: Client, project_id: str) -> None:
    """Forget what the project has as its own. Repeatable."""
    offered = {entry["type"] for entry in client.token.get("catalog", ())}
    for service, sets in _SETS.items():
        if service in offered:
            client.delete(service, sets.path.format(project_id))
    if "image" in offered:
        for each in _own_of_images(client, project_id, _image_service(client)).values():
            client.delete("identity", f"/limits/{each['id']}")
