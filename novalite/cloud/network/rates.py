"""How much may pass each port."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from novalite.cloud.network.qos_records import BandwidthRule
from novalite.cloud.network.records import Network, Port
from novalite.db.work import Work
from novalite.drivers.network.base import RateSpec


def of_ports(w: Work, ids: Iterable[str]) -> dict[str, RateSpec]:
    """The limits that policies set, by port: its own policy, else its network's. Those without are left out."""
    query = (
        sa.select(Port.id, BandwidthRule.direction, BandwidthRule.max_kbps, BandwidthRule.max_burst_kbps)
        .join(Network, Network.id == Port.network_id)
        .join(BandwidthRule, BandwidthRule.policy_id == sa.func.coalesce(Port.qos_policy_id, Network.qos_policy_id))
        .where(Port.id.in_(list(ids)))
    )
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for row in w.session.execute(query):
        found.setdefault(row.id, {})[row.direction] = (row.max_kbps, row.max_burst_kbps)
    return {
        port_id: RateSpec(*limits.get("ingress", (0, 0)), *limits.get("egress", (0, 0)))
        for port_id, limits in found.items()
    }
