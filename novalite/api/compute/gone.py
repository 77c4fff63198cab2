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


def refuse_rdp(call: Call) -> None:
    raise Invalid("The RDP console went away with the hypervisor that had it.", field="os-getRDPConsole")


def refuse_nodes(call: Call) -> None:
    raise Unsupported("There is no bare metal service.")


def refuse_change(call: Call) -> None:
    raise Invalid("Command Not supported. Please use Ironic command to perform this action.")


_GONE = (
    "GET os-agents", "POST os-agents", "PUT os-agents/{agent_id}", "DELETE os-agents/{agent_id}", "GET os-cloudpipe",
    "POST os-cloudpipe", "PUT os-cloudpipe/{which}", "GET os-fping", "GET os-fping/{server_id}",
    "GET os-cells", "POST os-cells", "GET os-cells/detail", "GET os-cells/info", "GET os-cells/capacities",
    "POST os-cells/sync_instances", "GET os-cells/{name}", "PUT os-cells/{name}", "DELETE os-cells/{name}",
    "GET os-cells/{name}/capacities", "POST os-certificates", "GET os-certificates/{certificate_id}",
    "GET servers/{server_id}/consoles", "POST servers/{server_id}/consoles",
    "GET servers/{server_id}/consoles/{console_id}", "DELETE servers/{server_id}/consoles/{console_id}",
)  # fmt: skip
_NODES = f"{ROOT}/os-baremetal-nodes"


def _gone(line: str) -> Route:
    method, path = line.split()
    return Route(method, f"{ROOT}/{path}", tell, rule=RULE + "gone", success=410)


def _node(method: str, path: str, rule: str) -> Route:
    handler, status = (refuse_nodes, 501) if method == "GET" else (refuse_change, 400)
    rule = f"{RULE}os-baremetal-nodes:{rule}"
    return Route(method, _NODES + path, handler, rule=rule, success=status, until="2.35")


ROUTES = [
    *(_gone(line) for line in _GONE),
    action_route("resetNetwork", tell, "gone", unit=None, success=410),
    action_route("os-getRDPConsole", refuse_rdp, "os-remote-consoles", unit=None, until="2.5", success=400),
    _node("GET", "", "list"),
    _node("GET", "/{node_id}", "show"),
    _node("POST", "", "list"),
    _node("DELETE", "/{node_id}", "show"),
    _node("POST", "/{node_id}/action", "show"),
]
