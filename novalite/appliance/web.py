"""The WSGI application: every front below its prefix, the UI at the root, health for whoever waits."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import flask

from novalite import __version__, clock
from novalite.api.admin import front as admin
from novalite.api.compute import front as compute
from novalite.api.identity import front as identity
from novalite.api.image import front as image
from novalite.api.kit.auth import TokenAuth
from novalite.api.kit.dispatch import mount
from novalite.api.kit.parts import Parts
from novalite.api.network import front as network
from novalite.api.ui import app as ui
from novalite.api.volume import front as volume
from novalite.appliance.engine import Engine
from novalite.cloud.hosts import hosts
from novalite.cloud.identity import revocation, tokens
from novalite.cloud.tasks import tasks
from novalite.context import Context, internal
from novalite.engine import doctor


def application(engine: Engine) -> flask.Flask:
    """One application for all; it holds no state of its own."""
    built = engine.built
    app = flask.Flask("novalite", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = None
    parts = Parts(
        settings=built.settings, database=built.database, tokens=_token_auth(engine), links=built.links,
        image_store=built.store, network_driver=built.network, volume_driver=built.parts.volumes,
        backups=built.parts.backups,
    )  # fmt: skip
    fronts = (
        identity.FRONT,
        compute.FRONT,
        image.FRONT,
        network.FRONT,
        volume.FRONT,
        admin.front(lambda: status(engine), lambda: examine(engine)),
    )
    for each in fronts:
        mount(app, each, parts)
    ui.mount(app, parts, logins=parts.logins, proxy=engine.proxy, hub=engine.hub)

    @app.get("/healthz")
    def healthz() -> Any:
        ready = engine.ready.is_set()
        return flask.Response("ok\n" if ready else "starting\n", 200 if ready else 503, mimetype="text/plain")

    return app


def _token_auth(engine: Engine) -> TokenAuth:
    database = engine.built.database

    def resolve(token: str) -> tuple[Context, datetime]:
        with database.read(Context()) as w:
            grant = tokens.resolve(w, token)
            return grant.ctx, grant.token.expires_at

    return TokenAuth(resolve, revocation.epoch)


def status(engine: Engine) -> dict[str, Any]:
    """Components with thread, state, restarts and backlog; hosts with their health; tasks by state."""
    settings = engine.built.settings
    with engine.built.database.read(internal()) as w:
        backlog = tasks.backlog(w)
        machines = [
            {
                "name": host.name,
                "state": "up" if hosts.is_up(host, w.now, settings.scheduler.host_down_seconds) else "down",
                "enabled": host.enabled,
                "virt_type": host.report.get("virt_type", ""),
                "virt_verdict": host.report.get("virt_verdict", ""),
                "servers": host.server_count,
                "problem": hosts.problem(host),
            }
            for host in hosts.everyone(w)
        ]
    return {
        "version": __version__,
        "ready": engine.ready.is_set(),
        "uptime_seconds": round((clock.now() - engine.started_at).total_seconds(), 1),
        "components": [asdict(component) for component in engine.status()],
        "jobs_failed": dict(engine.periodic.last_errors),
        "tasks": backlog,
        "hosts": machines,
    }


def examine(engine: Engine) -> dict[str, Any]:
    """The doctor's findings as plain values."""
    result = doctor.examine(engine.built.parts, engine.built.store)
    return {"findings": [asdict(finding) for finding in result.findings], "checked": result.checked}
