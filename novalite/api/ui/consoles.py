"""Consoles in the browser: their pages, the WebSocket behind them, and the answer to "why does it fail"."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import parse_qs

import flask

from novalite.api.kit.handoff import handoff
from novalite.api.ui.parts import UiParts, of_app
from novalite.api.ui.security import policy_text, refuse_foreign_origin
from novalite.cloud.compute import consoles
from novalite.cloud.compute.consoles import ConsoleGrant
from novalite.context import Context
from novalite.drivers.compute.base import ConsoleKind, Power
from novalite.errors import Forbidden, NovaLiteError

INVALID_TOKEN = "This console address has expired or was withdrawn. Open the console again from the server's page."  # noqa: S105

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,260}")

bp = flask.Blueprint("consoles", __name__, url_prefix="/console")


def asked_token() -> str:
    """The token of the request: a parameter of its own, or nested in ``path`` as noVNC's pages have it."""
    args = flask.request.args
    nested = parse_qs(args.get("path", "").rpartition("?")[2]).get("token", [""])
    return args.get("token") or nested[0]


def granted(parts: UiParts, token: str) -> ConsoleGrant | None:
    with parts.kit.database.read(Context()) as w:
        return consoles.check(w, token) if token else None


def _own_sockets() -> str:
    """This site's WebSockets by name: not every browser counts them as ``'self'``."""
    host = flask.request.host
    return f"'self' ws://{host} wss://{host}" if _HOST.fullmatch(host) else "'self'"


def _page(template: str, title: str, **policy: str) -> flask.Response:
    grant = granted(of_app(), asked_token())
    html = flask.render_template(
        template,
        title=f"{title} of {grant.server_name}" if grant else title,
        server_name=grant.server_name if grant else "",
        problem="" if grant else INVALID_TOKEN,
    )
    headers = {"Content-Security-Policy": policy_text(connect_src=_own_sockets(), **policy)}
    return flask.Response(html, 200 if grant else 403, headers)


@bp.get("/vnc_auto.html")
@bp.get("/vnc_lite.html")
def vnc_page() -> flask.Response:
    return _page("console_vnc.html", "Screen")


@bp.get("/serial.html")
def serial_page() -> flask.Response:
    # the terminal makes its own style sheets; scripts stay as restricted as everywhere
    return _page("console_serial.html", "Serial console", style_src="'self' 'unsafe-inline'")


@bp.get("/check")
def check() -> Any:
    """Which hop a console fails at, for the page that could not open it: ``{"hop": "" | token | guest}``."""
    parts = of_app()
    grant = granted(parts, asked_token())
    if grant is None:
        return flask.jsonify(hop="token", text=INVALID_TOKEN)
    try:
        state = parts.kit.links.driver(grant.host).guest(grant.server_id)
    except NovaLiteError as error:
        return flask.jsonify(hop="guest", text=str(error))
    if state.power not in (Power.RUNNING, Power.PAUSED):
        return flask.jsonify(hop="guest", text=f"The guest is {state.power}: start it to see its console.")
    return flask.jsonify(hop="", text="")


def websocket() -> flask.Response:
    """Hands the connection to the proxy. 403 for a foreign origin or a token that opens nothing."""
    parts, request, token = of_app(), flask.request, asked_token()
    refuse_foreign_origin(request, parts.public_url)
    grant = granted(parts, token)
    if grant is None:
        raise Forbidden(INVALID_TOKEN, code="console.token_invalid")
    problem = _not_a_websocket(request)
    if problem:
        return flask.Response(problem + "\n", 426, {"Upgrade": "websocket"}, mimetype="text/plain")
    headers, server_id = dict(request.headers), grant.server_id

    def target() -> socket.socket:
        # asked again, now that the proxy knows the console: a revocation in between must not be missed
        now = granted(parts, token)
        if now is None:
            raise Forbidden(INVALID_TOKEN, code="console.token_invalid")
        driver = parts.kit.links.driver(now.host)
        found: socket.socket = driver.console(now.server_id, ConsoleKind(now.kind))
        return found

    return handoff(
        lambda sock, leftover: parts.consoles.adopt(sock, headers, target, server_id=server_id, leftover=leftover)
    )


def _not_a_websocket(request: flask.Request) -> str:
    if request.headers.get("Upgrade", "").lower() != "websocket":
        return "A console is reached by a WebSocket."
    if request.headers.get("Sec-WebSocket-Version") not in ("13", "8", "7"):
        return "This version of WebSocket is not known here."
    if not request.headers.get("Sec-WebSocket-Key"):
        return "The WebSocket request has no key."
    return ""


# werkzeug keeps upgrade requests and others apart: one path, two rules
bp.add_url_rule("/websocket", "websocket", websocket, methods=["GET"])
bp.add_url_rule("/websocket", "websocket_upgrade", websocket, methods=["GET"], websocket=True)
