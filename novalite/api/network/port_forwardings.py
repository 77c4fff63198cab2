"""Forwarded ports of floating addresses."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import NAME, ROOT, UUID
from novalite.cloud.network import floating_forwards
from novalite.cloud.network.floating_forwards import NewForward
from novalite.cloud.network.forward_records import FloatingForward
from novalite.errors import Invalid


def _external(forward: FloatingForward, call: Call) -> str:
    return _text((forward.external_first, forward.external_last))


def _text(ports: tuple[int, int]) -> str:
    return f"{ports[0]}:{ports[1]}"


def _only(ports: tuple[int, int]) -> int | None:
    return ports[0] if ports[0] == ports[1] else None


FORWARDING = View(
    Field("id"),
    Field("protocol"),
    Field("description"),
    Field("internal_port_id", "port_id"),
    Field("internal_ip_address", "fixed_ip_address"),
    Field("external_port", lambda one, call: _only((one.external_first, one.external_last))),
    Field("external_port_range", _external),
    Field("internal_port", lambda one, call: _only(floating_forwards.internal(one))),
    Field("internal_port_range", lambda one, call: _text(floating_forwards.internal(one))),
)
_PORT = {"type": ["integer", "string"], "pattern": r"^[0-9]{1,5}$", "minimum": 1, "maximum": 65535}
_RANGE = {"type": "string", "pattern": r"^[0-9]{1,5}(:[0-9]{1,5})?\Z"}
_SHARED = (
    Item("external_port", _PORT),
    Item("external_port_range", _RANGE),
    Item("internal_port", _PORT),
    Item("internal_port_range", _RANGE),
    Item("internal_ip_address", {"type": ["string", "null"], "format": "ipv4"}),
    Item("description", NAME),
)
_PROTOCOL = {"enum": ["tcp", "udp"]}
NEW = Body(
    "port_forwarding",
    Item("internal_port_id", UUID, required=True),
    Item("protocol", _PROTOCOL, required=True),
    *_SHARED,
)
CHANGES = Body("port_forwarding", Item("internal_port_id", UUID), Item("protocol", _PROTOCOL), *_SHARED)


def _ports(call: Call, side: str) -> tuple[int, int] | None:
    """A port or a range of them, whichever is given; not both."""
    one, several = call.body.get(f"{side}_port"), call.body.get(f"{side}_port_range")
    if one is not None and several is not None:
        raise Invalid(f"Bad port_forwarding request: {side}_port and {side}_port_range cannot be specified together.",
                      code="bad_request", field=f"{side}_port_range")  # fmt: skip
    if one is not None:
        return int(one), int(one)
    if several is None:
        return None
    first, _, last = several.partition(":")
    return int(first), int(last or first)


def _values(call: Call) -> dict[str, Any]:
    names = {"internal_port_id": "port_id", "protocol": "protocol", "internal_ip_address": "address",
             "description": "description"}  # fmt: skip
    found = {field: call.body[name] for name, field in names.items() if name in call.body}
    sides = {side: _ports(call, side) for side in ("external", "internal")}
    return found | {side: ports for side, ports in sides.items() if ports is not None}


def index(call: Call) -> dict[str, Any]:
    found = floating_forwards.list_of(call.w, call.path["floating_id"])
    return listing.listing(call, "port_forwardings", FORWARDING, found)


def show(call: Call) -> dict[str, Any]:
    found = floating_forwards.get(call.w, call.path["floating_id"], call.path["forward_id"])
    return listing.one(call, "port_forwarding", FORWARDING, found)


def create(call: Call) -> Any:
    values = _values(call)
    for side in ("external", "internal"):
        if side not in values:
            raise Invalid(f"Bad port_forwarding request: {side}_port or {side}_port_range is missing.",
                          code="bad_request", field=f"{side}_port")  # fmt: skip
    return floating_forwards.create(call.w, call.path["floating_id"], NewForward(**values))


def update(call: Call) -> Any:
    return floating_forwards.update(call.w, call.path["floating_id"], call.path["forward_id"], _values(call))


def delete(call: Call) -> None:
    floating_forwards.delete(call.w, call.path["floating_id"], call.path["forward_id"])


_ALL = f"{ROOT}/floatingips/{{floating_id}}/port_forwardings"
_ONE = f"{_ALL}/{{forward_id}}"
_SHOWN = FORWARDING.one("port_forwarding")
ROUTES = [
    Route("GET", _ALL, index, rule="get_floatingip_port_forwarding", unit="read"),
    Route("GET", _ONE, show, rule="get_floatingip_port_forwarding", unit="read"),
    Route("POST", _ALL, create, rule="create_floatingip_port_forwarding", body=NEW, view=_SHOWN, success=201,
          unit="write"),
    Route("PUT", _ONE, update, rule="update_floatingip_port_forwarding", body=CHANGES, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_floatingip_port_forwarding", success=204, unit="write"),
]  # fmt: skip
