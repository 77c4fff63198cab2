"""Application credentials of the caller."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from novalite.api.identity.shapes import FLAG, ID, NAME, ROOT, TEXT, refuse_trust_token
from novalite.api.kit import moments
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View, utc_micros
from novalite.cloud.identity import application_credentials, passwords, policy, roles, tokens
from novalite.cloud.identity.application_credentials import NewCredential
from novalite.cloud.identity.records import ApplicationCredential
from novalite.db.work import Work
from novalite.errors import Forbidden


@dataclass(frozen=True)
class Shown:
    """A credential with its roles, loaded once for a whole list."""

    record: ApplicationCredential
    roles: list[dict[str, Any]]


def _link(item: Shown, call: Call) -> dict[str, str]:
    return {"self": call.link(f"{ROOT}/users/{item.record.user_id}/application_credentials/{item.record.id}")}


CREDENTIAL = View(
    Field("id", "record.id"),
    Field("name", "record.name"),
    Field("description", "record.description"),
    Field("project_id", "record.project_id"),
    Field("unrestricted", "record.unrestricted"),
    Field("expires_at", lambda item, call: utc_micros(item.record.expires_at)),
    Field("roles"),
    Field("links", _link),
)
_ROLE = {"type": "object", "properties": {"id": ID, "name": NAME}, "minProperties": 1}
_NEW = Body(
    "application_credential",
    Item("name", NAME, required=True),
    Item("secret", {"type": ["string", "null"], "minLength": 1, "maxLength": passwords.LONGEST}),
    Item("description", TEXT),
    Item("roles", {"type": ["array", "null"], "items": _ROLE, "maxItems": 100}),
    Item("expires_at", {"type": ["string", "null"], "format": "date-time"}),
    Item("unrestricted", {**FLAG, "type": ["boolean", "null"]}),
    Item("access_rules", {"type": ["array", "null"], "maxItems": 0}),
    Item("project_id", ID),
    extra=True,
)


def _shown(w: Work, records: list[ApplicationCredential]) -> list[Shown]:
    known = {role.id: {"id": role.id, "name": role.name, "domain_id": None} for role in roles.find(w)}
    return [Shown(one, [known[role_id] for role_id in one.role_ids if role_id in known]) for one in records]


def _user(call: Call) -> str:
    """The user in the path, to whom the route's rule applies."""
    policy.require(call.route.rule, call.ctx, user_id=call.path["user_id"])
    return call.path["user_id"]


def _moment(text: str | None) -> datetime | None:
    return moments.parse(text) if text else None


def create(call: Call) -> dict[str, Any]:
    _user(call)
    body = call.body
    secret = body.get("secret") or secrets.token_urlsafe(48)
    secret_hash = passwords.make_hash(secret)
    with call.parts.database.write(call.ctx) as w:
        _refuse_restricted(w, call)
        made = application_credentials.create(
            w,
            NewCredential(
                name=body["name"], secret_hash=secret_hash, description=body.get("description"),
                role_ids=_role_ids(w, body.get("roles") or []), expires_at=_moment(body.get("expires_at")),
                unrestricted=bool(body.get("unrestricted")),
            ),
        )  # fmt: skip
        (shown,) = _shown(w, [made])
    return {"application_credential": {**CREDENTIAL.renderer(call)(shown, call), "secret": secret}}


def _role_ids(w: Work, wanted: list[dict[str, str]]) -> tuple[str, ...]:
    found = (roles.get(w, one["id"]) if "id" in one else roles.named(w, one["name"]) for one in wanted)
    return tuple(role.id for role in found)


def list_all(call: Call) -> list[Shown]:
    return _shown(call.w, application_credentials.find(call.w, _user(call), call.query.get("name")))


def show(call: Call) -> Shown:
    (shown,) = _shown(call.w, [application_credentials.get(call.w, _user(call), call.path["credential_id"])])
    return shown


def _refuse_restricted(w: Work, call: Call) -> None:
    maker = tokens.resolve(w, call.token).credential
    refuse_trust_token(call, w)
    if maker is not None and not maker.unrestricted:
        raise Forbidden("A restricted application credential neither makes nor deletes others.")


def remove(call: Call) -> None:
    user_id = _user(call)
    _refuse_restricted(call.w, call)
    application_credentials.remove(call.w, user_id, call.path["credential_id"])


_ALL = f"{ROOT}/users/{{user_id}}/application_credentials"
_ONE = _ALL + "/{credential_id}"
ROUTES = [
    Route("POST", _ALL, create, rule="identity:create_application_credential", policy_in_handler=True, body=_NEW,
          success=201),
    Route("GET", _ALL, list_all, rule="identity:list_application_credentials", policy_in_handler=True,
          unit="read", view=CREDENTIAL.many("application_credentials", keystone_links)),
    Route("GET", _ONE, show, rule="identity:get_application_credential", policy_in_handler=True, unit="read",
          view=CREDENTIAL.one("application_credential")),
    Route("DELETE", _ONE, remove, rule="identity:delete_application_credential", policy_in_handler=True,
          success=204, unit="write"),
]  # fmt: skip
