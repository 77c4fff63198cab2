"""Which address ports of the machine lead to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from novalite.cloud.network import addresses, host_forwards, networks, ports
from novalite.cloud.network.host_forwards import NewForward
from novalite.cloud.network.records import FixedIp, Network, Subnet
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.network.base import HostForwardSpec


def test_a_guest_on_a_lan_is_followed_to_the_address_it_gets_next(database: Database) -> None:
    with database.write(internal()) as w:
        network_id = networks.ensure_first(w, name="lan", cidr="192.0.2.0/24", mtu=1500)
        port = ports.create(w, ports.NewPort(network_id, device_id="s", device_owner="compute:nova", project_id="p"))
        first = port.fixed_ips[0].ip_address
        w.session.get_one(Network, network_id).lan = True
        w.session.get_one(Network, network_id).nat = False
        host_forwards.create(w, NewForward("s", 8080, 80))
        assert host_forwards.specs(w) == (HostForwardSpec("tcp", 8080, first, 80),)
        _moves(w, network_id, port.id, "192.0.2.99")
        assert host_forwards.specs(w) == (HostForwardSpec("tcp", 8080, "192.0.2.99", 80),)
        assert host_forwards.lead_to(w, [port.id])
        assert not host_forwards.lead_to(w, ["another"])
        w.changed(sa.delete(FixedIp).where(FixedIp.port_id == port.id))
        assert host_forwards.specs(w) == ()


def _moves(w: Any, network_id: str, port_id: str, text: str) -> None:
    subnet = w.session.scalars(sa.select(Subnet).where(Subnet.network_id == network_id)).one()
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == port_id))
    w.session.add(addresses.fixed(subnet, text, port_id))
    w.session.flush()
