"""Routers. What is changed here reaches the machine within moments (``engine/network_changes.py``)."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import (
    ANY,
    BOOLEAN,
    LIST,
    NAME,
    PROJECT,
    ROOT,
    TAGS,
    UUID,
    common_fields,
    given_tags,
    owner,
    refuse_unless,
)
from novalite.cloud.identity import policy
from novalite.cloud.network import router_ports, routers
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.records import Router
from novalite.cloud.network.router_gateways import Gateway
from novalite.cloud.network.routing import GATEWAY
from novalite.errors import Invalid


def _gateway(router: Router, call: Call) -> dict[str, Any] | None:
    if router.external_network_id is None:
        return None
    addresses = [
        {"subnet_id": fixed.subnet_id, "ip_address": fixed.ip_address}
        for port in router.ports
        if port.device_owner == GATEWAY
        for fixed in port.fixed_ips
    ]
    return {
        "network_id": router.external_network_id,
        "enable_snat": router.enable_snat,
        "external_fixed_ips": addresses,
    }


def _admin(call: Call) -> bool:
    return policy.allows("get_router:distributed", call.ctx)


ROUTER = View(
    *common_fields(),
    Field("admin_state_up"),
    Field("status", lambda router, call: "ACTIVE" if router.admin_state_up else "DOWN"),
    Field("external_gateway_info", _gateway),
    Field("routes"),
    Field("distributed", lambda router, call: False, only=_admin),
    Field("ha", lambda router, call: False, only=_admin),
    Field("availability_zones", lambda router, call: [call.parts.settings.compute.availability_zone]),
    Field("availability_zone_hints", lambda router, call: []),
    Field("flavor_id", lambda router, call: None),
)
_FIXED = {
    "type": "object",
    "properties": {"subnet_id": UUID, "ip_address": {"type": "string", "maxLength": 64}},
    "additionalProperties": False,
}
_GATEWAY = {
    "type": ["object", "null"],
    "properties": {
        "network_id": UUID,
        "enable_snat": BOOLEAN,
        "external_fixed_ips": {"type": "array", "items": _FIXED, "maxItems": 5},
        "qos_policy_id": {"type": "null"},
    },
    "additionalProperties": False,
}
_SHARED = (
    Item("name", NAME),
    Item("description", NAME),
    Item("admin_state_up", BOOLEAN),
    Item("external_gateway_info", _GATEWAY),
    Item("distributed", ANY),
    Item("ha", ANY),
)
_ROUTE = {
    "type": "object",
    "properties": {"destination": {"type": "string", "maxLength": 64}, "nexthop": {"type": "string", "maxLength": 64}},
    "required": ["destination", "nexthop"],
    "additionalProperties": False,
}
_ROUTES = {"type": "array", "items": _ROUTE}
NEW = Body(
    "router",
    *_SHARED,
    Item("tags", TAGS),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
    Item("availability_zone_hints", LIST),
    Item("flavor_id", ANY),
)
CHANGES = Body("router", *_SHARED, Item("routes", {**_ROUTES, "type": ["array", "null"]}))
MORE_ROUTES = Body("router", Item("routes", _ROUTES, required=True))
INTERFACE = Body("", Item("subnet_id", UUID), Item("port_id", UUID), Item("router_id", ANY))


def _refuse_what_is_not_offered(call: Call) -> None:
    refuse_unless(call, distributed=False, ha=False, availability_zone_hints=[], flavor_id=None)


def _wanted_gateway(call: Call) -> Gateway | None:
    info = call.body.get("external_gateway_info")
    if not info:
        return None
    if "network_id" not in info:
        raise Invalid("Invalid input for external_gateway_info. Reason: network_id is missing.",
                      field="external_gateway_info")  # fmt: skip
    if "enable_snat" in info:
        policy.require("create_router:external_gateway_info:enable_snat", call.ctx)
    return Gateway(info["network_id"], info.get("enable_snat"), _addresses(call, info.get("external_fixed_ips")))


def _addresses(call: Call, wanted: list[dict[str, str]] | None) -> tuple[Asked, ...] | None:
    """Addresses of the external network are for administrators to choose."""
    if not wanted:
        return None
    policy.require("create_router:external_gateway_info:external_fixed_ips", call.ctx)
    return tuple(Asked(one.get("ip_address"), one.get("subnet_id")) for one in wanted)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "routers", ROUTER, routers.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "router", ROUTER, routers.get(call.w, call.path["router_id"]))


def create(call: Call) -> Any:
    _refuse_what_is_not_offered(call)
    made = routers.create(
        call.w,
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        admin_state_up=call.body.get("admin_state_up", True),
        gateway=_wanted_gateway(call),
        project_id=owner(call),
    )
    made.tags = given_tags(call)
    return made


def update(call: Call) -> Any:
    _refuse_what_is_not_offered(call)
    names = ("name", "description", "admin_state_up")
    changes = {name: call.body[name] for name in names if name in call.body}
    if "routes" in call.body:
        changes["routes"] = call.body["routes"] or []
    more = {"gateway": _wanted_gateway(call)} if "external_gateway_info" in call.body else {}
    return routers.update(call.w, call.path["router_id"], changes, **more)


def delete(call: Call) -> None:
    routers.delete(call.w, call.path["router_id"])


def _told(found: router_ports.Interface) -> dict[str, Any]:
    router = found.router
    return {
        "id": router.id,
        "tenant_id": router.project_id,
        "project_id": router.project_id,
        "port_id": found.port_id,
        "network_id": found.network_id,
        "subnet_id": found.subnet_ids[0],
        "subnet_ids": list(found.subnet_ids),
    }


def _named(call: Call) -> tuple[str, str]:
    subnet_id, port_id = call.body.get("subnet_id", ""), call.body.get("port_id", "")
    if not subnet_id and not port_id:
        raise Invalid("Bad router request: Either subnet_id or port_id must be specified.", field="subnet_id")
    return subnet_id, port_id


def add_interface(call: Call) -> dict[str, Any]:
    subnet_id, port_id = _named(call)
    if subnet_id and port_id:
        raise Invalid("Bad router request: Cannot specify both subnet-id and port-id.", field="port_id")
    router = routers.hold(call.w, call.path["router_id"])
    if port_id:
        return _told(router_ports.add_port(call.w, router, port_id))
    return _told(router_ports.add_subnet(call.w, router, subnet_id))


def remove_interface(call: Call) -> dict[str, Any]:
    subnet_id, port_id = _named(call)
    router = routers.hold(call.w, call.path["router_id"])
    return _told(router_ports.remove(call.w, router, subnet_id=subnet_id, port_id=port_id))


def add_routes(call: Call) -> Any:
    return routers.add_routes(call.w, call.path["router_id"], call.body["routes"])


def remove_routes(call: Call) -> Any:
    return routers.remove_routes(call.w, call.path["router_id"], call.body["routes"])


_ALL, _ONE = f"{ROOT}/routers", f"{ROOT}/routers/{{router_id}}"
_SHOWN = ROUTER.one("router")
ROUTES = [
    Route("GET", _ALL, index, rule="get_router", unit="read"),
    Route("GET", _ONE, show, rule="get_router", unit="read"),
    Route("POST", _ALL, create, rule="create_router", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_router", body=CHANGES, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_router", success=204, unit="write"),
    Route("PUT", f"{_ONE}/add_router_interface", add_interface, rule="add_router_interface", body=INTERFACE,
          unit="write"),
    Route("PUT", f"{_ONE}/remove_router_interface", remove_interface, rule="remove_router_interface",
          body=INTERFACE, unit="write"),
    Route("PUT", f"{_ONE}/add_extraroutes", add_routes, rule="add_extraroutes", body=MORE_ROUTES, view=_SHOWN,
          unit="write"),
    Route("PUT", f"{_ONE}/remove_extraroutes", remove_routes, rule="remove_extraroutes", body=MORE_ROUTES,
          view=_SHOWN, unit="write"),
]  # fmt: skip
