"""Volumes in the browser: the live list, one volume's page with its snapshots and backups, making, deleting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flask
from werkzeug.wrappers import Response

from novalite.api.ui import volume_actions, volume_form
from novalite.api.ui.parts import of_app
from novalite.api.ui.sessions import current, guarded
from novalite.cloud.compute import queries
from novalite.cloud.identity import policy
from novalite.cloud.volume import attachments, backups, listing, new_volumes, snapshots, types, usage, volumes
from novalite.cloud.volume.records import Volume, VolumeAttachment
from novalite.context import Context
from novalite.db.paging import Page
from novalite.db.work import Work
from novalite.errors import Invalid, NovaLiteError

PAGE_SIZE = 50
_BACKUPS_SHOWN = 50

bp = guarded("volumes")


def _template(name: str, **data: Any) -> str:
    part = "HX-Request" in flask.request.headers
    return flask.render_template(f"part_{name}.html" if part else f"{name}.html", **data)


def _server_names(w: Work, found: Iterable[VolumeAttachment]) -> dict[str, str]:
    found_servers = queries.by_ids(w, [each.server_id for each in found if each.server_id])
    return {server_id: server.name for server_id, server in found_servers.items()}


def _list_data(ctx: Context, marker: str) -> dict[str, Any]:
    with of_app().kit.database.read(ctx) as w:
        rows = listing.page_of(w, Volume, listing.Filters(), Page(limit=PAGE_SIZE + 1, marker=marker))
        shown = rows[:PAGE_SIZE]
        using = attachments.of_volumes(w, [volume.id for volume in shown])
        return {
            "volumes": shown,
            "using": using,
            "server_names": _server_names(w, [each for found in using.values() for each in found]),
            "type_names": types.names(w),
            "used": usage.used(w, ctx.project_id),
            "limits": usage.limits(w, ctx.project_id),
            "next_marker": shown[-1].id if len(rows) > PAGE_SIZE else "",
            "marker": marker,
        }


@bp.get("/volumes")
def index() -> str:
    policy.require("volume:get_all", current())
    return _template("volumes", **_list_data(current(), flask.request.args.get("marker", "")))


@bp.get("/volumes/new")
def new() -> str:
    policy.require("volume:create", current())
    given = {name: flask.request.args.get(name, "") for name in ("source", "size", "name")}
    return flask.render_template("volume_new.html", problem="", field="", given=given,
                                 **volume_form.choices(current()))  # fmt: skip


@bp.post("/volumes")
def create() -> Response:
    ctx, form = current(), flask.request.form
    policy.require("volume:create", ctx)
    try:
        wanted = volume_form.parse(form)
        if wanted.image_id:
            policy.require("volume:create_from_image", ctx)
        with of_app().kit.database.write(ctx) as w:
            made = new_volumes.create(w, wanted)
    except NovaLiteError as error:  # told on the form, beside what was filled in
        page = flask.render_template("volume_new.html", problem=str(error), field=volume_form.field_of(error),
                                     given=form, **volume_form.choices(ctx))  # fmt: skip
        return flask.Response(page, 400 if isinstance(error, Invalid) else 409)
    return flask.redirect(f"/volumes/{made.id}", 303)


def _volume_data(ctx: Context, volume_id: str) -> dict[str, Any]:
    with of_app().kit.database.read(ctx) as w:
        volume = volumes.get(w, volume_id)
        using = attachments.of_volumes(w, [volume.id])[volume.id]
        return {
            "volume": volume,
            "using": using,
            "server_names": _server_names(w, using),
            "type_name": types.names(w).get(volume.type_id or "", "none"),
            "snapshots": snapshots.of_volumes(w, [volume.id])[::-1],
            "backups": backups.list_all(w, Page(limit=_BACKUPS_SHOWN), equal={"volume_id": volume.id}),
            "actions": volume_actions.offered(volume, ctx),
            "servers": volume_actions.possible_servers(w) if volume_actions.may_attach(volume, ctx) else [],
            "may_delete": volume.status in volumes.DELETABLE and policy.allows("volume:delete", ctx),
        }


def _page(volume_id: str) -> str:
    return _template("volume", **_volume_data(current(), volume_id))


@bp.get("/volumes/<uuid:volume_id>")
def show(volume_id: Any) -> str:
    policy.require("volume:get", current())
    return _page(str(volume_id))


@bp.post("/volumes/<uuid:volume_id>/action")
def act(volume_id: Any) -> Response | str:
    with of_app().kit.database.write(current()) as w:
        volume_actions.ask(w, str(volume_id), flask.request.form)
    if "HX-Request" in flask.request.headers:
        return _page(str(volume_id))
    return flask.redirect(f"/volumes/{volume_id}", 303)


@bp.get("/volumes/<uuid:volume_id>/delete")
def confirm_delete(volume_id: Any) -> str:
    policy.require("volume:delete", current())
    with of_app().kit.database.read(current()) as w:
        volume = volumes.get(w, str(volume_id))
        kept = len(snapshots.of_volumes(w, [volume.id]))
    return flask.render_template("volume_delete.html", volume=volume, kept=kept)


@bp.post("/volumes/<uuid:volume_id>/delete")
def delete(volume_id: Any) -> Response:
    """With its snapshots: the page before has told how many go along."""
    policy.require("volume:delete", current())
    with of_app().kit.database.write(current()) as w:
        volumes.delete(w, str(volume_id), cascade=True)
    return flask.redirect("/volumes", 303)
