"""Fixed addresses as Compute showed them, those of servers, and what Compute once kept beside them."""

from __future__ import annotations

from novalite.api.compute.gone import tell
from novalite.api.compute.server_actions import action_route
from novalite.api.compute.shapes import ANYTHING, ROOT, RULE
from novalite.api.kit.answers import FLAG, TEXT, TEXT_OR_NULL
from novalite.api.kit.body import Body
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Handler, Route
from novalite.api.kit.view import Field, View
from novalite.cloud.compute import fixed_ips
from novalite.cloud.compute.fixed_ips import Address

ADDRESS = View(
    Field("address", schema=TEXT),
    Field("cidr", schema=TEXT),
    Field("host", schema=TEXT_OR_NULL),
    Field("hostname", schema=TEXT_OR_NULL),
    Field("reserved", since="2.4", schema=FLAG),
)
_NETWORK = {
    "type": "object",
    "properties": {"networkId": {"type": ["string", "number"], "minLength": 1, "maxLength": 36}},
    "required": ["networkId"],
    "additionalProperties": False,
}
_IP = {
    "type": "object",
    "properties": {"address": {"type": "string", "format": "ip"}},
    "required": ["address"],
    "additionalProperties": False,
}


def add(call: Call) -> None:
    fixed_ips.add(call.w, call.path["server_id"], str(call.body["networkId"]))


def remove(call: Call) -> None:
    fixed_ips.remove(call.w, call.path["server_id"], call.body["address"])


def show(call: Call) -> Address:
    return fixed_ips.show(call.w, call.path["address"])


def reserve(call: Call) -> None:
    fixed_ips.reserve(call.w, call.path["address"])


def unreserve(call: Call) -> None:
    fixed_ips.unreserve(call.w, call.path["address"])


_ONE = f"{ROOT}/os-fixed-ips/{{address}}"
_LATEST, _LATEST_ACTION = "2.35", "2.43"
_GONE = (
    "GET os-floating-ip-dns", "PUT os-floating-ip-dns/{domain}", "DELETE os-floating-ip-dns/{domain}",
    "GET os-floating-ip-dns/{domain}/entries/{name}", "PUT os-floating-ip-dns/{domain}/entries/{name}",
    "DELETE os-floating-ip-dns/{domain}/entries/{name}", "GET os-security-group-default-rules",
    "POST os-security-group-default-rules", "GET os-security-group-default-rules/{rule_id}",
    "DELETE os-security-group-default-rules/{rule_id}",
)  # fmt: skip


def _act(name: str, handler: Handler) -> Route:
    return Route("POST", f"{_ONE}/action", handler, rule=RULE + "os-fixed-ips:reserve", action=name,
                 body=Body(name, whole=ANYTHING), unit="write", success=202, until=_LATEST)  # fmt: skip


def _gone(line: str) -> Route:
    """Names of addresses and rules of groups to come: nothing here keeps such."""
    method, path = line.split()
    return Route(method, f"{ROOT}/{path}", tell, rule=RULE + path.partition("/")[0], success=410, until=_LATEST)


ROUTES = [
    action_route("addFixedIp", add, "os-multinic:add", _NETWORK, until=_LATEST_ACTION),
    action_route("removeFixedIp", remove, "os-multinic:remove", _IP, until=_LATEST_ACTION),
    Route("GET", _ONE, show, rule=RULE + "os-fixed-ips:reserve", unit="read", view=ADDRESS.one("fixed_ip"),
          until=_LATEST),
    _act("reserve", reserve),
    _act("unreserve", unreserve),
    *(_gone(line) for line in _GONE),
]  # fmt: skip
