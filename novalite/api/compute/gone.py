"""What Compute once served and now answers with 410, and bare metal, which needs a service of its own."""

from __future__ import annotations

from novalite.api.compute.server_actions import action_route
from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.call import Call
from novalite.api.kit.faults import Gone
from novalite.api.kit.routes import Route
from novalite.errors import Invalid, Unsupported


def tell(call: Call) -> None:
    raise Gone("This resource is no longer available. No forwarding address is given.")


def refuse_nodes(call: Call) -> None:
    raise Unsupported("There is no bare metal service.")


def refuse_change(call: Call) -> None:
    raise Invalid("Command Not supported. Please use Ironic command to perform this action.")


_GONE = (
    "GET os-agents", "POST os-agents", "PUT os-agents/{agent_id}", "DELETE os-agents/{agent_id}", "GET os-cloudpipe",
    "POST os-cloudpipe", "PUT os-cloudpipe/configure-project",
)  # fmt: skip
_NODES = f"{ROOT}/os-baremetal-nodes"


def _gone(line: str, until: str = "") -> Route:
    method, path = line.split()
    return Route(method, f"{ROOT}/{path}", tell, rule=RULE + "gone", until=until)


def _node(method: str, path: str, rule: str) -> Route:
    handler = refuse_nodes if method == "GET" else refuse_change
    return Route(method, _NODES + path, handler, rule=f"{RULE}os-baremetal-nodes:{rule}", until="2.35")


ROUTES = [
    *(_gone(line) for line in _GONE),
    _gone("GET os-fping", "2.35"),
    _gone("GET os-fping/{server_id}", "2.35"),
    action_route("resetNetwork", tell, "gone", unit=None),
    _node("GET", "", "list"),
    _node("GET", "/{node_id}", "show"),
    _node("POST", "", "list"),
    _node("DELETE", "/{node_id}", "show"),
    _node("POST", "/{node_id}/action", "show"),
]
