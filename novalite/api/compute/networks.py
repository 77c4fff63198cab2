"""Networks as Compute showed them: little more than their names."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.gone import tell
from novalite.api.compute.shapes import BOOLEAN, POSITIVE, ROOT, RULE, truth
from novalite.api.kit.answers import ANY, TEXT, TEXT_OR_NULL, UUID, Told, array, record
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.network import networks, subnets
from novalite.cloud.network.records import Network
from novalite.errors import Invalid, NotFound

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


_ROW = record({**dict.fromkeys(_EVERYBODYS, TEXT_OR_NULL), **dict.fromkeys(_ADMINS, ANY)}, optional=_ADMINS)
_TENANT_ROW = record({"id": UUID, "label": TEXT, "cidr": TEXT})
_LABEL = {"type": "string", "minLength": 1, "maxLength": 255}
_IP = {"type": "string", "format": "ipv4"}
_CIDR = {"type": "string", "maxLength": 64}
NEW = Body(
    "network",
    Item("label", _LABEL, required=True),
    Item("cidr", _CIDR, required=True),
    Item("project_id", {"type": "string", "maxLength": 64}),
    Item("gateway", _IP),
    Item("mtu", {**POSITIVE, "minimum": 68, "maximum": 65535}),
    Item("enable_dhcp", BOOLEAN),
    Item("allowed_start", _IP),
    Item("allowed_end", _IP),
    Item("dns1", _IP),
    Item("dns2", _IP),
)
"""What no network has here (VLANs, bridges by name, several hosts) cannot be asked for."""
NEW_OF_TENANT = Body("network", Item("label", _LABEL, required=True), Item("cidr", _CIDR, required=True))


def create(call: Call) -> dict[str, Any]:
    return {"network": _row(call, _make(call, call.body.get("project_id", "")))}


def create_of_tenant(call: Call) -> dict[str, Any]:
    network = _make(call, "")
    return {"network": {**_tenant_row(network), "cidr": network.subnets[0].cidr}}


def _make(call: Call, project_id: str) -> Network:
    body = call.body
    ends = body.get("allowed_start"), body.get("allowed_end")
    if (ends[0] is None) != (ends[1] is None):
        raise Invalid("allowed_start and allowed_end belong together.", field="allowed_start")
    mtu = int(body.get("mtu", call.parts.settings.network.mtu))
    network = networks.create(call.w, networks.NewNetwork(body["label"], mtu=mtu, project_id=project_id))
    subnets.create(
        call.w,
        network,
        subnets.NewSubnet(
            cidr=body["cidr"], gateway_ip=body.get("gateway", ""), pools=((ends[0], ends[1]),) if ends[0] else None,
            name=body["label"], enable_dhcp=truth(body.get("enable_dhcp", True)),
            dns_servers=tuple(body[name] for name in ("dns1", "dns2") if name in body),
        ),
    )  # fmt: skip
    return networks.get(call.w, network.id)


def delete(call: Call) -> None:
    networks.delete(call.w, call.path["network_id"])


_LATEST = "2.35"
_ALL, _OF_TENANT = f"{ROOT}/os-networks", f"{ROOT}/os-tenant-networks"
_ONE, _ONE_OF_TENANT = f"{_ALL}/{{network_id}}", f"{_OF_TENANT}/{{network_id}}"
_RULE, _TENANT_RULE = RULE + "os-networks:", RULE + "os-tenant-networks:"
_NETWORK, _TENANT_NETWORK = Told("network", whole=_ROW), Told("network", whole=_TENANT_ROW)


def _gone(path: str, action: str = "") -> Route:
    """Ties of networks to hosts and projects, which there are no more."""
    return Route("POST", path, tell, rule=_RULE + "associate", success=410, action=action, until=_LATEST,
                 body=Body(action, whole=ANY) if action else None)  # fmt: skip


ROUTES = [
    Route("GET", _ALL, list_all, rule=_RULE + "list", unit="read", view=Told("networks", whole=array(_ROW)),
          until=_LATEST),
    Route("GET", _ONE, show, rule=_RULE + "show", unit="read", view=_NETWORK, until=_LATEST),
    Route("POST", _ALL, create, rule=_RULE + "create", body=NEW, unit="write", view=_NETWORK, until=_LATEST),
    Route("DELETE", _ONE, delete, rule=_RULE + "delete", success=202, unit="write", until=_LATEST),
    _gone(f"{_ALL}/add"),
    *(_gone(f"{_ONE}/action", action)
      for action in ("disassociate", "disassociate_host", "disassociate_project", "associate_host")),
    Route("GET", _OF_TENANT, list_of_tenant, rule=_TENANT_RULE + "list", unit="read",
          view=Told("networks", whole=array(_TENANT_ROW)), until=_LATEST),
    Route("GET", _ONE_OF_TENANT, show_of_tenant, rule=_TENANT_RULE + "show", unit="read", view=_TENANT_NETWORK,
          until=_LATEST),
    Route("POST", _OF_TENANT, create_of_tenant, rule=_TENANT_RULE + "create", body=NEW_OF_TENANT, unit="write",
          view=_TENANT_NETWORK, until=_LATEST),
    Route("DELETE", _ONE_OF_TENANT, delete, rule=_TENANT_RULE + "delete", success=202, unit="write", until=_LATEST),
]  # fmt: skip
