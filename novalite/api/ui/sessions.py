"""Who is at the browser: log in and out, choose a project. The session is an identity token in a cookie."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import flask
from werkzeug.wrappers import Response

from novalite.api.ui.parts import UiParts, of_app
from novalite.api.ui.security import form_token, refuse_foreign_origin, refuse_forged_form
from novalite.cloud.identity import projects, tokens
from novalite.cloud.identity.login import Named, Wish
from novalite.cloud.identity.records import Project
from novalite.context import Context
from novalite.errors import NotFound, Unauthenticated

bp = flask.Blueprint("sessions", __name__)

LONGEST_INPUT = 1024


def guarded(name: str) -> flask.Blueprint:
    """A blueprint whose pages need a login, and whose forms must be our own."""
    blueprint = flask.Blueprint(name, __name__)
    blueprint.before_request(_require_login)
    return blueprint


def cookie_name(parts: UiParts) -> str:
    """Cookies do not know ports: appliances side by side on one machine each need a name of their own."""
    http = parts.kit.settings.http
    return "__Host-novalite" if http.secure_cookies else f"novalite-{http.port}"


def cookie_token() -> str:
    return flask.request.cookies.get(cookie_name(of_app()), "")


def current() -> Context:
    """Who asks. Raises ``Unauthenticated``; asks the token's room once per request."""
    known: Context | None = flask.g.get("ctx")
    if known is None:
        found = of_app().kit.tokens.authenticate(cookie_token())
        known = flask.g.ctx = dataclasses.replace(found, request_id=flask.g.request_id)
    return known


def is_signed_in() -> bool:
    return "ctx" in flask.g


def session_id() -> str:
    """Names the session to whoever holds its connections, without telling the token."""
    return hashlib.sha256(cookie_token().encode()).hexdigest()


def own_form_token() -> str:
    return form_token(cookie_token())


def own_projects() -> list[Project]:
    """The projects the user may switch to."""
    with of_app().kit.database.read(current()) as w:
        return projects.of_user(w, w.ctx.user_id)


def _require_login() -> None:
    current()
    if flask.request.method not in ("GET", "HEAD"):
        refuse_forged_form(flask.request, cookie_token(), of_app().public_url)


def to_login() -> Response:
    """Where someone goes whose session is missing or over."""
    request = flask.request
    if "HX-Request" in request.headers:
        return flask.Response("", 401, {"HX-Redirect": "/login?ended=1"})
    if "text/event-stream" in request.headers.get("Accept", ""):
        return flask.Response("The session has ended.\n", 401, mimetype="text/plain")
    wanted = request.full_path.rstrip("?") if request.method == "GET" else ""
    query: dict[str, Any] = {"next": wanted} if wanted not in ("", "/", "/servers") else {}
    if cookie_token():
        query["ended"] = 1
    return flask.redirect(flask.url_for("ui.sessions.login", **query), 303)


def local_path(text: str) -> str:
    """``text`` if it is a path of this site, else the start page: nobody is sent elsewhere after a login."""
    is_local = text.startswith("/") and not text.startswith(("//", "/\\")) and "\\" not in text
    return text if is_local and all(" " <= character < "\x7f" for character in text) else "/servers"


@bp.get("/login")
def login() -> str:
    return _form("Your session has ended. Log in again." if flask.request.args.get("ended") else "")


def _form(problem: str, name: str = "") -> str:
    args, form = flask.request.args, flask.request.form
    wanted = local_path(form.get("next", "") or args.get("next", ""))
    return flask.render_template("login.html", problem=problem, name=name, next=wanted)


@bp.post("/login")
def log_in() -> Response:
    parts, form = of_app(), flask.request.form
    refuse_foreign_origin(flask.request, parts.public_url)
    name, password = form.get("name", "")[:LONGEST_INPUT], form.get("password", "")[:LONGEST_INPUT]
    ctx = Context(request_id=flask.g.request_id)
    try:
        token, grant = parts.logins.log_in(name, password, ctx)
    except Unauthenticated as error:
        waiting = error.code == "auth.waiting"
        text = error.message if waiting else "The name or the password is not right."
        return flask.Response(_form(text, name), 429 if waiting else 401)
    if not grant.ctx.project_id:
        token = _into_first_project(parts, token, grant.ctx)
    return _with_cookie(flask.redirect(local_path(form.get("next", "")), 303), token)


def _into_first_project(parts: UiParts, token: str, ctx: Context) -> str:
    """A user without a project of his own starts in the first he has a role in; in none if there is none."""
    with parts.kit.database.read(ctx) as w:
        mine = projects.of_user(w, ctx.user_id)
    return _switch(parts, token, mine[0].id, ctx) if mine else token


def _switch(parts: UiParts, token: str, project_id: str, ctx: Context) -> str:
    made, _ = parts.logins.issue(parts.logins.token(token), Wish("project", Named(id=project_id)), ctx)
    _end(parts, token, ctx)
    return made


def _end(parts: UiParts, token: str, ctx: Context) -> None:
    with parts.kit.database.write(ctx) as w:
        tokens.end(w, token)
    parts.streams.end_session(hashlib.sha256(token.encode()).hexdigest())


def _with_cookie(response: Response, token: str) -> Response:
    parts = of_app()
    response.set_cookie(
        cookie_name(parts), token, httponly=True, samesite="Strict", path="/",
        secure=parts.kit.settings.http.secure_cookies,
    )  # fmt: skip
    return response


@bp.post("/logout")
def log_out() -> Response:
    parts, token = of_app(), cookie_token()
    ctx = current()
    refuse_forged_form(flask.request, token, parts.public_url)
    _end(parts, token, ctx)
    response = flask.redirect("/login", 303)
    response.delete_cookie(
        cookie_name(parts), path="/", httponly=True, samesite="Strict",
        secure=parts.kit.settings.http.secure_cookies,
    )  # fmt: skip
    return response


@bp.post("/project")
def choose_project() -> Response:
    parts, token, ctx = of_app(), cookie_token(), current()
    refuse_forged_form(flask.request, token, parts.public_url)
    wanted = flask.request.form.get("project_id", "")
    if wanted not in {project.id for project in own_projects()}:
        raise NotFound("project", wanted)
    return _with_cookie(flask.redirect("/servers", 303), _switch(parts, token, wanted, ctx))
