"""Hosts as they were listed before hypervisors: what each has, and what of it is used, by project."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.services import OWN_PARTS, OWN_ZONE, own_host
from novalite.api.compute.shapes import ANY_QUERY, ROOT, RULE
from novalite.api.kit.answers import TEXT, WHOLE, Told, array, record
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import progress
from novalite.cloud.hosts import hosts
from novalite.errors import Unsupported

_LAST = "2.42"


def list_all(call: Call) -> dict[str, Any]:
    """Those that take servers, and the parts of this process."""
    service, zone = call.query.get("service", ""), call.query.get("zone", "")
    own = own_host(call)
    everything = [
        *((host.name, "compute", host.zone) for host in hosts.everyone(call.w) if host.enabled),
        *((own, binary.removeprefix("nova-"), OWN_ZONE) for binary in OWN_PARTS),
    ]
    shown = [
        {"host_name": name, "service": kind, "zone": where}
        for name, kind, where in everything
        if zone in ("", where) and service in ("", kind)
    ]
    return {"hosts": shown}


def _row(host: hosts.Host, project: str, cpu: int, memory_mb: int, disk_gb: int) -> dict[str, Any]:
    row = {"host": host.name, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}
    return {"resource": row}


def show(call: Call) -> dict[str, Any]:
    host = hosts.by_name(call.w, call.path["host"])
    used: dict[str, list[int]] = {}
    for server in progress.on_host(call.w, host.name):
        mine = used.setdefault(server.project_id, [0, 0, 0])
        for position, amount in enumerate((server.vcpus, server.memory_mib, server.disk_gib)):
            mine[position] += amount
    together = [sum(column) for column in zip(*used.values(), strict=True)] or [0, 0, 0]
    taken = host.memory_mib_used + host.reserved_memory_mib
    rows = [
        _row(host, "(total)", host.vcpus, host.memory_mib, host.disk_gib),
        _row(host, "(used_now)", host.vcpus_used, taken, host.disk_gib_used),
        _row(host, "(used_max)", *together),
        *(_row(host, project, *amounts) for project, amounts in sorted(used.items())),
    ]
    return {"host": rows}


def update(call: Call) -> dict[str, str]:
    """Take new servers or not. Raises ``Unsupported`` for maintenance, which hosts here do not know."""
    host = hosts.by_name(call.w, call.path["host"])
    if "maintenance_mode" in call.body:
        raise _not_offered()
    enabled = call.body["status"].lower() == "enable"
    hosts.set_enabled(call.w, host.name, enabled)
    return {"host": host.name, "status": "enabled" if enabled else "disabled"}


def _not_offered() -> Unsupported:
    return Unsupported("Feature not supported.", hint="Do it at the machine itself.")


def refuse_power(call: Call) -> None:
    """The appliance does not switch machines on and off."""
    hosts.by_name(call.w, call.path["host"])
    raise _not_offered()


_SWITCH = {"type": "string", "enum": ["enable", "Enable", "ENABLE", "disable", "Disable", "DISABLE"]}
_UPDATE = Body(whole={
    "type": "object", "properties": {"status": _SWITCH, "maintenance_mode": _SWITCH}, "additionalProperties": False,
    "anyOf": [{"required": ["status"]}, {"required": ["maintenance_mode"]}],
})  # fmt: skip
_ALL, _ONE = f"{ROOT}/os-hosts", f"{ROOT}/os-hosts/{{host}}"
_RULE = RULE + "os-hosts:"
_LISTED = Told("hosts", whole=array(record({"host_name": TEXT, "service": TEXT, "zone": TEXT})))
_SHARE = record({"host": TEXT, "project": TEXT, "cpu": WHOLE, "memory_mb": WHOLE, "disk_gb": WHOLE})
_SHOWN = Told("host", whole=array(record({"resource": _SHARE})))
_SWITCHED = Told(whole=record({"host": TEXT, "status": {"enum": ["enabled", "disabled"]}}))
_QUERY = Query(Item("service", ANY_QUERY), Item("zone", ANY_QUERY))
ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "list", query=_QUERY, view=_LISTED, unit="read", until=_LAST),
    Route("GET", _ONE, show, rule=_RULE + "show", view=_SHOWN, unit="read", until=_LAST),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_UPDATE, view=_SWITCHED, unit="write", until=_LAST),
    *(
        Route("GET", f"{_ONE}/{name}", refuse_power, rule=_RULE + rule, unit="read", success=501,
              until=_LAST)
        for name, rule in (("startup", "start"), ("shutdown", "shutdown"), ("reboot", "reboot"))
    ),
]  # fmt: skip
