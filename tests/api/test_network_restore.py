"""Networks are made again from the records; one that cannot be made keeps nothing else from working."""

from __future__ import annotations

from novalite.cloud.network import networks
from novalite.context import internal
from novalite.drivers.network.base import PortSpec
from novalite.engine import reconcile
from tests.api.conftest import Appliance


def _second_network(appliance: Appliance) -> str:
    body = {"network": {"name": "second"}}
    network_id: str = appliance.post("/network/v2.0/networks", body).json["network"]["id"]
    subnet = {"subnet": {"network_id": network_id, "ip_version": 4, "cidr": "10.99.0.0/24"}}
    assert appliance.post("/network/v2.0/subnets", subnet).status_code == 201
    return network_id


def test_the_others_are_made_when_one_cannot(appliance: Appliance) -> None:
    second = _second_network(appliance)
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    driver.networks.clear()
    driver.fail_next("ensure_network")
    failed = reconcile.restore_networks(appliance.built.database, appliance.built.network)
    with appliance.built.database.read(internal()) as w:
        everyone = {spec.id for spec in networks.specs(w)}
    assert second in everyone
    assert len(failed) == 1
    assert set(driver.networks) == everyone - set(failed)


def test_a_live_repair_leaves_ports_that_were_wired_meanwhile(appliance: Appliance) -> None:
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    reconcile.restore_networks(appliance.built.database, appliance.built.network)
    before = dict(driver.ports)
    network_id = next(iter(driver.networks))
    late = PortSpec("11111111-2222-3333-4444-555555555555", network_id, "fa:16:3e:00:00:01", ("10.99.0.77",))
    driver.ensure_port(late)
    reconcile.repair_networks(appliance.built.database, appliance.built.network)
    assert dict(driver.ports) == before | {(network_id, late.id): late}
