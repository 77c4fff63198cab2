"""Which versions of Block Storage are served."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.answers import LINKS, TEXT, Told, array, record
from novalite.api.kit.call import Call
from novalite.api.kit.routes import PUBLIC, Route
from novalite.api.kit.versions import VersionRange
from novalite.api.volume.shapes import ROOT

VERSIONS = VersionRange("volume", "3.0", "3.70")


def _document(call: Call) -> dict[str, Any]:
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": VERSIONS.maximum,
        "min_version": VERSIONS.minimum,
        "updated": "2016-02-08T12:20:21Z",
        "links": [{"rel": "self", "href": call.link(f"{ROOT}/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }


def show(call: Call) -> dict[str, Any]:
    return {"versions": [_document(call)]}


_VERSION = record(
    {
        "id": TEXT,
        "status": TEXT,
        "version": TEXT,
        "min_version": TEXT,
        "updated": TEXT,
        "links": LINKS,
        "media-types": array(record({"base": TEXT, "type": TEXT})),
    }
)
_TOLD = Told("versions", whole=array(_VERSION))
ROUTES = [
    Route("GET", "/", show, rule=PUBLIC, view=_TOLD, success=300),
    Route("GET", ROOT, show, rule=PUBLIC, view=_TOLD),
]
