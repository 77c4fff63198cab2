"""One caller for each role and each kind of scope, and who of them belongs to which audience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.api.conftest import Appliance

PASSWORD = "a-long-passphrase"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
ROLES = ("reader", "member", "manager", "service")
EVERYBODY = frozenset(
    {"nobody", "unscoped", *ROLES, "admin", "stranger", "system_reader", "system_admin"}
)  # fmt: skip
"""``stranger`` is a member of another project; the others with roles are in one project, ``admin`` in its own."""
_TOKENS = EVERYBODY - {"nobody"}
_SYSTEM = {"system_reader", "system_admin"}
_READERS = {"reader", "member", "manager", "admin"}
AUDIENCES: dict[str, frozenset[str]] = {
    "public": EVERYBODY,
    "token": _TOKENS,
    "project": _TOKENS - _SYSTEM - {"unscoped"},
    "reader": frozenset({*_READERS, "stranger"}),
    "reader_here": frozenset(_READERS),
    "member": frozenset({"member", "manager", "admin", "stranger"}),
    "manager": frozenset({"manager", "admin"}),
    "service": frozenset({"service", "admin"}),
    "admin": frozenset({"admin"}),
    "cloud_admin": frozenset({"admin", "system_admin"}),
    "system": frozenset({"admin", *_SYSTEM}),
    "here": frozenset({"admin", *_SYSTEM, *ROLES}),
    "own": frozenset({"member", "admin", *_SYSTEM}),
    "self": frozenset({"member"}),
    "self_or_admin": frozenset({"member", "admin", "system_admin"}),
    "keys_of": frozenset({"member", "admin"}),
    "subject": frozenset({"member", "service", "admin", *_SYSTEM}),
    "ender": frozenset({"member", "admin", "system_admin"}),
}
"""Who is let through. ``here`` and ``reader_here`` are about the project of the roles; ``own``, ``self``,
``self_or_admin`` and ``keys_of`` about the user ``member``, ``subject`` and ``ender`` about its token."""


@dataclass(frozen=True)
class Callers:
    """``tokens`` by caller; ``project_id`` is that of the roles, ``user_id`` that of ``member``."""

    appliance: Appliance
    tokens: dict[str, str]
    project_id: str
    user_id: str

    def log_in(self, name: str, scope: Any) -> str:
        user = {"name": name, "domain": {"id": "default"}, "password": PASSWORD}
        identity = {"methods": ["password"], "password": {"user": user}}
        answer = self.appliance.client.post(
            "/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
        )
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def fresh_member(self) -> str:
        """A new token of ``member``, to be looked at or ended by others."""
        return self.log_in("member", {"project": {"id": self.project_id}})


def gather(appliance: Appliance) -> Callers:
    """All callers, made in an appliance that has none of them."""
    role_ids = {role["name"]: role["id"] for role in _identity(appliance, "GET", "roles")["roles"]}
    project_id = _identity(appliance, "POST", "projects", {"project": {"name": "shared"}})["project"]["id"]
    users = {name: _user(appliance, name) for name in (*ROLES, *_SYSTEM, "unscoped")}
    for name in ROLES:
        _identity(appliance, "PUT", f"projects/{project_id}/users/{users[name]}/roles/{role_ids[name]}")
    for name in _SYSTEM:
        role = role_ids[name.removeprefix("system_")]
        _identity(appliance, "PUT", f"system/users/{users[name]}/roles/{role}")
    made = Callers(appliance, {"nobody": ""}, project_id, users["member"])
    made.tokens["admin"], made.tokens["stranger"] = appliance.token(), appliance.member("stranger")
    made.tokens["unscoped"] = made.log_in("unscoped", "unscoped")
    for name in ROLES:
        made.tokens[name] = made.log_in(name, {"project": {"id": project_id}})
    for name in _SYSTEM:
        made.tokens[name] = made.log_in(name, {"system": {"all": True}})
    return made


def _user(appliance: Appliance, name: str) -> str:
    return str(_identity(appliance, "POST", "users", {"user": {"name": name, "password": PASSWORD}})["user"]["id"])


def _identity(appliance: Appliance, method: str, path: str, body: Any = None) -> Any:
    given = {} if body is None else {"json": body}
    answer = appliance.call(method, f"/identity/v3/{path}", **given)
    assert answer.status_code < 300, f"{method} {path}: {answer.text}"
    return answer.json
