"""Which port an address belongs to, as the metadata service asks."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from novalite.cloud.network import callers, networks
from novalite.cloud.network.records import FixedIp, Port, Subnet
from novalite.db.work import Database
from tests.unit.network.conftest import MEMBER, make_network

MAC = "fa:16:3e:01:02:03"


@pytest.fixture
def network_id(database: Database) -> str:
    """A network with a port at 10.0.0.5 and fd00::5 for s1."""
    id_ = make_network(database)
    with database.write(MEMBER) as w:
        port = Port(network_id=id_, project_id=MEMBER.project_id, mac_address=MAC, device_id="s1",
                    created_at=w.now, updated_at=w.now)  # fmt: skip
        w.session.add(port)
        w.session.flush()
        subnet_id = w.session.scalars(sa.select(Subnet.id).where(Subnet.network_id == id_)).one()
        for number, address in enumerate(("10.0.0.5", "fd00::5")):
            w.session.add(FixedIp(subnet_id=subnet_id, port_id=port.id, ip_address=address, address=number))
        w.session.flush()
    return id_


@pytest.mark.parametrize("address", ["10.0.0.5", "fd00::5", "fd00:0:0::5", "fe80::f816:3eff:fe01:203"])
def test_a_port_speaks_from_its_fixed_and_its_link_local_address(
    database: Database, network_id: str, address: str
) -> None:
    with database.read(MEMBER) as w:
        assert callers.device_at(w, network_id, address) == "s1"


@pytest.mark.parametrize(
    "address",
    ["10.0.0.6", "fd00::6", "fe80::f816:3eff:fe01:204", "fe80::1", "fe80::f816:3e00:1:203", "", "s1",
     "fe80:0:0:1:f816:3eff:fe01:203", "::ffff:10.0.0.5", "10.0.0.5 ", "fd00::f816:3eff:fe01:203"],
)  # fmt: skip
def test_other_addresses_are_nobodys(database: Database, network_id: str, address: str) -> None:
    with database.read(MEMBER) as w:
        assert callers.device_at(w, network_id, address) == ""


def test_the_same_address_on_another_network_is_another_port(database: Database, network_id: str) -> None:
    with database.write(MEMBER) as w:
        other = networks.create(w, networks.NewNetwork("other")).id
    with database.read(MEMBER) as w:
        assert callers.device_at(w, other, "10.0.0.5") == ""
        assert callers.device_at(w, other, "fe80::f816:3eff:fe01:203") == ""
