"""What projects have used in a period, for people who keep accounts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from novalite.api.compute.shapes import ANY_QUERY, PAGING, ROOT, RULE
from novalite.api.kit import moments
from novalite.api.kit.answers import LINKS, MOMENT, MOMENT_OR_NULL, NUMBER, TEXT, UUID, WHOLE, Told, array, record
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_micros
from novalite.cloud.compute import usage
from novalite.cloud.compute.usage import ServerUse
from novalite.cloud.identity import policy
from novalite.errors import Invalid

_DEFAULT_DAYS = 28


def _moment(call: Call, name: str, default: datetime) -> datetime:
    text = call.query.get(name)
    if not text:
        return default
    try:
        return moments.parse(text)
    except ValueError as error:
        message = f"Invalid input for query parameters {name}. Value: {text[:50]}. It is not a date and time."
        raise Invalid(message, field=name) from error


def _period(call: Call) -> tuple[datetime, datetime]:
    end = _moment(call, "end", call.w.now)
    start = _moment(call, "start", call.w.now - timedelta(days=_DEFAULT_DAYS))
    if start >= end:
        raise Invalid("Invalid start time. The start time cannot occur after the end time.", field="start")
    return start, end


def _server(use: ServerUse, call: Call) -> dict[str, Any]:
    server = use.server
    ended = use.ended_at or call.w.now
    return {
        "instance_id": server.id, "name": server.name, "hours": use.hours, "tenant_id": server.project_id,
        "flavor": server.flavor["name"], "vcpus": server.vcpus, "memory_mb": server.memory_mib,
        "local_gb": server.disk_gib, "started_at": utc_micros(use.started_at), "ended_at": utc_micros(use.ended_at),
        "state": "terminated" if use.ended_at else server.vm_state,
        "uptime": int((ended - use.started_at).total_seconds()),
    }  # fmt: skip


def _project(project_id: str, uses: Iterable[ServerUse], call: Call, *, detailed: bool) -> dict[str, Any]:
    start, end = _period(call)
    listed = list(uses)
    shown: dict[str, Any] = {
        "tenant_id": project_id, "start": utc_micros(start), "stop": utc_micros(end),
        "total_hours": sum(use.hours for use in listed),
        "total_vcpus_usage": sum(use.hours * use.server.vcpus for use in listed),
        "total_memory_mb_usage": sum(use.hours * use.server.memory_mib for use in listed),
        "total_local_gb_usage": sum(use.hours * use.server.disk_gib for use in listed),
    }  # fmt: skip
    return {**shown, "server_usages": [_server(use, call) for use in listed]} if detailed else shown


def _found(call: Call, project_id: str = "") -> tuple[list[ServerUse], dict[str, str]]:
    """The servers of the period, and from 2.40 on the link to more of them."""
    start, end = _period(call)
    if not call.since("2.40"):
        return usage.within(call.w, start, end, project_id=project_id), {}
    most = limit(call)
    marker = call.query.get("marker", "")
    uses = usage.within(call.w, start, end, project_id=project_id, marker=marker, limit=most)
    full = 0 < most <= len(uses)
    return uses, {"rel": "next", "href": call.next_link(uses[-1].server.id)} if full else {}


def show(call: Call) -> dict[str, Any]:
    project_id = call.path["project_id"]
    policy.require(RULE + "os-simple-tenant-usage:show", call.ctx, project_id=project_id)
    uses, link = _found(call, project_id)
    shown: dict[str, Any] = {"tenant_usage": _project(project_id, uses, call, detailed=True) if uses else {}}
    return {**shown, "tenant_usage_links": [link]} if link else shown


def list_all(call: Call) -> dict[str, Any]:
    uses, link = _found(call)
    by_project: dict[str, list[ServerUse]] = {}
    for use in uses:
        by_project.setdefault(use.server.project_id, []).append(use)
    detailed = call.query.get("detailed") == "1"
    rows = [_project(project_id, mine, call, detailed=detailed) for project_id, mine in by_project.items()]
    return {"tenant_usages": rows, "tenant_usages_links": [link]} if link else {"tenant_usages": rows}


_USE = record({
    "instance_id": UUID, "name": TEXT, "hours": NUMBER, "tenant_id": TEXT, "flavor": TEXT, "vcpus": WHOLE,
    "memory_mb": WHOLE, "local_gb": WHOLE, "started_at": MOMENT, "ended_at": MOMENT_OR_NULL, "state": TEXT,
    "uptime": WHOLE,
})  # fmt: skip
_TOTALS = {
    "tenant_id": TEXT, "start": MOMENT, "stop": MOMENT, "total_hours": NUMBER, "total_vcpus_usage": NUMBER,
    "total_memory_mb_usage": NUMBER, "total_local_gb_usage": NUMBER,
}  # fmt: skip
_DETAILED = record({**_TOTALS, "server_usages": array(_USE)})
_ROW = record({**_TOTALS, "server_usages": array(_USE)}, optional=["server_usages"])
_USAGE = Told(whole=record({"tenant_usage": {"anyOf": [_DETAILED, record({})]}, "tenant_usage_links": LINKS},
                           optional=["tenant_usage_links"]))  # fmt: skip
_USAGES = Told(whole=record({"tenant_usages": array(_ROW), "tenant_usages_links": LINKS},
                            optional=["tenant_usages_links"]))  # fmt: skip
_ALL = f"{ROOT}/os-simple-tenant-usage"
_PERIOD = (
    Item("start", ANY_QUERY),
    Item("end", ANY_QUERY),
    *(Item(item.name, item.schema, since="2.40") for item in PAGING),
)
_LIST = Query(*_PERIOD, Item("detailed", ANY_QUERY), strict_since="2.75")
_SHOW = Query(*_PERIOD, strict_since="2.75")
_RULE = RULE + "os-simple-tenant-usage:"
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "list", query=_LIST, view=_USAGES, unit="read"),
    Route("GET", f"{_ALL}/{{project_id}}", show, rule=_RULE + "show", policy_in_handler=True, query=_SHOW, view=_USAGE,
          unit="read"),
]  # fmt: skip
