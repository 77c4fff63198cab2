"""Where a client finds the API and its version."""

from __future__ import annotations

from typing import Any

from novalite.api.identity.shapes import ROOT
from novalite.api.kit.call import Call
from novalite.api.kit.routes import PUBLIC, Route

VERSION = "v3.14"


def _document(call: Call) -> dict[str, Any]:
    media = {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
    return {
        "id": VERSION,
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": call.link(f"{ROOT}/")}],
        "media-types": [media],
    }


def list_versions(call: Call) -> dict[str, Any]:
    return {"versions": {"values": [_document(call)]}}


def show_version(call: Call) -> dict[str, Any]:
    return {"version": _document(call)}


ROUTES = [
    Route("GET", "/", list_versions, rule=PUBLIC, success=300),
    Route("GET", ROOT, show_version, rule=PUBLIC),
]
