"""Networks are made again from the records; one that cannot be made keeps nothing else from working."""

from __future__ import annotations

from novalite.cloud.network import networks
from novalite.context import internal
from novalite.drivers.network.base import NetworkSpec, PortSpec, RouterSpec
from novalite.engine import network_state
from tests.api.conftest import Appliance, wait_for


def _second_network(appliance: Appliance) -> str:
    body = {"network": {"name": "second"}}
    network_id: str = appliance.post("/network/v2.0/networks", body).json["network"]["id"]
    subnet = {"subnet": {"network_id": network_id, "ip_version": 4, "cidr": "10.99.0.0/24"}}
    assert appliance.post("/network/v2.0/subnets", subnet).status_code == 201
    return network_id


def test_the_others_are_made_when_one_cannot(appliance: Appliance) -> None:
    second = _second_network(appliance)
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    wait_for(lambda: second in driver.networks)
    driver.networks.clear()
    driver.fail_next("ensure_network")
    failed = network_state.restore(appliance.built.database, appliance.built.network)
    with appliance.built.database.read(internal()) as w:
        everyone = {spec.id for spec in networks.specs(w)}
    assert second in everyone
    assert len(failed) == 1
    assert set(driver.networks) == everyone - set(failed)


def test_forwards_that_the_machine_refuses_keep_nothing_else_from_starting(appliance: Appliance) -> None:
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    driver.networks.clear()
    driver.fail_next("ensure_forwards")
    assert network_state.restore(appliance.built.database, appliance.built.network) == []
    with appliance.built.database.read(internal()) as w:
        assert set(driver.networks) == {spec.id for spec in networks.specs(w)}


def test_what_the_records_do_not_know_goes(appliance: Appliance) -> None:
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    driver.ensure_network(NetworkSpec("99999999-2222-4333-8444-555555555555", "left over"))
    driver.ensure_routers((RouterSpec("99999999-3333-4333-8444-555555555555"),))
    network_state.restore(appliance.built.database, appliance.built.network)
    assert not {"99999999-2222-4333-8444-555555555555", "99999999-3333-4333-8444-555555555555"} & {
        *driver.networks, *driver.routers
    }  # fmt: skip
    assert driver.routers, "the router of the first start stands"


def test_a_live_repair_leaves_ports_that_were_wired_meanwhile(appliance: Appliance) -> None:
    driver = appliance.built.network._driver  # type: ignore[attr-defined]
    network_state.restore(appliance.built.database, appliance.built.network)
    before = dict(driver.ports)
    network_id = next(iter(driver.networks))
    late = PortSpec("11111111-2222-3333-4444-555555555555", network_id, "fa:16:3e:00:00:01", ("10.99.0.77",))
    driver.ensure_port(late)
    network_state.repair(appliance.built.database, appliance.built.network, [network_id])
    assert dict(driver.ports) == before | {(network_id, late.id): late}
