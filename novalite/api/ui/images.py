"""Images in the browser: what there is to boot from."""

from __future__ import annotations

import flask

from novalite.api.ui.parts import of_app
from novalite.api.ui.sessions import current, guarded
from novalite.cloud.identity import policy
from novalite.cloud.image import images

bp = guarded("images")


@bp.get("/images")
def index() -> str:
    ctx = current()
    policy.require("get_images", ctx)
    with of_app().kit.database.read(ctx) as w:
        found = images.list_visible(w)
    template = "part_images.html" if "HX-Request" in flask.request.headers else "images.html"
    return flask.render_template(template, images=found)
