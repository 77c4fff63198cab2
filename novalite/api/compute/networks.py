"""Networks as Compute showed them: little more than their names. Floating addresses there are none."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import ANY, TEXT, TEXT_OR_NULL, UUID, Told, array, record
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.network import networks
from novalite.cloud.network.records import Network
from novalite.errors import NotFound

_EVERYBODYS = (
    "id", "cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "label", "netmask_v6",
)  # fmt: skip
_ADMINS = (
    "created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address",
    "vpn_public_port", "vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host",
    "priority", "rxtx_base", "mtu", "dhcp_server", "enable_dhcp", "share_address",
)  # fmt: skip


def _row(call: Call, network: Network) -> dict[str, Any]:
    """The addresses of a network are its subnets' now: no version of this list tells them."""
    names = (*_EVERYBODYS, *(_ADMINS if call.ctx.is_admin else ()))
    return {**dict.fromkeys(names), "id": network.id, "label": network.name}


def _tenant_row(network: Network) -> dict[str, str]:
    return {"id": network.id, "label": network.name, "cidr": "None"}


def _get(call: Call) -> Network:
    network_id = call.path["network_id"]
    try:
        return networks.get(call.w, network_id)
    except NotFound as error:
        raise NotFound("network", network_id, message="Network not found") from error


def list_all(call: Call) -> dict[str, Any]:
    return {"networks": [_row(call, network) for network in networks.list_visible(call.w)]}


def show(call: Call) -> dict[str, Any]:
    return {"network": _row(call, _get(call))}


def list_of_tenant(call: Call) -> dict[str, Any]:
    return {"networks": [_tenant_row(network) for network in networks.list_visible(call.w)]}


def show_of_tenant(call: Call) -> dict[str, Any]:
    return {"network": _tenant_row(_get(call))}


def list_pools(call: Call) -> dict[str, Any]:
    return {"floating_ip_pools": []}


_ROW = record({**dict.fromkeys(_EVERYBODYS, TEXT_OR_NULL), **dict.fromkeys(_ADMINS, ANY)}, optional=_ADMINS)
_TENANT_ROW = record({"id": UUID, "label": TEXT, "cidr": TEXT})


def _route(path: str, handler: Any, rule: str, view: Told) -> Route:
    return Route("GET", f"{ROOT}/{path}", handler, rule=RULE + rule, unit="read", view=view, until="2.35")


ROUTES = [
    _route("os-networks", list_all, "os-networks:list", Told("networks", whole=array(_ROW))),
    _route("os-networks/{network_id}", show, "os-networks:show", Told("network", whole=_ROW)),
    _route("os-tenant-networks", list_of_tenant, "os-tenant-networks:list", Told("networks", whole=array(_TENANT_ROW))),
    _route(
        "os-tenant-networks/{network_id}", show_of_tenant, "os-tenant-networks:show", Told("network", whole=_TENANT_ROW)
    ),
    _route(
        "os-floating-ip-pools",
        list_pools,
        "os-floating-ip-pools",
        Told("floating_ip_pools", whole=array(record({"name": TEXT}))),
    ),
]
