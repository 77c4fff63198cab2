"""Credentials that users keep for other protocols, and those for EC2 in their older form."""

from __future__ import annotations

import json
import secrets
from typing import Any

from novalite.api.identity.shapes import ID, ROOT, refuse_delegated
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page
from novalite.cloud.identity import policy, projects, roles, stored_credentials, users
from novalite.cloud.identity.sealing import cipher
from novalite.cloud.identity.stored_credentials import EC2, StoredCredential
from novalite.errors import Forbidden, NotFound

_BLOB = {"type": "string", "minLength": 1, "maxLength": 60000}
_NEW = Body(
    "credential",
    Item("type", {"type": "string", "minLength": 1, "maxLength": 255}, required=True),
    Item("blob", _BLOB, required=True),
    Item("user_id", ID, required=True),
    Item("project_id", {**ID, "type": ["string", "null"]}),
    extra=True,
)
_CHANGE = Body("credential", Item("blob", _BLOB), Item("type", ID), Item("user_id", ID), Item("project_id", ID),
               extra=True)  # fmt: skip
_NEW_EC2 = Body(whole={"type": "object", "properties": {"tenant_id": ID}, "required": ["tenant_id"]})


def _shown(call: Call, one: StoredCredential) -> dict[str, Any]:
    return {
        "id": one.id, "type": one.type, "user_id": one.user_id, "project_id": one.project_id,
        "blob": stored_credentials.blob(cipher(call.parts.settings.state_path), one),
        "links": {"self": call.link(f"{ROOT}/credentials/{one.id}")},
    }  # fmt: skip


def _allowed(call: Call, rule: str) -> StoredCredential:
    refuse_delegated(call, call.w)
    found = stored_credentials.get(call.w, call.path["id"])
    policy.require(f"identity:{rule}", call.ctx, user_id=found.user_id)
    return found


def list_all(call: Call) -> dict[str, Any]:
    """Those of everybody for who may see them, and the caller's own for everybody else."""
    refuse_delegated(call, call.w)
    found = stored_credentials.find(call.w, user_id=call.query.get("user_id", ""), type=call.query.get("type", ""))
    fit = [one for one in found if policy.allows("identity:get_credential", call.ctx, user_id=one.user_id)]
    return {"credentials": [_shown(call, one) for one in fit], **keystone_links(call, "credentials", Page(fit))}


def show(call: Call) -> dict[str, Any]:
    return {"credential": _shown(call, _allowed(call, "get_credential"))}


def create(call: Call) -> dict[str, Any]:
    body = call.body
    policy.require("identity:create_credential", call.ctx, user_id=body["user_id"])
    made = _store(call, body["user_id"], body.get("project_id"), body["type"], body["blob"])
    return {"credential": _shown(call, made)}


def _store(call: Call, user_id: str, project_id: str | None, type: str, blob: str) -> StoredCredential:
    refuse_delegated(call, call.w)
    user = users.get(call.w, user_id)
    if project_id is not None:
        projects.get(call.w, project_id)
        if not call.ctx.is_admin and not roles.held(call.w, user.id, "project", project_id):
            raise Forbidden("A credential is for a project in which its user has a role.")
    seal = cipher(call.parts.settings.state_path)
    return stored_credentials.create(
        call.w, seal, user_id=user.id, project_id=project_id, type=type, blob=blob
    )  # fmt: skip


def change(call: Call) -> dict[str, Any]:
    found = _allowed(call, "update_credential")
    for name in ("type", "user_id", "project_id"):
        if name in call.body and call.body[name] != getattr(found, name):
            raise Forbidden(f"The {name} of a credential does not change: make another.")
    if "blob" in call.body:
        found = stored_credentials.change(
            call.w, cipher(call.parts.settings.state_path), found.id, call.body["blob"]
        )  # fmt: skip
    return {"credential": _shown(call, found)}


def remove(call: Call) -> None:
    stored_credentials.remove(call.w, _allowed(call, "delete_credential").id)


def _ec2(call: Call, one: StoredCredential) -> dict[str, Any]:
    keys = json.loads(stored_credentials.blob(cipher(call.parts.settings.state_path), one))
    return {
        "access": keys["access"], "secret": keys.get("secret", ""), "user_id": one.user_id,
        "tenant_id": one.project_id, "trust_id": None,
        "links": {"self": call.link(f"{ROOT}/users/{one.user_id}/credentials/OS-EC2/{keys['access']}")},
    }  # fmt: skip


def _owner(call: Call, rule: str) -> str:
    refuse_delegated(call, call.w)
    policy.require(f"identity:{rule}", call.ctx, user_id=call.path["user_id"])
    return call.path["user_id"]


def list_ec2(call: Call) -> dict[str, Any]:
    found = stored_credentials.find(call.w, user_id=_owner(call, "ec2_list_credentials"), type=EC2)
    return {"credentials": [_ec2(call, one) for one in found], **keystone_links(call, "credentials", Page(found))}


def create_ec2(call: Call) -> dict[str, Any]:
    owner = _owner(call, "ec2_create_credential")
    blob = json.dumps({"access": secrets.token_hex(16), "secret": secrets.token_hex(16), "trust_id": None})
    return {"credential": _ec2(call, _store(call, owner, call.body["tenant_id"], EC2, blob))}


def _one_ec2(call: Call, rule: str) -> StoredCredential:
    owner, access = _owner(call, rule), call.path["access"]
    for one in stored_credentials.find(call.w, user_id=owner, type=EC2):
        if one.id == stored_credentials.ec2_id(access):
            return one
    raise NotFound("credential", access, message=f"Could not find credential: {access}.")


def show_ec2(call: Call) -> dict[str, Any]:
    return {"credential": _ec2(call, _one_ec2(call, "ec2_get_credential"))}


def remove_ec2(call: Call) -> None:
    stored_credentials.remove(call.w, _one_ec2(call, "ec2_delete_credential").id)


_ALL, _ONE = f"{ROOT}/credentials", f"{ROOT}/credentials/{{id}}"
_EC2 = f"{ROOT}/users/{{user_id}}/credentials/OS-EC2"
ROUTES = [
    Route("GET", _ALL, list_all, rule="identity:list_credentials", unit="read"),
    Route("POST", _ALL, create, rule="identity:create_credential", policy_in_handler=True, body=_NEW, success=201,
          unit="write"),
    Route("GET", _ONE, show, rule="identity:get_credential", policy_in_handler=True, unit="read"),
    Route("PATCH", _ONE, change, rule="identity:update_credential", policy_in_handler=True, body=_CHANGE,
          unit="write"),
    Route("DELETE", _ONE, remove, rule="identity:delete_credential", policy_in_handler=True, success=204,
          unit="write"),
    Route("GET", _EC2, list_ec2, rule="identity:ec2_list_credentials", policy_in_handler=True, unit="read"),
    Route("POST", _EC2, create_ec2, rule="identity:ec2_create_credential", policy_in_handler=True, body=_NEW_EC2,
          success=201, unit="write"),
    Route("GET", f"{_EC2}/{{access}}", show_ec2, rule="identity:ec2_get_credential", policy_in_handler=True,
          unit="read"),
    Route("DELETE", f"{_EC2}/{{access}}", remove_ec2, rule="identity:ec2_delete_credential",
          policy_in_handler=True, success=204, unit="write"),
]  # fmt: skip
