"""Services: the part of each host that takes servers, switched on and off, and the parts of this process."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from novalite.api.compute.shapes import ANY_QUERY, BOOLEAN, ROOT, RULE, UUID, truth
from novalite.api.kit.answers import FLAG, MOMENT_OR_NULL, TEXT, TEXT_OR_NULL, WHOLE, Told, record
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.schema import Schema
from novalite.api.kit.view import Field, View, utc_micros
from novalite.cloud.hosts import hosts
from novalite.cloud.hosts.hosts import Host
from novalite.errors import Invalid, NotFound

BINARY = "nova-compute"
OWN_PARTS = ("nova-conductor", "nova-scheduler")
"""What schedules and conducts is this process: it is up when it answers."""
OWN_ZONE = "internal"
_NUMBER_OF_OWN = 1 << 30  # beyond the numbers of hosts
_UUID = Schema({"properties": {"service_id": UUID}})


@dataclass(frozen=True)
class Shown:
    number: int
    service_id: str
    binary: str
    host: str
    zone: str
    enabled: bool
    up: bool
    seen_at: datetime | None
    disabled_reason: str | None = None
    forced_down: bool = False


_STATUS = {"enum": ["enabled", "disabled"]}
SERVICE = View(
    Field("id", "number", until="2.52", schema=WHOLE),
    Field("id", "service_id", since="2.53", schema=UUID),
    Field("binary", schema=TEXT),
    Field("host", schema=TEXT),
    Field("zone", schema=TEXT),
    Field("status", lambda one, call: "enabled" if one.enabled else "disabled", schema=_STATUS),
    Field("state", lambda one, call: "up" if one.up else "down", schema={"enum": ["up", "down"]}),
    Field("updated_at", lambda one, call: utc_micros(one.seen_at), schema=MOMENT_OR_NULL),
    Field("disabled_reason", schema=TEXT_OR_NULL),
    Field("forced_down", since="2.11", schema=FLAG),
)


def _shown(call: Call, host: Host) -> Shown:
    up = hosts.is_up(host, call.w.now, call.parts.settings.scheduler.host_down_seconds)
    return Shown(host.number, host.service_id, BINARY, host.name, host.zone, host.enabled, up, host.last_seen_at,
                 host.disabled_reason, host.forced_down)  # fmt: skip


def own_host(call: Call) -> str:
    """The name of the machine this process runs on."""
    return call.parts.settings.local_host


def _own(call: Call) -> list[Shown]:
    host = own_host(call)
    return [
        Shown(_NUMBER_OF_OWN + index, str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{binary}.{host}")), binary, host, OWN_ZONE,
              enabled=True, up=True, seen_at=call.w.now)
        for index, binary in enumerate(OWN_PARTS)
    ]  # fmt: skip


def list_all(call: Call) -> list[Shown]:
    host, binary = call.query.get("host"), call.query.get("binary")
    found = [*(_shown(call, each) for each in hosts.everyone(call.w)), *_own(call)]
    return [each for each in found if host in (None, "", each.host) and binary in (None, "", each.binary)]


_HOST = {"type": "string", "minLength": 1, "maxLength": 255}
_REASON = {"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}
_WHICH = (Item("host", _HOST, required=True), Item("binary", _HOST, required=True))


def _named(call: Call) -> str:
    if call.body["binary"] in OWN_PARTS and call.body["host"] == own_host(call):
        raise _always_on(call.body["binary"])
    if call.body["binary"] != BINARY:
        raise NotFound("service", call.body["binary"], message=f"Could not find binary {call.body['binary']} on host "
                       f"{call.body['host']}.")  # fmt: skip
    return str(call.body["host"])


def _always_on(binary: str) -> Invalid:
    return Invalid(
        f"Updating a {binary} service is not supported. Must be a {BINARY} service.",
        field="binary",
        hint=f"{binary} is part of this process, which cannot go on without it.",
    )


def enable(call: Call) -> dict[str, Any]:
    host = hosts.set_enabled(call.w, _named(call), True)
    return {"service": {"host": host.name, "binary": BINARY, "status": "enabled"}}


def disable(call: Call) -> dict[str, Any]:
    reason = call.body.get("disabled_reason")
    host = hosts.set_enabled(call.w, _named(call), False, reason=reason)
    shown = {"host": host.name, "binary": BINARY, "status": "disabled"}
    return {"service": {**shown, "disabled_reason": reason} if reason else shown}


def force_down(call: Call) -> dict[str, Any]:
    forced = truth(call.body["forced_down"])
    host = hosts.force_down(call.w, _named(call), forced)
    return {"service": {"host": host.name, "binary": BINARY, "forced_down": forced}}


def _by_service_id(call: Call) -> Host:
    service_id = call.path["service_id"]
    for host in hosts.everyone(call.w):
        if service_id == (host.service_id if call.since("2.53") else str(host.number)):
            return host
    for own in _own(call):
        if service_id == (own.service_id if call.since("2.53") else str(own.number)):
            raise _always_on(own.binary)
    raise NotFound("service", service_id, message=f"Service {service_id} could not be found.")


_UPDATE = Body(
    "",
    Item("status", {"enum": ["enabled", "disabled"]}),
    Item("disabled_reason", _HOST),
    Item("forced_down", BOOLEAN),
)


def update(call: Call) -> Shown:
    host, body = _by_service_id(call), call.body
    if not body:
        raise Invalid("No updates were requested. Fields 'status' or 'forced_down' should be specified.",
                      field="status")  # fmt: skip
    if "disabled_reason" in body and body.get("status") != "disabled":
        raise Invalid("Specifying disabled_reason requires that status is 'disabled'.", field="disabled_reason")
    if "status" in body:
        enabled = body["status"] == "enabled"
        hosts.set_enabled(call.w, host.name, enabled, reason=body.get("disabled_reason"))
    if "forced_down" in body:
        hosts.force_down(call.w, host.name, truth(body["forced_down"]))
    return _shown(call, host)


def remove(call: Call) -> None:
    service_id = call.path["service_id"]
    if call.since("2.53"):
        _UUID.check({"service_id": service_id})
    elif not service_id.isdecimal():
        raise Invalid("Invalid input received: id must be an integer", field="id")
    hosts.remove(call.w, _by_service_id(call).name)


_SWITCHED = Told("service", whole=record(
    {"host": TEXT, "binary": TEXT, "status": _STATUS, "disabled_reason": TEXT, "forced_down": FLAG},
    optional=["status", "disabled_reason", "forced_down"],
))  # fmt: skip
_ALL, _ONE = f"{ROOT}/os-services", f"{ROOT}/os-services/{{service_id}}"
_RULE = RULE + "os-services:"
_QUERY = Query(Item("host", ANY_QUERY), Item("binary", ANY_QUERY), strict_since="2.75")


def _old(name: str, handler: Any, *items: Item, since: str = "") -> Route:
    return Route("PUT", f"{_ALL}/{name}", handler, rule=_RULE + "update", body=Body("", *_WHICH, *items),
                 view=_SWITCHED, unit="write", since=since, until="2.52")  # fmt: skip


ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "list", query=_QUERY, view=SERVICE.many("services"), unit="read"),
    _old("enable", enable),
    _old("disable", disable),
    _old("disable-log-reason", disable, Item("disabled_reason", _REASON, required=True)),
    _old("force-down", force_down, Item("forced_down", BOOLEAN, required=True), since="2.11"),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_UPDATE, view=SERVICE.one("service"), unit="write",
          since="2.53"),
    Route("DELETE", _ONE, remove, rule=_RULE + "delete", success=204, unit="write"),
]  # fmt: skip
