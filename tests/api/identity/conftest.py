"""An identity front over a real database in a file, and callers with tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from novalite import settings
from novalite.api.identity.front import FRONT
from novalite.api.kit import faults
from novalite.api.kit.auth import TokenAuth
from novalite.api.kit.dispatch import mount
from novalite.api.kit.parts import Parts
from novalite.api.kit.routes import Front
from novalite.cloud.identity import bootstrap, quotas, revocation, tokens
from novalite.context import Context, internal
from novalite.db.work import Database
from tests.databases import declared

PASSWORD = "correct horse"
Ask = Callable[..., Any]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(declared(tmp_path / "cloud.db"))
    with database.write(internal()) as w:
        bootstrap.first_admin(w, PASSWORD)
        quotas.configure(w, settings.Quota())
    yield database
    database.close()


@pytest.fixture
def client(database: Database) -> FlaskClient:
    app = flask.Flask("test")

    def resolve(token: str) -> tuple[Context, Any]:
        with database.read(Context()) as w:
            grant = tokens.resolve(w, token)
            return grant.ctx, grant.token.expires_at

    options = settings.Settings(state_dir="/nowhere", identity=settings.Identity(lockout_failures=5))
    parts = Parts(options, database, TokenAuth(resolve, revocation.epoch))
    mount(app, FRONT, parts)
    mount(app, Front("compute", "/compute", [], faults.NOVA), parts)
    return app.test_client()


def password_body(name: str, password: str, scope: Any = None) -> dict[str, Any]:
    user = {"name": name, "password": password, "domain": {"name": "Default"}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if scope is not None:
        auth["scope"] = scope
    return {"auth": auth}


def project_scope(name: str) -> dict[str, Any]:
    return {"project": {"name": name, "domain": {"id": "default"}}}


@pytest.fixture
def log_in(client: FlaskClient) -> Ask:
    """``log_in("alice", "secret", scope)`` gives the answer to POST /auth/tokens."""

    def ask(name: str, password: str = PASSWORD, scope: Any = None) -> Any:
        return client.post("/identity/v3/auth/tokens", json=password_body(name, password, scope))

    return ask


@pytest.fixture
def ask(client: FlaskClient) -> Ask:
    """``ask(token, "GET", "/users", {...})`` below /identity/v3."""

    def send(token: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return client.open(f"/identity/v3{path}", method=method, json=body, headers={"X-Auth-Token": token, **headers})

    return send


@pytest.fixture
def admin(log_in: Ask) -> str:
    return str(log_in("admin").headers["X-Subject-Token"])


@pytest.fixture
def member(ask: Ask, admin: str, log_in: Ask) -> dict[str, str]:
    """A user alice with the role member in a project demo; ids, and a token there."""
    project = ask(admin, "POST", "/projects", {"project": {"name": "demo"}}).json["project"]
    user = ask(admin, "POST", "/users", {"user": {"name": "alice", "password": PASSWORD}}).json["user"]
    role = ask(admin, "GET", "/roles?name=member").json["roles"][0]
    path = f"/projects/{project['id']}/users/{user['id']}/roles/{role['id']}"
    assert ask(admin, "PUT", path).status_code == 204
    token = log_in("alice", scope=project_scope("demo")).headers["X-Subject-Token"]
    return {"token": token, "user": user["id"], "project": project["id"], "role": role["id"], "grant": path}
