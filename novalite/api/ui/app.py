"""Puts the UI into a Flask application: pages, consoles, live events, static files."""

from __future__ import annotations

import flask
from jinja2 import FileSystemLoader, StrictUndefined
from werkzeug.exceptions import HTTPException

from novalite import assets, errors
from novalite.api.kit.parts import Parts
from novalite.api.ui import consoles, failures, formats, hosts, images, keypairs, live, servers, sessions, volumes
from novalite.api.ui.parts import Consoles, Streams, UiParts, keep, of_app
from novalite.api.ui.static import StaticFiles
from novalite.cloud.identity.login import Logins

BLUEPRINTS = (sessions.bp, servers.bp, images.bp, volumes.bp, keypairs.bp, hosts.bp, live.bp, consoles.bp)


def mount(app: flask.Flask, parts: Parts, *, logins: Logins, proxy: Consoles, hub: Streams) -> None:
    """Serve the UI at ``/``, the consoles below ``/console``, live events at ``/live``.

    ``proxy`` and ``hub`` keep the connections that views hand over. The templates are the UI's alone.
    """
    keep(app, UiParts(parts, logins, proxy, hub, StaticFiles()))
    app.jinja_loader = FileSystemLoader(assets.templates())
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    formats.register(app)
    root = flask.Blueprint("ui", __name__)
    root.before_request(failures.begin)
    root.after_request(failures.finish)
    root.register_error_handler(errors.NovaLiteError, failures.told)
    root.register_error_handler(HTTPException, failures.told_of_http)
    root.register_error_handler(Exception, failures.unforeseen)
    root.add_url_rule("/static/<path:name>", "static", lambda name: of_app().files.serve(name))
    root.add_url_rule("/favicon.ico", "favicon", lambda: of_app().files.serve("ui/mark.svg"))
    root.add_url_rule("/", "home", lambda: flask.redirect("/servers", 303))
    for blueprint in BLUEPRINTS:
        root.register_blueprint(blueprint)
    app.register_blueprint(root)
    for status in (404, 405):
        app.register_error_handler(status, failures.no_such_page)
