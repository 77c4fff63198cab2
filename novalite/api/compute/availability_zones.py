"""Availability zones: the names hosts are grouped under, and the one that the appliance's own parts are in."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.services import BINARY, OWN_PARTS, OWN_ZONE, own_host
from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import FLAG, MOMENT_OR_NULL, NULL, TEXT, Told, array, mapping, record
from novalite.api.kit.body import JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_micros
from novalite.cloud.hosts import hosts
from novalite.cloud.hosts.hosts import Host


def _zones(call: Call, *, detailed: bool) -> dict[str, Any]:
    by_zone: dict[str, list[Host]] = {}
    for host in hosts.everyone(call.w):
        by_zone.setdefault(host.zone, []).append(host)
    shown = [
        {
            "zoneName": zone,
            "zoneState": {"available": any(host.enabled for host in there)},
            "hosts": {host.name: {BINARY: _state(call, host)} for host in there} if detailed else None,
        }
        for zone, there in sorted(by_zone.items())
    ]
    return {"availabilityZoneInfo": shown}


def _state(call: Call, host: Host) -> dict[str, Any]:
    up = hosts.is_up(host, call.w.now, call.parts.settings.scheduler.host_down_seconds)
    return {"active": host.enabled, "available": up, "updated_at": utc_micros(host.last_seen_at)}


def list_all(call: Call) -> dict[str, Any]:
    return _zones(call, detailed=False)


def _own_parts(call: Call) -> dict[str, Any]:
    state = {"active": True, "available": True, "updated_at": utc_micros(call.w.now)}
    there = {own_host(call): dict.fromkeys(OWN_PARTS, state)}
    return {"zoneName": OWN_ZONE, "zoneState": {"available": True}, "hosts": there}


def list_detail(call: Call) -> dict[str, Any]:
    zones = _zones(call, detailed=True)
    return {"availabilityZoneInfo": [_own_parts(call), *zones["availabilityZoneInfo"]]}


_STATE = record({"active": FLAG, "available": FLAG, "updated_at": MOMENT_OR_NULL})


def _told(hosts_schema: JsonSchema) -> Told:
    zone = {"zoneName": TEXT, "zoneState": record({"available": FLAG}), "hosts": hosts_schema}
    return Told("availabilityZoneInfo", whole=array(record(zone)))


_PATH = f"{ROOT}/os-availability-zone"
ROUTES = [
    Route("GET", _PATH, list_all, rule=RULE + "os-availability-zone:list", view=_told(NULL), unit="read"),
    Route(
        "GET",
        f"{_PATH}/detail",
        list_detail,
        rule=RULE + "os-availability-zone:detail",
        unit="read",
        view=_told(mapping(mapping(_STATE))),
    ),
]
