"""SSH keys in the browser: list, import, make, delete."""

from __future__ import annotations

import re
from typing import Any

import flask
from werkzeug.wrappers import Response

from novalite.api.ui import ssh_keys
from novalite.api.ui.parts import of_app
from novalite.api.ui.sessions import current, guarded
from novalite.cloud.compute import keypairs
from novalite.cloud.identity import policy, quotas
from novalite.context import Context
from novalite.db.paging import Page
from novalite.errors import Conflict, Invalid, NovaLiteError, OverQuota

_RULE = "os_compute_api:os-keypairs:"
_NAME = re.compile(r"[A-Za-z0-9_.@ -]{1,255}")

bp = guarded("keypairs")


def _page(ctx: Context, **more: Any) -> str:
    with of_app().kit.database.read(ctx) as w:
        found = keypairs.list_of(w, Page())
    shown: dict[str, Any] = {"problem": "", "field": "", "given": {}, "private": "", "made": "", **more}
    return flask.render_template("keys.html", keys=found, **shown)


def _require(action: str) -> Context:
    ctx = current()
    policy.require(_RULE + action, ctx, user_id=ctx.user_id)
    return ctx


@bp.get("/keys")
def index() -> str:
    return _page(_require("index"))


@bp.post("/keys")
def create() -> Response | str:
    """Without a public key a new pair is made, and its private half shown on this one answer only."""
    ctx, form = _require("create"), flask.request.form
    try:
        name, private = _add(ctx, form.get("name", "").strip(), form.get("public_key", "").strip())
    except (Invalid, Conflict, OverQuota) as error:  # told on the form
        page = _page(ctx, problem=str(error), field=_field(error), given=form)
        return flask.Response(page, 400 if isinstance(error, Invalid) else 409)
    return _page(ctx, private=private, made=name) if private else flask.redirect("/keys", 303)


def _field(error: NovaLiteError) -> str:
    return "name" if isinstance(error, Conflict) else str(error.facts.get("field", ""))


def _add(ctx: Context, name: str, public: str) -> tuple[str, str]:
    if not _NAME.fullmatch(name):
        raise Invalid("A name has letters, digits, spaces and _ . @ - in it, 255 at most.", field="name")
    private = ""
    if public:
        public = ssh_keys.read_public(public)
    else:
        private, public = ssh_keys.new_pair(name.replace(" ", "-"))
    with of_app().kit.database.write(ctx) as w:
        limit = quotas.limits(w, ctx.project_id)["key_pairs"]
        print_of = ssh_keys.fingerprint(public)
        keypairs.add(w, name=name, type="ssh", public_key=public, fingerprint=print_of, limit=limit)
    return name, private


@bp.post("/keys/<path:name>/delete")
def delete(name: str) -> Response:
    ctx = _require("delete")
    with of_app().kit.database.write(ctx) as w:
        keypairs.remove(w, name)
    return flask.redirect("/keys", 303)
