"""The services of Block Storage: all are this process, one for each backend. Switched off and on, frozen, and how much
they log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from novalite import clock, logs
from novalite.api.kit.answers import FLAG, TEXT, TEXT_BY_NAME, TEXT_OR_NULL, Told, array, record
from novalite.api.kit.body import Body, Item, JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.versions import Version
from novalite.api.kit.view import utc_micros
from novalite.api.volume.shapes import EXTENSION, ROOT
from novalite.cloud.volume import new_volumes, services
from novalite.cloud.volume.records import VolumeService
from novalite.errors import Invalid, NotFound

_API = "cinder-api"
_EVERY_BINARY = ("", "*", _API, services.VOLUME, services.SCHEDULER, services.BACKUP)


def backend_hosts(call: Call) -> list[str]:
    """HOST@BACKEND of every backend, whether or not it answers."""
    return [f"{_own_host(call)}@{name}" for name in call.parts.volume_driver.drivers]


def _own_host(call: Call) -> str:
    return call.parts.settings.local_host


def every(call: Call) -> list[tuple[str, str]]:
    """Each service and its host."""
    own = _own_host(call)
    return [(services.SCHEDULER, own), *((services.VOLUME, host) for host in backend_hosts(call)),
            (services.BACKUP, own)]  # fmt: skip


def known(call: Call) -> Iterator[tuple[str, str, VolumeService | None, bool]]:
    """Each service, its host, what is written down of it, and whether it is up: what answers is."""
    up = {services.backend_host(pool.name) for pool in call.parts.volume_driver.pools().values()} | {_own_host(call)}
    with call.parts.database.read(call.ctx) as w:
        states = services.everyone(w)
    for binary, host in every(call):
        yield binary, host, states.get((binary, host)), host in up


def list_all(call: Call) -> dict[str, Any]:
    wanted, where = call.query.get("binary"), call.query.get("host")
    rows = []
    for binary, host, state, is_up in known(call):
        if wanted not in (None, binary) or where not in (None, host, host.partition("@")[0]):
            continue
        off = state is not None and state.disabled
        row: dict[str, Any] = {
            "binary": binary,
            "host": host,
            "zone": new_volumes.DEFAULT_ZONE,
            "status": "disabled" if off else "enabled",
            "state": "up" if is_up else "down",
            "updated_at": utc_micros(clock.now()),
            "disabled_reason": state.disabled_reason if state is not None else None,
        }
        if call.since("3.7"):
            row["cluster"] = None
        if binary == services.VOLUME:
            row |= {"replication_status": "disabled", "active_backend_id": None,
                    "frozen": state is not None and state.frozen}  # fmt: skip
        if call.since("3.49") and binary == services.VOLUME:
            row["backend_state"] = row["state"]
        rows.append(row)
    return {"services": rows}


def _named(call: Call) -> tuple[str, str]:
    body = call.body
    binary, host = body.get("binary") or body.get("service") or "", body["host"]
    if not binary:
        raise Invalid("Invalid input for field/attribute binary. A binary is needed.", field="binary")
    if (binary, host) not in every(call):
        raise NotFound("service", binary, message=f"Service {binary} could not be found on host {host}.")
    return binary, host


def _switch(call: Call, *, off: bool, reason: str | None = None) -> dict[str, Any]:
    binary, host = _named(call)
    with call.parts.database.write(call.ctx) as w:
        services.set_disabled(w, binary, host, off, reason)
    return {"host": host, "service": call.body.get("service") or "", "binary": call.body.get("binary") or "",
            "disabled": off, "status": "disabled" if off else "enabled"}  # fmt: skip


def enable(call: Call) -> dict[str, Any]:
    return {**_switch(call, off=False), "disabled_reason": None}


def disable(call: Call) -> dict[str, Any]:
    return _switch(call, off=True)


def disable_with_reason(call: Call) -> dict[str, Any]:
    reason = call.body["disabled_reason"].strip()
    return {**_switch(call, off=True, reason=reason), "disabled_reason": reason}


def freeze(call: Call) -> None:
    host = _backend(call)
    with call.parts.database.write(call.ctx) as w:
        services.freeze(w, host)


def thaw(call: Call) -> None:
    host = _backend(call)
    with call.parts.database.write(call.ctx) as w:
        services.thaw(w, host)


def _backend(call: Call) -> str:
    """The backend meant, which may be named with its pool. Cinder tells an unknown one as bad input here."""
    if call.body.get("cluster"):
        raise Invalid("Invalid input received: There are no clusters here; name a host.", field="cluster")
    wanted = services.backend_host(call.body.get("host") or "")
    if wanted not in backend_hosts(call):
        raise Invalid(f"Invalid input received: Service {services.VOLUME} could not be found on host {wanted[:255]}.",
                      field="host")  # fmt: skip
    return wanted


def fail_over(call: Call) -> None:
    """No backend here is replicated by itself, so there is nowhere to fail over to."""
    raise Invalid(
        f"Invalid input received: {services.VOLUME} on {_backend(call)}: replication_status must be one of: enabled or "
        "failed-over, current status is: disabled.", field="host", code="service.not_replicated",
    )  # fmt: skip


def _asked(call: Call) -> list[tuple[str, str]]:
    """Services that a question of logs is about. This process is each of them, the API too."""
    binary, server = call.body.get("binary") or "", call.body.get("server") or ""
    there = [(_API, _own_host(call)), *every(call)]
    return [(one, host) for one, host in there
            if binary in ("", "*", one) and server in ("", host, host.partition("@")[0])]  # fmt: skip


def log_levels(call: Call) -> dict[str, Any]:
    levels = logs.levels(call.body.get("prefix") or "")
    return {"log_levels": [{"binary": binary, "host": host, "levels": levels} for binary, host in _asked(call)]}


def set_log_level(call: Call) -> None:
    """Of this process, until it stops. Raises ``Invalid`` for a prefix that nothing is called by."""
    if _asked(call) and not logs.set_level(call.body.get("prefix") or "", call.body["level"]):
        raise Invalid(f"Invalid input for field/attribute prefix. No log begins with "
                      f"{call.body['prefix']}.", field="prefix")  # fmt: skip


def _service(version: Version) -> JsonSchema:
    texts = dict.fromkeys(("binary", "host", "zone", "status", "state", "updated_at"), TEXT)
    told = {**texts, "disabled_reason": TEXT_OR_NULL}
    if version >= Version(3, 7):
        told["cluster"] = TEXT_OR_NULL
    backend: dict[str, JsonSchema] = {"replication_status": TEXT, "active_backend_id": TEXT_OR_NULL, "frozen": FLAG}
    if version >= Version(3, 49):
        backend["backend_state"] = TEXT
    return record({**told, **backend}, optional=backend)


_TEXT: JsonSchema = {"type": ["string", "null"], "maxLength": 255}
_HOST: JsonSchema = {"type": "string", "minLength": 1, "maxLength": 255}
_REASON: JsonSchema = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
_WHICH = (Item("host", _HOST, required=True), Item("binary", _TEXT), Item("service", _TEXT))
_BACKEND = (Item("host", _TEXT), Item("cluster", _TEXT))
_OF_LOGS = (Item("binary", {"enum": [*_EVERY_BINARY, None]}), Item("server", _TEXT), Item("prefix", _TEXT))
_LEVEL: JsonSchema = {"enum": [name for level in logs.LEVELS for name in (level, level.lower())]}
_SWITCHED = Told(whole=record(
    {"host": TEXT, "service": TEXT, "binary": TEXT, "disabled": FLAG, "status": TEXT, "disabled_reason": TEXT_OR_NULL},
    optional=["disabled_reason"],
))  # fmt: skip
_LEVELS = Told("log_levels", whole=array(record({"binary": TEXT, "host": TEXT, "levels": TEXT_BY_NAME})))


def _put(name: str, handler: Any, *items: Item, rule: str = EXTENSION + "services:update", **more: Any) -> Route:
    return Route("PUT", f"{ROOT}/os-services/{name}", handler, rule=rule, body=Body("", *items), **more)


ROUTES = [
    Route("GET", f"{ROOT}/os-services", list_all, rule=EXTENSION + "services:index",
          view=Told("services", whole=lambda version: array(_service(version)))),
    _put("enable", enable, *_WHICH, view=_SWITCHED),
    _put("disable", disable, *_WHICH, view=_SWITCHED),
    _put("disable-log-reason", disable_with_reason, *_WHICH, Item("disabled_reason", _REASON, required=True),
         view=_SWITCHED),
    _put("freeze", freeze, *_BACKEND, rule="volume:freeze_host"),
    _put("thaw", thaw, *_BACKEND, rule="volume:thaw_host"),
    _put("failover_host", fail_over, *_BACKEND, Item("backend_id", _TEXT), rule="volume:failover_host", success=202),
    _put("failover", fail_over, *_BACKEND, Item("backend_id", _TEXT), rule="volume:failover_host", success=202,
         since="3.26"),
    _put("get-log", log_levels, *_OF_LOGS, view=_LEVELS, since="3.32"),
    _put("set-log", set_log_level, *_OF_LOGS, Item("level", _LEVEL, required=True), success=202, since="3.32"),
]  # fmt: skip
