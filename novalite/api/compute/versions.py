"""Which versions of the Compute API there are."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT
from novalite.api.kit.call import Call
from novalite.api.kit.routes import PUBLIC, Route
from novalite.api.kit.versions import VersionRange
from novalite.errors import NotFound

VERSIONS = VersionRange("compute", "2.1", "2.101", "X-OpenStack-Nova-API-Version")
_MEDIA = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}


def _document(call: Call) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": VERSIONS.maximum,
        "min_version": VERSIONS.minimum,
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": call.link(f"{ROOT}/")}],
    }


def list_versions(call: Call) -> dict[str, Any]:
    return {"versions": [_document(call)]}


def show_version(call: Call) -> dict[str, Any]:
    return {"version": {**_document(call), "media-types": [_MEDIA]}}


def show_by_id(call: Call) -> dict[str, Any]:
    if call.path["version_id"] != "v2.1":
        raise NotFound("version", call.path["version_id"], message="The resource could not be found.")
    return show_version(call)


ROUTES = [
    Route("GET", "/", list_versions, rule=PUBLIC),
    Route("GET", ROOT, show_version, rule=PUBLIC),
    Route("GET", f"{ROOT}/versions/{{version_id}}", show_by_id, rule=PUBLIC),
]
