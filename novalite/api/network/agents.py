"""Agents, as Neutron lists them: what of this process serves networks, and how the machine's network reports on it.

They cannot be changed, and nothing can be moved from one to another: there is one of each kind.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View, utc_seconds
from novalite.api.network import listing
from novalite.api.network.shapes import ROOT
from novalite.cloud.identity import policy
from novalite.cloud.network import networks, routing
from novalite.drivers.network.base import NetworkReport, NetworkSpec, RouterSpec
from novalite.errors import DriverError, NotFound


@dataclass(frozen=True)
class Agent:
    """It is alive when the machine's network answers; else ``problem`` says why not. ``synced``: all that it should
    serve stands."""

    kind: str
    binary: str
    topic: str
    host: str
    started_at: datetime
    seen_at: datetime
    problem: str
    synced: bool
    configurations: dict[str, Any]

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.binary}.{self.host}"))


def _moment(name: str, attribute: str) -> Field:
    return Field(name, lambda agent, call: utc_seconds(getattr(agent, attribute)))


AGENT = View(
    Field("id"),
    Field("agent_type", "kind"),
    Field("binary"),
    Field("topic"),
    Field("host"),
    Field("admin_state_up", lambda agent, call: True),
    Field("alive", lambda agent, call: not agent.problem),
    Field("availability_zone", lambda agent, call: call.parts.settings.compute.availability_zone),
    Field("resources_synced", "synced"),
    Field("configurations"),
    Field("description", lambda agent, call: agent.problem or None),
    _moment("created_at", "started_at"),
    _moment("started_at", "started_at"),
    _moment("heartbeat_timestamp", "seen_at"),
)


def _agents(call: Call) -> list[Agent]:
    with call.parts.database.read(call.ctx) as w:
        wanted, routers, now = networks.specs(w), routing.specs(w), w.now
    seen, problem = _report(call)
    served = [spec for spec in wanted if any(subnet.server_ip and subnet.dhcp for subnet in spec.subnets)]

    def agent(kind: str, word: str, synced: bool, configurations: dict[str, Any]) -> Agent:
        return Agent(
            kind, f"neutron-{word}-agent", f"{word}_agent", call.parts.settings.local_host,
            call.parts.started_at, now, problem, synced, configurations,
        )  # fmt: skip

    return [
        agent("DHCP agent", "dhcp", {spec.id for spec in served} <= set(seen.dhcp_running), _dhcp(served, seen)),
        agent("L3 agent", "l3", {router.id for router in routers} <= set(seen.routers), _l3(routers)),
    ]


def _report(call: Call) -> tuple[NetworkReport, str]:
    """With why the machine's network could not be asked, if so."""
    try:
        return call.parts.network_driver.check(), ""
    except DriverError as error:
        return NetworkReport(), str(error)


def _dhcp(served: Sequence[NetworkSpec], seen: NetworkReport) -> dict[str, Any]:
    ids = {spec.id for spec in served}
    return {
        "dhcp_driver": "dnsmasq",
        "networks": len(served),
        "subnets": sum(bool(subnet.server_ip and subnet.dhcp) for spec in served for subnet in spec.subnets),
        "ports": sum(network_id in ids for network_id, _ in seen.ports),
    }


def _l3(routers: Sequence[RouterSpec]) -> dict[str, Any]:
    return {
        "agent_mode": "legacy",
        "routers": len(routers),
        "interfaces": sum(len(router.interfaces) for router in routers),
        "ex_gw_ports": sum(router.gateway is not None for router in routers),
        "floating_ips": sum(len(router.floating) for router in routers),
    }


def index(call: Call) -> dict[str, Any]:
    """Empty, as in Neutron, for whoever may see none."""
    found = _agents(call) if policy.allows("get_agent", call.ctx) else []
    return listing.listing(call, "agents", AGENT, found)


def show(call: Call) -> dict[str, Any]:
    found = next((agent for agent in _agents(call) if agent.id == call.path["agent_id"]), None)
    if found is None:
        raise NotFound("agent", call.path["agent_id"])
    return listing.one(call, "agent", AGENT, found)


ROUTES = [
    Route("GET", f"{ROOT}/agents", index, rule="get_extension"),
    Route("GET", f"{ROOT}/agents/{{agent_id}}", show, rule="get_agent"),
]
