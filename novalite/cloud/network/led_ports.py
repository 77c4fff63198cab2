"""What leads to ports: floating addresses, their forwarded ports, and those of the machine."""

from __future__ import annotations

from collections.abc import Sequence

from novalite.cloud.network import floating_forwards, floating_ips, host_forwards
from novalite.db.work import Work


def forget(w: Work, port_ids: Sequence[str]) -> None:
    """Ports are going: what led to them leads nowhere."""
    floating_ips.forget_ports(w, port_ids)
    floating_forwards.forget_ports(w, port_ids)
    host_forwards.forget_ports(w, port_ids)


def forget_addresses(w: Work, port_id: str, addresses: Sequence[str]) -> None:
    """A port loses these addresses."""
    floating_ips.forget_addresses(w, port_id, addresses)
    floating_forwards.forget_ports(w, [port_id], addresses)
    host_forwards.forget_ports(w, [port_id], addresses)
