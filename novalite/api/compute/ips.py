"""A server's addresses by network."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.server_view import addresses
from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import TEXT, WHOLE, Told, array, mapping, record
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import floating_ips, servers
from novalite.cloud.network import port_views
from novalite.errors import NotFound


def _addresses(call: Call) -> dict[str, list[dict[str, Any]]]:
    server = servers.get(call.w, call.path["server_id"])
    views, floating = port_views.of_device(call.w, server.id), floating_ips.of_ports(call.w, [server.id])
    return addresses(views, floating, extended=False)


def list_all(call: Call) -> dict[str, Any]:
    return {"addresses": _addresses(call)}


def show(call: Call) -> dict[str, Any]:
    label, found = call.path["label"], _addresses(call)
    if label not in found:
        raise NotFound("network", label, message="Instance is not a member of specified network")
    return {label: found[label]}


_ADDRESSES = mapping(array(record({"version": WHOLE, "addr": TEXT})))
_ALL, _OF_NETWORK = Told("addresses", whole=_ADDRESSES), Told(whole=_ADDRESSES)
_PATH = f"{ROOT}/servers/{{server_id}}/ips"
ROUTES = [
    Route("GET", _PATH, list_all, rule=RULE + "ips:index", view=_ALL, unit="read"),
    Route("GET", _PATH + "/{label}", show, rule=RULE + "ips:show", view=_OF_NETWORK, unit="read"),
]
