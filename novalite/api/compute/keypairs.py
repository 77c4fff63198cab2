"""Key pairs of users."""

from __future__ import annotations

from typing import Any

from novalite.api.compute import key_material
from novalite.api.compute.shapes import ANY_QUERY, PAGING, ROOT, RULE, window
from novalite.api.kit.answers import FLAG, MOMENT, NULL, TEXT, WHOLE, Told
from novalite.api.kit.body import Body, Item, JsonSchema, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.routes import Route
from novalite.api.kit.versions import Version
from novalite.api.kit.view import Field, Page, View, utc_micros
from novalite.cloud.compute import keypairs
from novalite.cloud.compute.keypairs import Keypair
from novalite.cloud.identity import policy, quotas
from novalite.db.paging import Page as Window

_BRIEF = View(
    Field("name", schema=TEXT),
    Field("public_key", schema=TEXT),
    Field("fingerprint", schema=TEXT),
    Field("type", since="2.2", schema={"enum": ["ssh", "x509"]}),
)
_MADE = _BRIEF.extended(Field("user_id", schema=TEXT))
_FULL = _MADE.extended(
    Field("id", "number", schema=WHOLE),
    Field("created_at", lambda pair, call: utc_micros(pair.created_at), schema=MOMENT),
    Field("deleted", lambda pair, call: False, schema=FLAG),
    Field("deleted_at", lambda pair, call: None, schema=NULL),
    Field("updated_at", lambda pair, call: None, schema=NULL),
)
_WRAPPED = View(Field("keypair", lambda pair, call: _BRIEF.renderer(call)(pair, call), schema=_BRIEF.schema))


def _made_schema(version: Version) -> JsonSchema:
    made = _MADE.schema(version)
    return {**made, "properties": {**made["properties"], "private_key": TEXT}}


_OLD_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[a-zA-Z0-9 _-]+\Z", "format": "name"}
_NAME = {**_OLD_NAME, "pattern": r"^[a-zA-Z0-9 _@.-]+\Z"}
_KEY = {"type": "string", "minLength": 1, "maxLength": 16384}
_NEW = Body(
    "keypair",
    Item("name", _OLD_NAME, required=True, until="2.91"),
    Item("name", _NAME, required=True, since="2.92"),
    Item("public_key", _KEY, until="2.91"),
    Item("public_key", _KEY, required=True, since="2.92"),
    Item("type", {"enum": ["ssh", "x509"]}, since="2.2"),
    Item("user_id", {"type": "string", "minLength": 1, "maxLength": 64}, since="2.10"),
)


def _owner(call: Call, rule: str, user_id: str) -> str:
    """The user meant: the caller, or for admins another."""
    owner = user_id or call.ctx.user_id
    policy.require(RULE + rule, call.ctx, user_id=owner)
    return owner


def _asked_owner(call: Call, rule: str) -> str:
    return _owner(call, rule, call.query.get("user_id", "") if call.since("2.10") else "")


def create(call: Call) -> dict[str, Any]:
    body = call.body
    owner = _owner(call, "os-keypairs:create", body.get("user_id", ""))
    kind, private = body.get("type", "ssh"), ""
    public = body.get("public_key", "")
    if not public:
        private, public = (
            key_material.make_ssh("Generated-by-NovaLite") if kind == "ssh" else key_material.make_x509(owner)
        )
    fingerprint = (key_material.ssh_fingerprint if kind == "ssh" else key_material.x509_fingerprint)(public)
    with call.parts.database.write(call.ctx) as w:
        limit = quotas.limits(w, call.ctx.project_id)["key_pairs"]
        quotas.hold(w, f"user:{owner}"[:64])
        made = keypairs.add(
            w, name=body["name"], type=kind, public_key=public, fingerprint=fingerprint, limit=limit, user_id=owner
        )
    shown = _MADE.renderer(call)(made, call)
    return {"keypair": {**shown, "private_key": private} if private else shown}


def list_all(call: Call) -> Page:
    owner = _asked_owner(call, "os-keypairs:index")
    page = window(call, sortable=False) if call.since("2.35") else Window()
    found = keypairs.list_of(call.w, page, user_id=owner) if page.limit else []
    more = call.since("2.35") and found and len(found) >= page.limit
    return Page(found, found[-1].name if more else "")


def show(call: Call) -> Keypair:
    owner = _asked_owner(call, "os-keypairs:show")
    return keypairs.get(call.w, call.path["name"], user_id=owner)


def remove(call: Call) -> None:
    keypairs.remove(call.w, call.path["name"], user_id=_asked_owner(call, "os-keypairs:delete"))


_CREATED = Told("keypair", whole=_made_schema)
_ALL, _ONE = f"{ROOT}/os-keypairs", f"{ROOT}/os-keypairs/{{name:path}}"
_RULE = RULE + "os-keypairs:"
_USER = Query(Item("user_id", ANY_QUERY, since="2.10"), strict_since="2.75")
_LIST = Query(Item("user_id", ANY_QUERY, since="2.10"), *(
    Item(item.name, item.schema, since="2.35") for item in PAGING), strict_since="2.75")  # fmt: skip
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "index", policy_in_handler=True, query=_LIST, unit="read",
          view=_WRAPPED.many("keypairs", nova_links)),
    Route("POST", _ALL, create, rule=_RULE + "create", policy_in_handler=True, body=_NEW, view=_CREATED,
          until="2.1"),
    Route("POST", _ALL, create, rule=_RULE + "create", policy_in_handler=True, body=_NEW, view=_CREATED,
          success=201, since="2.2"),
    Route("GET", _ONE, show, rule=_RULE + "show", policy_in_handler=True, query=_USER, unit="read",
          view=_FULL.one("keypair")),
    Route("DELETE", _ONE, remove, rule=_RULE + "delete", policy_in_handler=True, query=_USER, unit="write",
          success=202, until="2.1"),
    Route("DELETE", _ONE, remove, rule=_RULE + "delete", policy_in_handler=True, query=_USER, unit="write",
          success=204, since="2.2"),
]  # fmt: skip
