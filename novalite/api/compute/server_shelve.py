"""Shelving servers, letting go of their hosts, and starting them again."""

from __future__ import annotations

from novalite.api.compute.server_actions import action_route
from novalite.api.compute.shapes import NAME, RULE
from novalite.api.kit.call import Call
from novalite.cloud.compute import servers, shelve
from novalite.cloud.compute.shelve import Destination
from novalite.cloud.identity import policy

_TO_ZONE = {
    "type": ["object", "null"],
    "properties": {"availability_zone": NAME},
    "required": ["availability_zone"],
    "additionalProperties": False,
}
_TO_HOST = {
    "type": ["object", "null"],
    "properties": {
        "availability_zone": {"type": ["string", "null"], "maxLength": 255},
        "host": {"type": "string", "maxLength": 255},
    },
    "additionalProperties": False,
}


def put_away(call: Call) -> None:
    shelve.shelve(call.w, call.path["server_id"])


def offload(call: Call) -> None:
    shelve.offload(call.w, call.path["server_id"])


def unshelve(call: Call) -> None:
    server_id, given = call.path["server_id"], call.body if call.since("2.77") and call.body else {}
    to = Destination("availability_zone" in given, given.get("availability_zone"), given.get("host", ""))
    if to.host:
        server = servers.get(call.w, server_id)
        policy.require(RULE + "os-shelve:unshelve_to_host", call.ctx, project_id=server.project_id)
    shelve.unshelve(call.w, server_id, to)


_UNSHELVE = "os-shelve:unshelve"
ROUTES = [
    action_route("shelve", put_away, "os-shelve:shelve"),
    action_route("shelveOffload", offload, "os-shelve:shelve_offload"),
    action_route("unshelve", unshelve, _UNSHELVE, until="2.76"),
    action_route("unshelve", unshelve, _UNSHELVE, _TO_ZONE, since="2.77", until="2.90"),
    action_route("unshelve", unshelve, _UNSHELVE, _TO_HOST, since="2.91"),
]
