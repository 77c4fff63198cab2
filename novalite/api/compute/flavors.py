"""Flavors, their extra specs, and who may use those that are not public."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import (
    ANY_QUERY,
    BOOLEAN,
    NAME,
    NOT_NEGATIVE,
    PAGING,
    POSITIVE,
    ROOT,
    RULE,
    links,
    truth,
    window,
)  # fmt: skip
from novalite.api.kit.answers import (
    FLAG,
    NUMBER,
    TEXT,
    TEXT_BY_NAME,
    TEXT_OR_NULL,
    WHOLE,
    Told,
    array,
    record,
)
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links, whole_number
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View
from novalite.cloud.compute import extra_specs, flavors
from novalite.cloud.compute.flavors import Flavor
from novalite.cloud.identity import projects
from novalite.errors import Conflict, Invalid, NotFound

BASIC = View(
    Field("id", schema=TEXT),
    Field("name", schema=TEXT),
    links("flavors"),
    Field("description", since="2.55", schema=TEXT_OR_NULL),
)
FLAVOR = View(
    Field("id", schema=TEXT),
    Field("name", schema=TEXT),
    Field("ram", "ram_mib", schema=WHOLE),
    Field("vcpus", schema=WHOLE),
    Field("disk", "disk_gib", schema=WHOLE),
    Field("swap", lambda flavor, call: flavor.swap_mib or "", until="2.74", schema={"anyOf": [WHOLE, {"enum": [""]}]}),
    Field("swap", "swap_mib", since="2.75", schema=WHOLE),
    Field("OS-FLV-EXT-DATA:ephemeral", "ephemeral_gib", schema=WHOLE),
    Field("OS-FLV-DISABLED:disabled", lambda flavor, call: False, until="2.101", schema=FLAG),
    Field("os-flavor-access:is_public", "is_public", schema=FLAG),
    Field("rxtx_factor", until="2.101", schema=NUMBER),
    links("flavors"),
    Field("description", since="2.55", schema=TEXT_OR_NULL),
    Field("extra_specs", since="2.61", schema=TEXT_BY_NAME),
)
_DESCRIPTION = {"type": ["string", "null"], "minLength": 0, "maxLength": 65535, "format": "printable"}
_NEW = Body(
    "flavor",
    Item("name", NAME, required=True),
    Item("id", {"type": ["string", "number", "null"], "minLength": 1, "maxLength": 255,
                "pattern": r"^(?! )[a-zA-Z0-9. _-]+(?<! )\Z"}),
    Item("ram", POSITIVE, required=True),
    Item("vcpus", POSITIVE, required=True),
    Item("disk", NOT_NEGATIVE, required=True),
    Item("swap", NOT_NEGATIVE),
    Item("OS-FLV-EXT-DATA:ephemeral", NOT_NEGATIVE),
    Item("rxtx_factor", {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?\Z", "minimum": 0.000001,
                         "maximum": 3.4e38}, until="2.101"),
    Item("os-flavor-access:is_public", BOOLEAN),
    Item("description", _DESCRIPTION, since="2.55"),
)  # fmt: skip
_DESCRIBE = Body("flavor", Item("description", _DESCRIPTION, required=True))
_COLUMNS = {
    "ram": "ram_mib", "vcpus": "vcpus", "disk": "disk_gib", "swap": "swap_mib",
    "OS-FLV-EXT-DATA:ephemeral": "ephemeral_gib",
}  # fmt: skip
_QUERY = Query(
    *PAGING,
    *(Item(name, ANY_QUERY) for name in ("sort_key", "sort_dir", "is_public", "minRam", "minDisk")),
    Item("name", ANY_QUERY, since="2.102"),
    strict_since="2.75",
)


def create(call: Call) -> Flavor:
    body = call.body
    values: dict[str, Any] = {column: int(body[key]) for key, column in _COLUMNS.items() if key in body}
    values["name"] = body["name"]
    values["id"] = str(body["id"]) if body.get("id") is not None else "auto"
    values["rxtx_factor"] = float(body.get("rxtx_factor", 1.0))
    values["is_public"] = truth(body.get("os-flavor-access:is_public", True))
    values["description"] = body.get("description")
    return flavors.create(call.w, values)


def _public(call: Call) -> bool | None:
    """Which flavors an admin asks for; others see public and granted ones, whatever they ask."""
    text = call.query.get("is_public", "true")
    if text.lower() == "none":
        return None
    if text.lower() not in ("true", "false", "1", "0", "t", "f", "yes", "no"):
        raise Invalid(f"Invalid is_public filter [{text[:50]}]", field="is_public")
    return text.lower() in ("true", "1", "t", "yes")


def list_all(call: Call) -> Page:
    page = window(call)
    if not page.limit:
        return Page([])
    found = flavors.list_visible(
        call.w, page, public=_public(call), min_ram=_least(call, "minRam"), min_disk=_least(call, "minDisk"),
        name=call.query.get("name", "") if call.since("2.102") else "",
    )  # fmt: skip
    return Page(found, found[-1].id if found and len(found) >= page.limit else "")


def _least(call: Call, name: str) -> int:
    return min(whole_number(call, name) or 0, 2**62)


def _flavor(call: Call) -> Flavor:
    return flavors.get(call.w, call.path["flavor_id"])


def describe(call: Call) -> Flavor:
    flavor = _flavor(call)
    flavor.description = call.body["description"]
    return flavor


def remove(call: Call) -> None:
    flavors.remove(call.w, call.path["flavor_id"])


_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}\Z"
_VALUE = {"type": ["string", "number"], "maxLength": 255}
_SPECS: dict[str, Any] = {"type": "object", "patternProperties": {_KEY: _VALUE}, "additionalProperties": False}
_ALL_SPECS = Body("extra_specs", whole=_SPECS)
_ONE_SPEC = Body(whole={**_SPECS, "minProperties": 1, "maxProperties": 1})


def list_specs(call: Call) -> dict[str, Any]:
    return {"extra_specs": _flavor(call).extra_specs}


def _specs(call: Call) -> dict[str, str]:
    specs = {key: str(value) for key, value in call.body.items()}
    if call.since("2.86"):
        for key, value in specs.items():
            extra_specs.check(key, value)
    return specs


def add_specs(call: Call) -> dict[str, Any]:
    specs = _specs(call)
    flavors.set_extra_specs(call.w, call.path["flavor_id"], specs)
    return {"extra_specs": specs}


def show_spec(call: Call) -> dict[str, Any]:
    flavor, key = _flavor(call), call.path["key"]
    if key not in flavor.extra_specs:
        raise NotFound("extra spec", key, message=f"Flavor {flavor.id} has no extra specs with key {key}.")
    return {key: flavor.extra_specs[key]}


def put_spec(call: Call) -> dict[str, Any]:
    if list(call.body) != [call.path["key"]]:
        raise Invalid("Request body and URI mismatch", field=call.path["key"])
    specs = _specs(call)
    flavors.set_extra_specs(call.w, call.path["flavor_id"], specs)
    return specs


def remove_spec(call: Call) -> None:
    flavors.unset_extra_spec(call.w, call.path["flavor_id"], call.path["key"])


_TENANT = {
    "type": "object",
    "properties": {"tenant": {"type": "string", "minLength": 1, "maxLength": 255}},
    "required": ["tenant"],
    "additionalProperties": False,
}


def _access(call: Call) -> dict[str, Any]:
    flavor_id = call.path["flavor_id"]
    rows = [{"flavor_id": flavor_id, "tenant_id": one} for one in flavors.projects_of(call.w, flavor_id)]
    return {"flavor_access": rows}


def list_access(call: Call) -> dict[str, Any]:
    if _flavor(call).is_public:
        raise NotFound("flavor access", call.path["flavor_id"],
                       message="Access list not available for public flavors.")  # fmt: skip
    return _access(call)


def grant(call: Call) -> dict[str, Any]:
    if _flavor(call).is_public and call.since("2.7"):
        raise Conflict("Can not add access to a public flavor.")
    projects.refuse_unknown(call.w, call.body["tenant"], "tenant")
    flavors.grant(call.w, call.path["flavor_id"], call.body["tenant"])
    return _access(call)


def revoke(call: Call) -> dict[str, Any]:
    flavors.revoke(call.w, _flavor(call).id, call.body["tenant"])
    return _access(call)


_ALL, _ONE = f"{ROOT}/flavors", f"{ROOT}/flavors/{{flavor_id}}"
_SPEC, _MANAGE, _EXTRA = f"{_ONE}/os-extra_specs", RULE + "os-flavor-manage:", RULE + "os-flavor-extra-specs:"
_ACCESS = RULE + "os-flavor-access"
_SPECS_TOLD, _SPEC_TOLD = Told("extra_specs", whole=TEXT_BY_NAME), Told(whole=TEXT_BY_NAME)
_ACCESS_TOLD = Told("flavor_access", whole=array(record({"flavor_id": TEXT, "tenant_id": TEXT})))
ROUTES = [
    Route("GET", _ALL, list_all, rule=RULE + "flavors", query=_QUERY, view=BASIC.many("flavors", nova_links),
          unit="read"),
    Route("GET", f"{_ALL}/detail", list_all, rule=RULE + "flavors", query=_QUERY, unit="read",
          view=FLAVOR.many("flavors", nova_links)),
    Route("POST", _ALL, create, rule=_MANAGE + "create", body=_NEW, view=FLAVOR.one("flavor"), unit="write"),
    Route("GET", _ONE, _flavor, rule=RULE + "flavors", view=FLAVOR.one("flavor"), unit="read"),
    Route("PUT", _ONE, describe, rule=_MANAGE + "update", body=_DESCRIBE, view=FLAVOR.one("flavor"),
          unit="write", since="2.55"),
    Route("DELETE", _ONE, remove, rule=_MANAGE + "delete", success=202, unit="write"),
    Route("GET", _SPEC, list_specs, rule=_EXTRA + "index", view=_SPECS_TOLD, unit="read"),
    Route("POST", _SPEC, add_specs, rule=_EXTRA + "create", body=_ALL_SPECS, view=_SPECS_TOLD, unit="write"),
    Route("GET", f"{_SPEC}/{{key}}", show_spec, rule=_EXTRA + "show", view=_SPEC_TOLD, unit="read"),
    Route("PUT", f"{_SPEC}/{{key}}", put_spec, rule=_EXTRA + "update", body=_ONE_SPEC, view=_SPEC_TOLD, unit="write"),
    Route("DELETE", f"{_SPEC}/{{key}}", remove_spec, rule=_EXTRA + "delete", unit="write"),
    Route("GET", f"{_ONE}/os-flavor-access", list_access, rule=_ACCESS, view=_ACCESS_TOLD, unit="read"),
    Route("POST", f"{_ONE}/action", grant, rule=_ACCESS + ":add_tenant_access", action="addTenantAccess",
          body=Body("addTenantAccess", whole=_TENANT), view=_ACCESS_TOLD, unit="write"),
    Route("POST", f"{_ONE}/action", revoke, rule=_ACCESS + ":remove_tenant_access", unit="write",
          action="removeTenantAccess", body=Body("removeTenantAccess", whole=_TENANT), view=_ACCESS_TOLD),
]  # fmt: skip
