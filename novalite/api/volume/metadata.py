"""Metadata of volumes and of snapshots: the same operations on either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from novalite.api.kit.answers import TEXT_BY_NAME, Told
from novalite.api.kit.body import Body
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.volume.shapes import METADATA, ROOT
from novalite.cloud.volume import snapshots, volumes
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound, OverQuota

MOST_ITEMS = 128
_ITEMS = Body("metadata", whole=METADATA)
_ITEM = Body("meta", whole=METADATA)

_TOLD, _TOLD_ONE = Told("metadata", whole=TEXT_BY_NAME), Told("meta", whole=TEXT_BY_NAME)
Get = Callable[[Work, str], Any]
Update = Callable[[Work, str, Mapping[str, Any]], Any]


class _Metadata:
    """The operations on one kind of resource, which ``get`` finds and ``update`` changes."""

    def __init__(self, kind: str, get: Get, update: Update) -> None:
        self._kind, self._get, self._update = kind, get, update

    def _now(self, call: Call) -> dict[str, str]:
        return dict(self._get(call.w, call.path["id"]).metadata_items)

    def _set(self, call: Call, items: dict[str, str]) -> dict[str, str]:
        if len(items) > MOST_ITEMS:
            raise OverQuota("metadata_items", limit=MOST_ITEMS, used=0, asked=len(items))
        self._update(call.w, call.path["id"], {"metadata_items": items})
        return items

    def _known(self, call: Call) -> str:
        key = call.path["key"]
        if key not in self._now(call):
            raise NotFound("metadata", key, message=f"{self._kind} has no metadata with key {key[:255]}.")
        return key

    def index(self, call: Call) -> dict[str, Any]:
        return {"metadata": self._now(call)}

    def merge(self, call: Call) -> dict[str, Any]:
        return {"metadata": self._set(call, {**self._now(call), **call.body})}

    def replace(self, call: Call) -> dict[str, Any]:
        self._now(call)
        return {"metadata": self._set(call, dict(call.body))}

    def show(self, call: Call) -> dict[str, Any]:
        key = self._known(call)
        return {"meta": {key: self._now(call)[key]}}

    def put(self, call: Call) -> dict[str, Any]:
        key = call.path["key"]
        if list(call.body) != [key]:
            raise Invalid("Request body and URI mismatch: the one item must be the one of the path.", field="meta")
        self._set(call, {**self._now(call), **call.body})
        return {"meta": call.body}

    def remove(self, call: Call) -> None:
        key = self._known(call)
        self._set(call, {name: value for name, value in self._now(call).items() if name != key})


def _routes(collection: str, kind: str, get: Get, update: Update) -> list[Route]:
    on, all_of_it = _Metadata(kind.capitalize(), get, update), f"{ROOT}/{collection}/{{id}}/metadata"
    one = f"{all_of_it}/{{key}}"
    see, change = f"volume:get_{kind}_metadata", f"volume:update_{kind}_metadata"
    make, drop = ("volume:create_volume_metadata" if kind == "volume" else change), f"volume:delete_{kind}_metadata"
    return [
        Route("GET", all_of_it, on.index, rule=see, view=_TOLD, unit="read"),
        Route("POST", all_of_it, on.merge, rule=make, body=_ITEMS, view=_TOLD, unit="write"),
        Route("PUT", all_of_it, on.replace, rule=change, body=_ITEMS, view=_TOLD, unit="write"),
        Route("GET", one, on.show, rule=see, view=_TOLD_ONE, unit="read"),
        Route("PUT", one, on.put, rule=change, body=_ITEM, view=_TOLD_ONE, unit="write"),
        Route("DELETE", one, on.remove, rule=drop, unit="write"),
    ]


ROUTES = [
    *_routes("volumes", "volume", volumes.get, volumes.update),
    *_routes("snapshots", "snapshot", snapshots.get, snapshots.update),
]
