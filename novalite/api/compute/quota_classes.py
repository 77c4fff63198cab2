"""Quota classes: ``default`` is what projects without limits of their own have."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.quota_sets import LIMIT
from novalite.api.compute.quota_use import OF_NETWORKS, resource
from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import TEXT, WHOLE, Told, record
from novalite.api.kit.body import Body, Item, JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.versions import Version
from novalite.api.kit.view import Field, View
from novalite.cloud.identity import quotas

_COMMON = ("instances", "cores", "ram", "metadata_items", "key_pairs")
_GROUPS = ("server_groups", "server_group_members")
_INJECTED = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
_UPDATE = Body(
    "quota_class_set",
    *(Item(name, LIMIT) for name in (*_COMMON, *_GROUPS)),
    *(Item(name, LIMIT, until="2.56") for name in _INJECTED),
    *(Item(name, LIMIT, until="2.49") for name in OF_NETWORKS),
)


def _limit(name: str, **window: str) -> Field:
    return Field(name, lambda limits, call: limits[resource(name)], schema=WHOLE, **window)  # type: ignore[arg-type]


LIMITS = View(
    *(_limit(name) for name in _COMMON),
    *(_limit(name, since="2.50") for name in _GROUPS),
    *(_limit(name, until="2.56") for name in _INJECTED),
    *(_limit(name, until="2.49") for name in OF_NETWORKS),
)


def show(call: Call) -> dict[str, Any]:
    name = call.path["class_name"]
    return {"quota_class_set": {"id": name, **LIMITS.renderer(call)(quotas.class_limits(call.w, name), call)}}


def update(call: Call) -> dict[str, int]:
    wanted = {resource(name): int(value) for name, value in call.body.items()}
    return quotas.set_class_limits(call.w, call.path["class_name"], wanted)


def _with_id(version: Version) -> JsonSchema:
    return record({"id": TEXT, **LIMITS.schema(version)["properties"]})


_ONE = f"{ROOT}/os-quota-class-sets/{{class_name}}"
_RULE = RULE + "os-quota-class-sets:"
ROUTES = [
    Route("GET", _ONE, show, rule=_RULE + "show", unit="read",
          view=Told("quota_class_set", whole=_with_id)),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_UPDATE, unit="write",
          view=LIMITS.one("quota_class_set")),
]  # fmt: skip
