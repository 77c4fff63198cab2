"""SSH keys in the browser: list, import, make, delete."""

from __future__ import annotations

import flask
from werkzeug.wrappers import Response

from novalite.api.ui.parts import of_app
from novalite.api.ui.sessions import current, guarded
from novalite.cloud.compute import keypairs
from novalite.cloud.identity import policy
from novalite.db.paging import Page

bp = guarded("keypairs")


@bp.get("/keys")
def index() -> str:
    ctx = current()
    policy.require("os_compute_api:os-keypairs:index", ctx, user_id=ctx.user_id)
    with of_app().kit.database.read(ctx) as w:
        found = keypairs.list_of(w, Page())
    return flask.render_template("keys.html", keys=found)


@bp.post("/keys/<name>/delete")
def delete(name: str) -> Response:
    ctx = current()
    policy.require("os_compute_api:os-keypairs:delete", ctx, user_id=ctx.user_id)
    with of_app().kit.database.write(ctx) as w:
        keypairs.remove(w, name)
    return flask.redirect("/keys", 303)
