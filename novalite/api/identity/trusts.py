"""Trusts (OS-TRUST): made by the trustor, used by the trustee for tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from novalite.api.identity.roles import ROLE
from novalite.api.identity.shapes import FLAG, ID, NAME, ROOT, refuse_delegated
from novalite.api.kit import moments
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page, utc_micros_z
from novalite.cloud.identity import policy, roles, tokens, trusts
from novalite.cloud.identity.records import Role
from novalite.cloud.identity.trusts import NewTrust, Trust
from novalite.errors import Forbidden, Invalid, NotFound

_ROLE = {"type": "object", "properties": {"id": ID, "name": NAME}, "minProperties": 1}
_NEW = Body(
    "trust",
    Item("trustor_user_id", ID, required=True),
    Item("trustee_user_id", ID, required=True),
    Item("impersonation", FLAG, required=True),
    Item("project_id", {**ID, "type": ["string", "null"]}),
    Item("roles", {"type": "array", "items": _ROLE, "maxItems": 100}),
    Item("expires_at", {"type": ["string", "null"], "format": "date-time"}),
    Item("remaining_uses", {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1}),
    Item("allow_redelegation", {"type": ["boolean", "null"]}),
    Item("redelegation_count", {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1}),
    extra=True,
)


def _brief(call: Call, trust: Trust) -> dict[str, Any]:
    return {
        "id": trust.id, "trustor_user_id": trust.trustor_user_id, "trustee_user_id": trust.trustee_user_id,
        "project_id": trust.project_id, "impersonation": trust.impersonation, "deleted_at": None,
        "expires_at": utc_micros_z(trust.expires_at), "remaining_uses": trust.remaining_uses,
        "redelegation_count": 0, "redelegated_trust_id": None,
        "links": {"self": call.link(f"{ROOT}/OS-TRUST/trusts/{trust.id}")},
    }  # fmt: skip


def _whole(call: Call, trust: Trust) -> dict[str, Any]:
    render = ROLE.renderer(call)
    roles_link = call.link(f"{ROOT}/OS-TRUST/trusts/{trust.id}/roles")
    return {
        **_brief(call, trust),
        "roles": [render(role, call) for role in trusts.given(call.w, trust)],
        "roles_links": {"self": roles_link, "next": None, "previous": None},
    }


def create(call: Call) -> dict[str, Any]:
    body = call.body
    policy.require(call.route.rule, call.ctx, user_id=body["trustor_user_id"])
    refuse_delegated(call, call.w)
    if body.get("allow_redelegation"):
        raise Forbidden("A trust cannot be given on.")
    if body.get("project_id") is None:
        raise Invalid("A trust is for a project.", field="project_id")
    wanted = [roles.get(call.w, one["id"]) if "id" in one else roles.named(call.w, one["name"])
              for one in body.get("roles", ())]  # fmt: skip
    _refuse_more_than_a_credential_has(call, body["project_id"], wanted)
    made = trusts.create(
        call.w,
        NewTrust(
            trustor_user_id=call.ctx.user_id, trustee_user_id=body["trustee_user_id"],
            project_id=body["project_id"], impersonation=body["impersonation"],
            role_ids=tuple(role.id for role in wanted), expires_at=_moment(body.get("expires_at")),
            remaining_uses=body.get("remaining_uses"),
        ),
    )  # fmt: skip
    return {"trust": _whole(call, made)}


def _refuse_more_than_a_credential_has(call: Call, project_id: str, wanted: list[Role]) -> None:
    credential = tokens.resolve(call.w, call.token).credential
    if credential is None:
        return
    if project_id != credential.project_id or not {role.name for role in wanted} <= call.ctx.roles:
        raise Forbidden("An application credential gives no roles that it lacks.")


def _moment(text: str | None) -> datetime | None:
    return moments.parse(text) if text else None


def list_all(call: Call) -> dict[str, Any]:
    """Those of one user for that user, all for who may see them."""
    trustor, trustee = call.query.get("trustor_user_id", ""), call.query.get("trustee_user_id", "")
    if trustor:
        policy.require("identity:list_trusts_for_trustor", call.ctx, user_id=trustor)
    elif trustee:
        policy.require("identity:list_trusts_for_trustee", call.ctx, user_id=trustee)
    else:
        policy.require("identity:list_trusts", call.ctx)
    found = trusts.find(call.w, trustor_user_id=trustor, trustee_user_id=trustee)
    return {"trusts": [_brief(call, one) for one in found], **keystone_links(call, "OS-TRUST/trusts", Page(found))}


def _allowed(call: Call, rule: str) -> Trust:
    """The trust in the path, for its two users and whoever the policy lets. Others do not learn that it is there."""
    found = trusts.get(call.w, call.path["trust_id"])
    if call.ctx.user_id not in (found.trustor_user_id, found.trustee_user_id):
        policy.require(f"identity:{rule}", call.ctx, user_id=found.trustor_user_id)
    return found


def show(call: Call) -> dict[str, Any]:
    return {"trust": _whole(call, _allowed(call, "get_trust"))}


def remove(call: Call) -> None:
    refuse_delegated(call, call.w)
    found = trusts.get(call.w, call.path["trust_id"])
    policy.require("identity:delete_trust", call.ctx, user_id=found.trustor_user_id)
    trusts.remove(call.w, found.id)


def list_roles(call: Call) -> list[Role]:
    return trusts.given(call.w, _allowed(call, "list_roles_for_trust"))


def show_role(call: Call) -> Role:
    role_id = call.path["role_id"]
    for role in trusts.given(call.w, _allowed(call, "get_role_for_trust")):
        if role.id == role_id:
            return role
    raise NotFound("role", role_id, message=f"Could not find role: {role_id}.")


def check_role(call: Call) -> None:
    show_role(call)


_ALL = f"{ROOT}/OS-TRUST/trusts"
_ONE = _ALL + "/{trust_id}"
ROUTES = [
    Route("POST", _ALL, create, rule="identity:create_trust", policy_in_handler=True, body=_NEW, success=201,
          unit="write"),
    Route("GET", _ALL, list_all, rule="identity:list_trusts", policy_in_handler=True, unit="read"),
    Route("GET", _ONE, show, rule="identity:get_trust", policy_in_handler=True, unit="read"),
    Route("DELETE", _ONE, remove, rule="identity:delete_trust", policy_in_handler=True, success=204, unit="write"),
    Route("GET", f"{_ONE}/roles", list_roles, rule="identity:list_roles_for_trust", policy_in_handler=True,
          unit="read", view=ROLE.many("roles", keystone_links)),
    Route("GET", f"{_ONE}/roles/{{role_id}}", show_role, rule="identity:get_role_for_trust", policy_in_handler=True,
          unit="read", view=ROLE.one("role")),
    Route("HEAD", f"{_ONE}/roles/{{role_id}}", check_role, rule="identity:get_role_for_trust",
          policy_in_handler=True, unit="read"),
]  # fmt: skip
