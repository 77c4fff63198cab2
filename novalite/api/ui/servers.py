"""Servers in the browser: the live list, one server's page, launching, actions, deletion."""

from __future__ import annotations

from typing import Any

import flask
from werkzeug.wrappers import Response

from novalite.api.ui import launch, server_actions
from novalite.api.ui.formats import plain_text
from novalite.api.ui.parts import of_app
from novalite.api.ui.sessions import current, guarded
from novalite.cloud.compute import (
    block_devices,
    consoles,
    new_servers,
    protection,
    protection_tests,
    queries,
    server_quota,
    servers,
    states,
)
from novalite.cloud.identity import policy, quotas
from novalite.cloud.network import ports
from novalite.cloud.tasks import tasks
from novalite.cloud.volume import volumes
from novalite.context import Context
from novalite.db.paging import Page
from novalite.errors import Conflict, Failed, Invalid, NovaLiteError, Unavailable

PAGE_SIZE = 50
LOG_BYTES = 64 << 10

_RULE = "os_compute_api:"
_NOTES = {"launched": "Asked for. It appears below and becomes ACTIVE by itself.", "deleted": "It is being deleted."}

bp = guarded("servers")


def _is_part() -> bool:
    return "HX-Request" in flask.request.headers


def _list_data(ctx: Context, everyone: bool, marker: str) -> dict[str, Any]:
    filters = queries.Filters(all_projects=everyone, soft_deleted=True)
    with of_app().kit.database.read(ctx) as w:
        rows = queries.page(w, filters, Page(limit=PAGE_SIZE + 1, marker=marker))
        shown = rows[:PAGE_SIZE]
        return {
            "servers": shown,
            "addresses": _addresses(ports.of_devices(w, [server.id for server in shown])),
            "next_marker": shown[-1].id if len(rows) > PAGE_SIZE else "",
            "total": queries.total(w, filters),
            "used": server_quota.usage(w, ctx.project_id),
            "limits": quotas.limits(w, ctx.project_id),
            "everyone": everyone,
            "marker": marker,
        }


def _addresses(found: dict[str, list[ports.PortView]]) -> dict[str, list[str]]:
    return {device: [port.ip_address for port in views if port.ip_address] for device, views in found.items()}


@bp.get("/servers")
def index() -> str:
    ctx, args = current(), flask.request.args
    policy.require(_RULE + "servers:index", ctx)
    everyone = ctx.is_admin and args.get("all") == "1"
    data = _list_data(ctx, everyone, args.get("marker", ""))
    template = "part_servers.html" if _is_part() else "servers.html"
    return flask.render_template(template, note=_NOTES.get(args.get("note", ""), ""), **data)


@bp.get("/servers/new")
def new() -> str:
    policy.require(_RULE + "servers:create", current())
    return flask.render_template("launch.html", problem="", field="", given={}, **launch.choices(current()))


@bp.post("/servers")
def create() -> Response | str:
    ctx, form = current(), flask.request.form
    policy.require(_RULE + "servers:create", ctx)
    try:
        wanted = launch.parse(form)
        with of_app().kit.database.write(ctx) as w:
            made = new_servers.create(w, wanted, boot_seconds=of_app().kit.settings.compute.boot_timeout_seconds)
    except NovaLiteError as error:  # told on the form, beside what was filled in
        field = launch.field_of(error)
        data = launch.choices(ctx)
        page = flask.render_template("launch.html", problem=str(error), field=field, given=form, **data)
        return flask.Response(page, 400 if isinstance(error, Invalid) else 409)
    if len(made) == 1:
        return flask.redirect(f"/servers/{made[0].id}", 303)
    return flask.redirect("/servers?note=launched", 303)


def _server_data(ctx: Context, server_id: str) -> dict[str, Any]:
    with of_app().kit.database.read(ctx) as w:
        server = servers.get(w, server_id, deleted=True)
        views = ports.of_device(w, server_id)
        history = tasks.actions(w, server_id)[:8]
        protections = [found for found in (protection.find(w, server_id),) if found]
        protected = protection.shown(w, protections)
        tested = protection_tests.newest(w, protections).get(server_id)
        disks = [row for row in block_devices.of_server(w, server_id) if row.volume_id]
        known = volumes.get_many(w, [row.volume_id for row in disks if row.volume_id])
    return {
        "server": server,
        "ports": views,
        "history": history,
        "volumes": [(row, known[row.volume_id]) for row in disks if row.volume_id in known],
        "protected": protected[0] if protected else None,
        "tested": tested,
        "actions": server_actions.offered(server, ctx),
        "may_delete": server.deleted_at is None and policy.allows(_RULE + "servers:delete", ctx),
        "console_open": server.deleted_at is None and server.host and server.vm_state in _WITH_CONSOLE,
    }


_WITH_CONSOLE = (states.ACTIVE, states.PAUSED, states.RESCUED, states.BUILDING)


def _page(ctx: Context, server_id: str) -> str:
    template = "part_server.html" if _is_part() else "server.html"
    return flask.render_template(template, **_server_data(ctx, server_id))


@bp.get("/servers/<uuid:server_id>")
def show(server_id: Any) -> str:
    policy.require(_RULE + "servers:show", current())
    return _page(current(), str(server_id))


@bp.post("/servers/<uuid:server_id>/action")
def act(server_id: Any) -> Response | str:
    ctx, action = current(), flask.request.form.get("action", "")
    with of_app().kit.database.write(ctx) as w:
        server_actions.ask(w, str(server_id), action)
    return _page(ctx, str(server_id)) if _is_part() else flask.redirect(f"/servers/{server_id}", 303)


@bp.get("/servers/<uuid:server_id>/delete")
def confirm_delete(server_id: Any) -> str:
    policy.require(_RULE + "servers:delete", current())
    with of_app().kit.database.read(current()) as w:
        server = servers.get(w, str(server_id))
    kept = server_actions.kept_seconds(server)
    return flask.render_template("delete.html", server=server, kept_minutes=-(-kept // 60))


@bp.post("/servers/<uuid:server_id>/delete")
def delete(server_id: Any) -> Response:
    with of_app().kit.database.write(current()) as w:
        server_actions.delete(w, str(server_id))
    return flask.redirect("/servers?note=deleted", 303)


@bp.get("/servers/<uuid:server_id>/log")
def console_log(server_id: Any) -> str:
    ctx = current()
    policy.require(_RULE + "os-console-output", ctx)
    with of_app().kit.database.read(ctx) as w:
        host = servers.get(w, str(server_id), deleted=True).host
    text, problem = "", ""
    if host:
        try:
            data = of_app().kit.links.driver(host).console_text(str(server_id), LOG_BYTES)
            text = plain_text(data)
        except (Failed, Unavailable) as error:  # the rest of the page is of use without it
            problem = "" if error.code == "guest.not_found" else str(error)
    return flask.render_template("part_log.html", text=text, problem=problem)


@bp.get("/servers/<uuid:server_id>/console")
def console(server_id: Any) -> str:
    """The console inside the UI. Asking for the page makes a token, so other sites may not ask for it."""
    ctx = current()
    policy.require(_RULE + "os-remote-consoles", ctx)
    kind = "serial" if flask.request.args.get("kind") == "serial" else "vnc"
    options = of_app().kit.settings.console
    with of_app().kit.database.write(ctx) as w:
        server = servers.get(w, str(server_id))
        if not server.host:
            raise Conflict(
                f"{server.name} has no host yet, so it has no console.",
                hint="Wait until it is ACTIVE.",
                code="server.state",
            )
        api_type = "serial" if kind == "serial" else "novnc"
        token = consoles.issue(w, server.id, kind, api_type, seconds=options.token_seconds)
    return flask.render_template("console.html", server=server, kind=kind, source=consoles.page(token, kind))
