"""Which versions of the Compute API there are."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT
from novalite.api.kit.answers import LINKS, TEXT, Told, array, record
from novalite.api.kit.call import Call
from novalite.api.kit.routes import PUBLIC, Route
from novalite.api.kit.versions import VersionRange
from novalite.errors import NotFound

VERSIONS = VersionRange("compute", "2.1", "2.104", "X-OpenStack-Nova-API-Version")
OLD_ROOT = "/v2"


def _old_document(call: Call) -> dict[str, Any]:
    """The v2.0 API, which is v2.1 at its lowest version, without microversions."""
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": call.link(f"{OLD_ROOT}/")}],
    }


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
    return {"versions": [_old_document(call), _document(call)]}


def show_version(call: Call) -> dict[str, Any]:
    """The document of the version in the URL."""
    old = call.rooted[1].startswith(f"{OLD_ROOT}/") or call.rooted[1] == OLD_ROOT
    return _described(call, _old_document(call) if old else _document(call))


def _described(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    media = {"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={document['id'][1:]}"}
    return {"version": {**document, "media-types": [media]}}


def show_by_id(call: Call) -> dict[str, Any]:
    documents = {"v2.0": _old_document, "v2.1": _document}
    wanted = call.path["version_id"]
    if wanted not in documents:
        raise NotFound("version", wanted, message="The resource could not be found.")
    return _described(call, documents[wanted](call))


_TEXTS = dict.fromkeys(("id", "status", "version", "min_version", "updated"), TEXT)
_SHORT = {**_TEXTS, "links": LINKS}
_FULL = {**_SHORT, "media-types": array(record({"base": TEXT, "type": TEXT}))}
_LISTED, _SHOWN = Told("versions", whole=array(record(_SHORT))), Told("version", whole=record(_FULL))
ROUTES = [
    Route("GET", "/", list_versions, rule=PUBLIC, view=_LISTED),
    Route("GET", ROOT, show_version, rule=PUBLIC, view=_SHOWN),
    Route("GET", f"{ROOT}/versions/{{version_id}}", show_by_id, rule=PUBLIC, view=_SHOWN),
    Route("GET", "/versions/{version_id}", show_by_id, rule=PUBLIC, view=_SHOWN),
]
