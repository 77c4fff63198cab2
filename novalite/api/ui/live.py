"""The stream of live events: a page listens to it and asks anew for what has changed."""

from __future__ import annotations

from werkzeug.wrappers import Response

from novalite.api.kit.handoff import handoff
from novalite.api.ui.parts import of_app
from novalite.api.ui.sessions import current, guarded, session_id

bp = guarded("live")


@bp.get("/live")
def events() -> Response:
    ctx, session, streams = current(), session_id(), of_app().streams
    return handoff(
        lambda sock, leftover: streams.adopt(
            sock, session=session, project_id=ctx.project_id, is_admin=ctx.is_admin, leftover=leftover
        ),
        status=200,
    )
