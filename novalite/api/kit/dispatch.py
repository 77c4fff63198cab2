"""Serves a front: from a request to an answer, errors included; only here a front catches broadly."""

from __future__ import annotations

import dataclasses
import time
from contextlib import nullcontext
from typing import Any

import flask
import msgspec
import structlog
from werkzeug.exceptions import HTTPException, RequestedRangeNotSatisfiable
from werkzeug.routing import PathConverter
from werkzeug.wrappers import Response

from novalite import errors, logs
from novalite.api.kit import faults
from novalite.api.kit.body import JSON_TYPES, Item, Query, parse_json
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.openapi import document
from novalite.api.kit.parts import Parts
from novalite.api.kit.routes import PUBLIC, Front, Handler, Route
from novalite.api.kit.table import Match, RouteTable, pick_action
from novalite.api.kit.versions import UNVERSIONED, Version, Window
from novalite.cloud.identity import policy
from novalite.context import Context, new_request_id

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
MOST_PARAMETERS = 250
_log = logs.get("api")
_encode = msgspec.json.Encoder().encode
_NO_QUERY = Query()
_VERSION = Query(Item("version", {"type": "string", "pattern": r"^[1-9][0-9]{0,3}\.[0-9]{1,4}$"}))


class _Rest(PathConverter):
    """All of a path, ends of lines included: whatever is asked below its prefix, the front answers."""

    regex = r"[^/](?s:.)*?"


def _described(front: Front) -> Handler:
    """The handler of a front's OpenAPI document; ``?version=2.79`` asks for that of one microversion."""

    def describe(call: Call) -> Any:
        asked = call.query.get("version")
        if not asked:
            return document(front)
        version = Version.parse(asked)
        if front.versions is None or not front.versions.lowest <= version <= front.versions.highest:
            raise errors.Invalid(f"There is no version {asked} of this API.", field="version")
        return document(front, version)

    return describe


def mount(app: flask.Flask, front: Front, parts: Parts) -> None:
    """Let ``app`` answer everything below the front's prefix. Raises ``ValueError`` for a rule without a policy."""
    unruled = {route.rule for route in front.routes if route.rule != PUBLIC and not policy.known(route.rule)}
    if unruled:
        raise ValueError(f"{front.name}: the policy table has no rule {', '.join(sorted(unruled))}")
    dispatcher = Dispatcher(front, parts)
    parts.mounted.add(front.prefix)
    app.url_map.converters["rest"] = _Rest
    for rule in (front.prefix, f"{front.prefix}/", f"{front.prefix}/<rest:path>"):
        if rule:
            app.add_url_rule(
                rule,
                endpoint=f"{front.name}:{rule}",
                view_func=dispatcher,
                methods=METHODS,
                provide_automatic_options=False,
                strict_slashes=True,
                merge_slashes=False,
            )


class Dispatcher:
    """One front at work. Called by Flask, once for each request, from several threads."""

    def __init__(self, front: Front, parts: Parts) -> None:
        self._front, self._parts = front, parts
        described = Route("GET", "/openapi.json", _described(front), rule=PUBLIC, query=_VERSION)
        self._table = RouteTable(dataclasses.replace(front, routes=[*front.routes, described]))
        self._unauthenticated = front.unauthenticated or front.faults
        strict = front.strict_queries_since
        self._strict_queries = Window.of(strict) if strict else None
        self.__name__ = front.name

    def __call__(self, path: str = "") -> Response:
        request, started = flask.request, time.monotonic()
        ctx = Context(request_id=new_request_id())
        structlog.contextvars.bind_contextvars(request_id=ctx.request_id)
        state = _State(ctx, request.path)
        try:
            response = self._serve(state, "/" + path)
        except errors.NovaLiteError as error:
            response = self._fault(error, state)
        except RequestedRangeNotSatisfiable as error:
            response = self._fault(faults.BadRange("There is no such range of bytes."), state)
            response.headers["Content-Range"] = f"bytes */{'*' if error.length is None else error.length}"
        except HTTPException as error:
            response = self._fault(errors.Invalid(error.description or "Malformed request"), state)
        except Exception as error:  # noqa: BLE001 - a front answers whatever happens; the trace goes to the log
            _log.error("unforeseen error", method=request.method, path=state.path, exc_info=True)
            response = self._fault(_unforeseen(error), state)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
        self._add_headers(response, state)
        _log.info(
            "request",
            front=self._front.name,
            method=request.method,
            path=state.path,
            status=response.status_code,
            request_id=ctx.request_id,
            user_id=state.ctx.user_id,
            project_id=state.ctx.project_id,
            milliseconds=round((time.monotonic() - started) * 1000, 1),
        )
        return response

    def _serve(self, state: _State, path: str) -> Response:
        request = flask.request
        try:
            match = self._table.match(request.method, path)
            state.hide(match)
        except (faults.NoRoute, faults.BadMethod):
            state.routed = False
            self._authenticate(state)
            raise
        if not match.public:
            self._authenticate(state)
        if match.lenient:
            state.version = self._front.lowest
        else:
            self._negotiate(state)
        self._check_project(match, state.ctx)
        document = None
        if any(route.action for route in match.routes):
            document = self._json(JSON_TYPES)
            route = pick_action(match, document, state.version)
        else:
            route = match.in_version(state.version)[0]
        if route.rule != PUBLIC and not route.policy_in_handler:
            policy.require(route.rule, state.ctx)
        call = self._call(state, route, match, document)
        return self._run(call)

    def _authenticate(self, state: _State) -> None:
        token = flask.request.headers.get("X-Auth-Token", "")
        if not token:
            raise errors.Unauthenticated("The request you have made requires authentication.")
        known = self._parts.tokens.authenticate(token)
        state.ctx = dataclasses.replace(known, request_id=state.ctx.request_id)

    def _negotiate(self, state: _State) -> None:
        versions = self._front.versions
        if versions is None:
            return
        try:
            state.version = versions.negotiate(flask.request.headers)
            state.version_text = str(state.version)
        except faults.VersionNotAcceptable as error:
            state.version_text = str(error.facts["asked"])
            raise

    def _check_project(self, match: Match, ctx: Context) -> None:
        if match.project_id and match.project_id.replace("-", "") != ctx.project_id.replace("-", ""):
            raise errors.Invalid(
                f"Malformed request URL: URL's project_id '{match.project_id}' doesn't match "
                f"Context's project_id '{ctx.project_id}'",
                field="project_id",
            )

    def _json(self, types: tuple[str, ...]) -> Any:
        request = flask.request
        data = _read_body(self._front.max_body_bytes)
        if data and request.mimetype and request.mimetype not in types:
            raise faults.BadMediaType(f"Unsupported Content-Type {request.mimetype[:100]}")
        return parse_json(data)

    def _call(self, state: _State, route: Route, match: Match, document: Any) -> Call:
        request = flask.request
        _refuse_insane(request.args)
        strict = (
            route.method == "GET" and self._strict_queries is not None and self._strict_queries.holds(state.version)
        )
        (route.query or _NO_QUERY).check(request.args, state.version, strict=strict)
        body = None
        if route.body:
            document = document if route.action else self._json(route.body.types)
            body = route.body.check(document, state.version, lenient=match.lenient)
        origin = self._parts.settings.http.public_url.rstrip("/") or request.host_url.rstrip("/")
        return Call(
            self._parts,
            route,
            state.ctx,
            state.version,
            match.path,
            request.args,
            request.headers,
            body,
            document,
            request.stream if route.stream else None,  # type: ignore[arg-type]
            request.content_length,
            origin,
            origin + self._front.prefix,
            request.path,
            request.headers.get("X-Auth-Token", ""),
            request.remote_addr or "",
            rooted=self._rooted(match),
            project_path=f"/{match.project_id}" if match.project_id else "",
        )

    def _rooted(self, match: Match) -> tuple[str, str]:
        """The path of the API's version, and what the caller wrote instead of it."""
        versioned = self._front.project_after
        asked = self._front.lenient_alias if match.lenient else versioned
        return versioned, f"{asked}/{match.project_id}" if match.project_id else asked

    def _run(self, call: Call) -> Response:
        database = self._parts.database
        opened: Any = nullcontext()
        if call.route.unit:
            opened = database.read(call.ctx) if call.route.unit == "read" else database.write(call.ctx)
        with opened as unit:
            call.unit = unit
            result = call.route.handler(call)
            answer = result if isinstance(result, Answer) else Answer(result)
            body = answer.body
            if call.route.view and body is not None:
                body = call.route.view.render(body, call)
            data = b"" if body is None else _encode(body)
        return _respond(answer, data, call.route.success)

    def _fault(self, error: errors.NovaLiteError, state: _State) -> Response:
        if isinstance(error, errors.HostUnreachable) and not state.ctx.is_admin:
            _log.warning("a host does not answer", error=str(error))
            error = errors.HostUnreachable("The host of the server does not answer.")
        unknown = isinstance(error, errors.Unauthenticated)
        told = self._unauthenticated if unknown else self._front.faults
        if isinstance(error, faults.BadMethod) and told is faults.NOVA:
            error = faults.NoRoute()
        response = Response(_encode(told.body(error)), told.status(error), content_type="application/json")
        if unknown:
            public = self._parts.settings.http.public_url.rstrip("/") or flask.request.host_url.rstrip("/")
            response.headers["WWW-Authenticate"] = f'Keystone uri="{public}/identity"'
        if isinstance(error, errors.Unavailable):
            response.headers["Retry-After"] = "5"
        if isinstance(error, faults.BadVersion):
            state.version_text = ""
        return response

    def _add_headers(self, response: Response, state: _State) -> None:
        response.headers["x-openstack-request-id"] = state.ctx.request_id
        if self._front.versions:
            if self._front.versions.legacy_header:
                response.headers["x-compute-request-id"] = state.ctx.request_id
            if state.routed and state.version_text:
                for name, value in self._front.versions.response_headers(state.version_text).items():
                    response.headers[name] = value
        response.headers.setdefault("Vary", "X-Auth-Token")


class _State:
    """What is known of a request while it is served, and still when it fails."""

    __slots__ = ("ctx", "path", "routed", "version", "version_text")

    def __init__(self, ctx: Context, path: str) -> None:
        self.ctx = ctx
        self.path = path
        self.routed = True
        self.version: Version = UNVERSIONED
        self.version_text = ""

    def hide(self, match: Match) -> None:
        """Log the route instead of the path where that holds a secret."""
        secret = next((route.path for route in match.routes if route.path_is_secret), "")
        self.path = secret or self.path


def _unforeseen(error: Exception) -> faults.Unforeseen:
    return faults.Unforeseen(
        f"Unexpected API Error. Please report this with the request id; the log holds the details. {type(error)}"
    )


def _read_body(most: int) -> bytes:
    request = flask.request
    if (request.content_length or 0) > most:
        raise errors.TooLarge("Request is too large.")
    data = request.stream.read(most + 1)
    if len(data) > most:
        raise errors.TooLarge("Request is too large.")
    return data


def _refuse_insane(query: Any) -> None:
    if sum(len(values) for _, values in query.lists()) > MOST_PARAMETERS:
        raise errors.Invalid(f"A query may hold {MOST_PARAMETERS} parameters.", field="query")
    for name, values in query.lists():
        if "\x00" in name or any("\x00" in value for value in values):
            shown = name.replace("\x00", "")[:100]
            raise errors.Invalid(
                f"Invalid input for query parameters {shown}. It must not hold NUL characters.", field=shown
            )


def _respond(answer: Answer, data: bytes, success: int) -> Response:
    status = answer.status or success
    response: Response
    if answer.file is not None:
        response = flask.send_file(answer.file, mimetype=answer.content_type, conditional=True, etag=False)
    elif answer.stream is not None:
        response = Response(answer.stream, status, content_type=answer.content_type, direct_passthrough=True)
    else:
        response = Response(data, status)
        if data:
            response.content_type = "application/json"
        else:
            del response.headers["Content-Type"]
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response
