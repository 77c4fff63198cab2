"""How the UI begins and ends each request, and how it tells errors: in words, never with a trace."""

from __future__ import annotations

import time

import flask
import structlog
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from novalite import errors, logs
from novalite.api.kit.faults import Faults
from novalite.api.ui import sessions
from novalite.api.ui.security import add_headers
from novalite.context import new_request_id

LONGEST_FORM_BYTES = 256 << 10
_log = logs.get("ui")
_statuses = Faults(lambda status, error: None)

_HEADINGS = {
    400: "That cannot be done",
    403: "Not allowed",
    404: "Not found",
    409: "Not now",
    413: "Too large",
    503: "Not reachable at the moment",
}


def begin() -> None:
    flask.request.max_content_length = LONGEST_FORM_BYTES
    flask.g.request_id = new_request_id()
    flask.g.started = time.monotonic()
    structlog.contextvars.bind_contextvars(request_id=flask.g.request_id)


def finish(response: Response) -> Response:
    request = flask.request
    add_headers(response)
    response.headers["X-Request-Id"] = flask.g.request_id
    if not request.path.startswith("/static/"):
        _log.info(
            "request", front="ui", method=request.method, path=request.path, status=response.status_code,
            milliseconds=round((time.monotonic() - flask.g.started) * 1000, 1),
        )  # fmt: skip
    structlog.contextvars.unbind_contextvars("request_id")
    return response


def told(error: errors.NovaLiteError) -> Response:
    """An error of ours, as a page; as a part of one for a request that htmx made; login when that helps."""
    if isinstance(error, errors.Unauthenticated):
        return sessions.to_login()
    status = _statuses.status(error)
    if flask.request.path == "/console/websocket":
        # whoever wants to speak WebSocket would take words for frames
        upgrade = flask.request.headers.get("Upgrade", "").lower() == "websocket"
        return flask.Response("" if upgrade else f"{error}\n", status, mimetype="text/plain")
    return _page(status, _HEADINGS.get(status, "That went wrong"), error.message, error.hint)


def told_of_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    return _page(status, _HEADINGS.get(status, "That cannot be done"), error.description or "", "")


def unforeseen(error: Exception) -> Response:
    _log.error("unforeseen error", path=flask.request.path, exc_info=error)
    return _page(
        500, "Something went wrong inside NovaLite",
        "This was not foreseen. Your servers are not affected by an error in a page.",
        f"Try again; if it stays, look for {flask.g.request_id} in the log.",
    )  # fmt: skip


def no_such_page(error: HTTPException) -> Response:
    """For paths that neither the UI nor any API has."""
    if "text/html" in flask.request.headers.get("Accept", ""):
        begin()
        text, hint = "There is no such page.", "Start again from the list of servers."
        return add_headers(_page(error.code or 404, "Not found", text, hint))
    return error.get_response()


def _page(status: int, heading: str, message: str, hint: str) -> Response:
    is_part = "HX-Request" in flask.request.headers
    html = flask.render_template(
        "part_error.html" if is_part else "error.html", heading=heading, message=message, hint=hint
    )
    # what was asked for stays as it is; the error is told above it
    headers = {"HX-Retarget": "#alerts", "HX-Reswap": "innerHTML"} if is_part else {}
    return flask.Response(html, status, headers)
