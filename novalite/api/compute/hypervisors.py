"""Compute hosts as machines: their size, what of it is promised, what runs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from novalite.api.compute.shapes import ANY_QUERY, NUMBER_QUERY, ROOT, RULE, UUID, flag
from novalite.api.kit.answers import TEXT, TEXT_OR_NULL, WHOLE, Told, array, record
from novalite.api.kit.body import Item, JsonSchema, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, nova_links
from novalite.api.kit.routes import Route
from novalite.api.kit.schema import Schema
from novalite.api.kit.versions import Version
from novalite.api.kit.view import ABSENT, Field, Page, View
from novalite.cloud.compute import progress
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.cloud.hosts.hosts import Host
from novalite.errors import Invalid, NotFound


@dataclass(frozen=True)
class Shown:
    """A host, whether it answers, and its servers when they were asked for (None: not)."""

    host: Host
    up: bool
    now: Any
    servers: Sequence[Server] | None = None


def _servers(one: Shown, call: Call) -> Any:
    if one.servers is None or (not one.servers and not call.since("2.75")):
        return [] if call.since("2.75") and one.servers is not None else ABSENT
    return [{"name": server.instance_name, "uuid": server.id} for server in one.servers]


def _cpu_info(one: Shown, call: Call) -> Any:
    info = one.host.report.get("cpu_info", {})
    return info if call.since("2.28") else msgspec.json.encode(info).decode()


def _service(one: Shown, call: Call) -> dict[str, Any]:
    host = one.host
    service_id: Any = host.service_id if call.since("2.53") else host.number
    return {"id": service_id, "host": host.name, "disabled_reason": host.disabled_reason}


def _uptime(one: Shown, call: Call) -> str | None:
    """As ``uptime`` tells it, of the host; None when the host does not answer."""
    told = one.host.report.get("uptime_seconds")
    if not one.up or told is None:
        return None
    seconds = int(told)
    days, rest = divmod(seconds, 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    return f"{one.now:%H:%M:%S} up {days} days, {hours}:{minutes:02d}"


def _report(name: str, default: Any) -> Any:
    return lambda one, call: one.host.report.get(name, default)


_SERVERS = array(record({"name": TEXT, "uuid": UUID}))


def _service_schema(version: Version) -> JsonSchema:
    kind = UUID if version >= Version(2, 53) else WHOLE
    return record({"id": kind, "host": TEXT, "disabled_reason": TEXT_OR_NULL})


_BASIC_FIELDS = (
    Field("id", "host.number", until="2.52", schema=WHOLE),
    Field("id", "host.id", since="2.53", schema=UUID),
    Field("hypervisor_hostname", "host.name", schema=TEXT),
    Field("state", lambda one, call: "up" if one.up else "down", schema={"enum": ["up", "down"]}),
    Field(
        "status",
        lambda one, call: "enabled" if one.host.enabled else "disabled",
        schema={"enum": ["enabled", "disabled"]},
    ),
    Field("servers", _servers, since="2.53", schema=_SERVERS),
)
BASIC = View(*_BASIC_FIELDS)
DETAIL = View(
    *_BASIC_FIELDS,
    Field("service", _service, schema=_service_schema),
    Field("host_ip", _report("host_ip", ""), schema=TEXT),
    Field("hypervisor_type", _report("hypervisor_type", ""), schema=TEXT),
    Field("hypervisor_version", _report("hypervisor_version", 0), schema=WHOLE),
    Field("uptime", _uptime, since="2.88", schema=TEXT_OR_NULL),
    Field("cpu_info", _cpu_info, until="2.27", schema=TEXT),
    Field("cpu_info", _cpu_info, since="2.28", until="2.87", schema={"type": "object"}),
    Field("vcpus", "host.vcpus", until="2.87", schema=WHOLE),
    Field("memory_mb", "host.memory_mib", until="2.87", schema=WHOLE),
    Field("local_gb", "host.disk_gib", until="2.87", schema=WHOLE),
    Field("vcpus_used", "host.vcpus_used", until="2.87", schema=WHOLE),
    Field("memory_mb_used", lambda one, call: _memory_used(one.host), until="2.87", schema=WHOLE),
    Field("local_gb_used", "host.disk_gib_used", until="2.87", schema=WHOLE),
    Field("free_ram_mb", lambda one, call: one.host.memory_mib - _memory_used(one.host), until="2.87", schema=WHOLE),
    Field("free_disk_gb", lambda one, call: one.host.disk_gib - one.host.disk_gib_used, until="2.87", schema=WHOLE),
    Field("disk_available_least", lambda one, call: _disk_left(one.host), until="2.87", schema=WHOLE),
    Field("current_workload", lambda one, call: 0, until="2.87", schema=WHOLE),
    Field("running_vms", _report("running_guests", 0), until="2.87", schema=WHOLE),
)


def _memory_used(host: Host) -> int:
    return host.memory_mib_used + host.reserved_memory_mib


def _disk_left(host: Host) -> int:
    """What is free by measurement and promised to nobody; below 0 when more is promised than there is."""
    room = hosts.disk_room(host)
    if room is None:
        return int(host.disk_gib - host.report.get("disk_used_gib", 0))
    return int(room.free - max(0.0, host.disk_gib_used - room.written))


def _shown(call: Call, host: Host, with_servers: bool) -> Shown:
    seconds = call.parts.settings.scheduler.host_down_seconds
    there = progress.on_host(call.w, host.name) if with_servers else None
    return Shown(host, hosts.is_up(host, call.w.now, seconds), call.w.now, there)


def _found(call: Call) -> Page:
    rows = hosts.everyone(call.w)
    pattern = call.query.get("hypervisor_hostname_pattern") if call.since("2.53") else None
    if pattern is not None:
        rows = [host for host in rows if pattern in host.name]
        if not rows:
            raise NotFound("hypervisor", pattern, message=f"No hypervisor matching '{pattern}' could be found.")
    with_servers = call.since("2.53") and flag(call, "with_servers")
    marker = ""
    if call.since("2.33"):
        rows, marker = _paged(call, rows)
    return Page([_shown(call, host, with_servers) for host in rows], marker)


def _paged(call: Call, rows: list[Host]) -> tuple[list[Host], str]:
    def name_of(host: Host) -> str:
        return host.id if call.since("2.53") else str(host.number)

    most, marker = limit(call), call.query.get("marker")
    if marker:
        ids = [name_of(host) for host in rows]
        if marker not in ids:
            raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
        rows = rows[ids.index(marker) + 1 :]
    page = rows[:most]
    return page, name_of(page[-1]) if len(rows) > most > 0 else ""


_UUID = Schema({"properties": {"hypervisor_id": UUID}})


def _host(call: Call) -> Host:
    host_id = call.path["hypervisor_id"]
    if call.since("2.53"):
        _UUID.check({"hypervisor_id": host_id})
    elif not host_id.isdecimal():
        raise _unknown(host_id)
    try:
        return hosts.get(call.w, host_id)
    except NotFound as error:
        raise _unknown(host_id) from error


def _unknown(host_id: str) -> NotFound:
    return NotFound("hypervisor", host_id, message=f"Hypervisor with ID '{host_id}' could not be found.")


def show(call: Call) -> Shown:
    return _shown(call, _host(call), call.since("2.53") and (flag(call, "with_servers") or call.since("2.75")))


_NAMED = ("id", "hypervisor_hostname", "state", "status")


def show_uptime(call: Call) -> dict[str, Any]:
    one = _shown(call, _host(call), False)
    uptime = _uptime(one, call)
    if uptime is None:
        raise Invalid(f"Compute service of {one.host.name} is unavailable at this time.")
    shown = BASIC.renderer(call)(one, call)
    return {"hypervisor": {**{name: shown[name] for name in _NAMED}, "uptime": uptime}}


_SUMMED = (
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb",
    "free_disk_gb", "disk_available_least", "current_workload", "running_vms",
)  # fmt: skip


def statistics(call: Call) -> dict[str, Any]:
    rows = [_shown(call, host, False) for host in hosts.everyone(call.w) if host.enabled]
    render = DETAIL.renderer(call)
    shown = [render(one, call) for one in rows]
    sums = {name: sum(row[name] for row in shown) for name in _SUMMED}
    return {"hypervisor_statistics": {"count": len(rows), **sums}}


def _matching(call: Call) -> list[Host]:
    pattern = call.path["hypervisor_id"]
    found = [host for host in hosts.everyone(call.w) if pattern in host.name]
    if not found:
        raise NotFound("hypervisor", pattern, message=f"No hypervisor matching '{pattern}' could be found.")
    return found


def search(call: Call) -> Page:
    return Page([_shown(call, host, False) for host in _matching(call)])


def list_servers(call: Call) -> dict[str, Any]:
    render, shown = BASIC.renderer(call), []
    for host in _matching(call):
        row = render(_shown(call, host, False), call)
        there = progress.on_host(call.w, host.name)
        if there:
            row["servers"] = [{"name": server.instance_name, "uuid": server.id} for server in there]
        shown.append(row)
    return {"hypervisors": shown}


def _uptime_schema(version: Version) -> JsonSchema:
    shown = BASIC.schema(version)["properties"]
    return record({**{name: shown[name] for name in _NAMED}, "uptime": TEXT_OR_NULL})


def _with_servers(version: Version) -> JsonSchema:
    bare = BASIC.schema(version)
    return array({**bare, "properties": {**bare["properties"], "servers": _SERVERS}})


_STATISTICS = Told("hypervisor_statistics", whole=record(dict.fromkeys(("count", *_SUMMED), WHOLE)))
_ALL, _ONE = f"{ROOT}/os-hypervisors", f"{ROOT}/os-hypervisors/{{hypervisor_id}}"
_RULE = RULE + "os-hypervisors:"
_LIST = Query(
    Item("limit", NUMBER_QUERY, since="2.33"),
    Item("marker", ANY_QUERY, since="2.33"),
    Item("hypervisor_hostname_pattern", ANY_QUERY, since="2.53"),
    Item("with_servers", ANY_QUERY, since="2.53"),
    strict_since="2.53",
)
_SHOW = Query(Item("with_servers", ANY_QUERY, since="2.53"), strict_since="2.53")
ROUTES = [
    Route("GET", _ALL, _found, rule=_RULE + "list", query=_LIST, view=BASIC.many("hypervisors", nova_links),
          unit="read"),
    Route("GET", f"{_ALL}/detail", _found, rule=_RULE + "list-detail", query=_LIST, unit="read",
          view=DETAIL.many("hypervisors", nova_links)),
    Route("GET", f"{_ALL}/statistics", statistics, rule=_RULE + "statistics", view=_STATISTICS, unit="read",
          until="2.87"),
    Route("GET", _ONE, show, rule=_RULE + "show", query=_SHOW, view=DETAIL.one("hypervisor"), unit="read"),
    Route("GET", f"{_ONE}/uptime", show_uptime, rule=_RULE + "uptime", unit="read", until="2.87",
          view=Told("hypervisor", whole=_uptime_schema)),
    Route("GET", f"{_ONE}/search", search, rule=_RULE + "search", unit="read", until="2.52",
          view=BASIC.many("hypervisors")),
    Route("GET", f"{_ONE}/servers", list_servers, rule=_RULE + "servers", unit="read", until="2.52",
          view=Told("hypervisors", whole=_with_servers)),
]  # fmt: skip
