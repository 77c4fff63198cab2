"""Tokens: asked for, shown, ended; and what the caller's own could be scoped to."""

from __future__ import annotations

from typing import Any

from novalite.api.identity.services import entries
from novalite.api.identity.shapes import FLAG, ID, NAME, ROOT
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.paging import keystone_links
from novalite.api.kit.routes import PUBLIC, Route
from novalite.api.kit.view import Page, utc_micros_z
from novalite.cloud.identity import domains, policy, projects, roles, tokens
from novalite.cloud.identity.login import Logins, Named, Proof, Wish
from novalite.cloud.identity.tokens import Grant
from novalite.db.work import Work
from novalite.errors import Invalid, NotFound, Unauthenticated

_DOMAIN = {"type": "object", "properties": {"id": ID, "name": NAME}}
_SECRET = {"type": "string", "maxLength": 4096}
_USER = {"type": "object", "properties": {"id": ID, "name": NAME, "domain": _DOMAIN, "password": _SECRET}}
_IDENTITY = {
    "type": "object",
    "required": ["methods"],
    "properties": {
        "methods": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 5},
        "password": {"type": "object", "required": ["user"], "properties": {"user": _USER}},
        "token": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        "application_credential": {
            "type": "object",
            "required": ["secret"],
            "properties": {"id": ID, "name": NAME, "secret": _SECRET, "user": _USER},
        },
    },
}
_SCOPE = {
    "anyOf": [
        {"enum": ["unscoped"]},
        {
            "type": "object",
            "maxProperties": 1,
            "properties": {
                "project": {"type": "object", "properties": {"id": ID, "name": NAME, "domain": _DOMAIN}},
                "domain": _DOMAIN,
                "system": {"type": "object", "properties": {"all": FLAG}},
                "unscoped": {"type": "object"},
                "OS-TRUST:trust": {"type": "object", "properties": {"id": ID}, "required": ["id"]},
            },
        },
    ]
}
_AUTH = Body("auth", Item("identity", _IDENTITY, required=True), Item("scope", _SCOPE), extra=True)


def _named(value: dict[str, Any]) -> Named:
    domain = value.get("domain", {})
    return Named(value.get("id", ""), value.get("name", ""), domain.get("id", ""), domain.get("name", ""))


def _wish(scope: Any) -> Wish:
    if not scope:
        return Wish()
    if scope == "unscoped" or "unscoped" in scope:
        return Wish("unscoped")
    kind, target = next(iter(scope.items()))
    if kind == "OS-TRUST:trust":
        return Wish("trust", Named(id=target["id"]))
    if kind not in ("project", "domain", "system"):
        raise Invalid(f"Unknown scope {kind[:100]}.", field="scope")
    if kind == "system" and target.get("all") is not True:
        raise Invalid("The system scope is asked for as {'all': true}.", field="scope.system")
    return Wish(kind, _named(target))


def _domain(domain: Any) -> dict[str, str]:
    return {"id": domain.id, "name": domain.name}


def create(call: Call) -> Answer:
    identity = call.body["identity"]
    proof = _proof(call.parts.logins, identity)
    token, grant = call.parts.logins.issue(proof, _wish(call.body.get("scope")), call.ctx)
    with call.parts.database.read(call.ctx) as w:
        return Answer(_document(call, w, grant), headers=_headers(token))


def _proof(logins: Logins, identity: dict[str, Any]) -> Proof:
    methods = identity["methods"]
    if len(methods) != 1:
        raise Unauthenticated("One method at a time is offered: password, token or application_credential.")
    method = methods[0]
    if method not in ("password", "token", "application_credential"):
        raise Unauthenticated(f"Attempted to authenticate with an unsupported method: {method[:64]}.")
    given = identity.get(method)
    if given is None:
        raise Invalid(f"Expecting to find {method} in identity.", field=f"auth.identity.{method}")
    if method == "token":
        return logins.token(given["id"])
    if method == "password":
        return logins.password(_named(given["user"]), given["user"].get("password", ""))
    return logins.credential(_named(given), _named(given.get("user", {})), given["secret"])


def show(call: Call) -> Answer:
    token = _subject(call)
    grant = _resolve_subject(call, token, "identity:validate_token")
    return Answer(_document(call, call.w, grant), headers=_headers(token))


def catalog(call: Call) -> dict[str, Any]:
    return {"catalog": entries(call, call.w), "links": {"self": call.link(f"{ROOT}/auth/catalog")}}


def _document(call: Call, w: Work, grant: Grant) -> dict[str, Any]:
    user = {
        "id": grant.user.id, "name": grant.user.name, "domain": _domain(grant.user_domain),
        "password_expires_at": None,
    }  # fmt: skip
    shown: dict[str, Any] = {
        "methods": grant.token.methods, "user": user, "audit_ids": [grant.token.audit_id],
        "issued_at": utc_micros_z(grant.token.issued_at), "expires_at": utc_micros_z(grant.token.expires_at),
    }  # fmt: skip
    if not grant.token.scope_kind:
        return {"token": shown}
    shown["roles"] = [{"id": role.id, "name": role.name} for role in grant.roles]
    if grant.project is not None and grant.domain is not None:
        project = grant.project
        shown["project"] = {"id": project.id, "name": project.name, "domain": _domain(grant.domain)}
        shown["is_domain"] = False
    elif grant.domain is not None:
        shown["domain"] = _domain(grant.domain)
    else:
        shown["system"] = {"all": True}
    if grant.credential is not None:
        shown["application_credential"] = {
            "id": grant.credential.id, "name": grant.credential.name,
            "restricted": not grant.credential.unrestricted,
        }  # fmt: skip
    if grant.trust is not None:
        trust = grant.trust
        shown["OS-TRUST:trust"] = {
            "id": trust.id, "impersonation": trust.impersonation,
            "trustor_user": {"id": trust.trustor_user_id}, "trustee_user": {"id": trust.trustee_user_id},
        }  # fmt: skip
    if "nocatalog" not in call.query:
        shown["catalog"] = entries(call, w)
    return {"token": shown}


def _headers(token: str) -> dict[str, str]:
    return {"X-Subject-Token": token, "Vary": "X-Auth-Token"}


def _subject(call: Call) -> str:
    token: str | None = call.headers.get("X-Subject-Token")
    if not token:
        raise Invalid("The header X-Subject-Token is missing.", field="X-Subject-Token")
    return token


def _resolve_subject(call: Call, token: str, rule: str) -> Grant:
    try:
        grant = tokens.resolve(call.w, token)
    except Unauthenticated as error:
        raise NotFound("token", "given", message="Could not find token.") from error
    policy.require(rule, call.ctx, user_id=grant.user.id)
    return grant


def end(call: Call) -> None:
    token = _subject(call)
    _resolve_subject(call, token, "identity:revoke_token")
    tokens.end(call.w, token)


def _project(project: Any, call: Call) -> dict[str, Any]:
    return {
        "id": project.id, "name": project.name, "domain_id": project.domain_id, "enabled": project.enabled,
        "description": project.description, "parent_id": project.parent_id, "is_domain": False,
        "tags": project.tags, "options": project.options,
        "links": {"self": call.link(f"{ROOT}/projects/{project.id}")},
    }  # fmt: skip


def own_projects(call: Call) -> dict[str, Any]:
    shown = [_project(project, call) for project in projects.of_user(call.w, call.ctx.user_id)]
    return {"projects": shown, **keystone_links(call, "projects", Page(shown))}


def own_domains(call: Call) -> dict[str, Any]:
    mine = [domains.get(call.w, domain_id) for domain_id in roles.targets(call.w, call.ctx.user_id, "domain")]
    shown = [
        {"id": one.id, "name": one.name, "description": one.description, "enabled": True,
         "links": {"self": call.link(f"{ROOT}/domains/{one.id}")}}
        for one in mine if one.enabled
    ]  # fmt: skip
    return {"domains": shown, **keystone_links(call, "domains", Page(shown))}


def own_system(call: Call) -> dict[str, Any]:
    shown = [{"all": True}] if roles.targets(call.w, call.ctx.user_id, "system") else []
    return {"system": shown, "links": {"self": call.link(f"{ROOT}/auth/system")}}


_TOKENS = f"{ROOT}/auth/tokens"
ROUTES = [
    Route("POST", _TOKENS, create, rule=PUBLIC, body=_AUTH, success=201),
    Route("GET", _TOKENS, show, rule="identity:validate_token", policy_in_handler=True, unit="read"),
    Route("DELETE", _TOKENS, end, rule="identity:revoke_token", policy_in_handler=True, success=204, unit="write"),
    Route("GET", f"{ROOT}/auth/catalog", catalog, rule="identity:get_auth_catalog", unit="read"),
    Route("GET", f"{ROOT}/auth/projects", own_projects, rule="identity:get_auth_projects", unit="read"),
    Route("GET", f"{ROOT}/auth/domains", own_domains, rule="identity:get_auth_domains", unit="read"),
    Route("GET", f"{ROOT}/auth/system", own_system, rule="identity:get_auth_system", unit="read"),
]
