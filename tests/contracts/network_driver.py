"""What every network driver promises. A test module imports the class, names a subclass ``Test…`` and gives the
fixture ``driver``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.drivers.network.base import (
    FloatingSpec,
    GroupSpec,
    NetworkDriver,
    NetworkSpec,
    PortSpec,
    RouterSpec,
    RoutingSpec,
    RuleSpec,
    bridge_name,
)
from novalite.errors import DriverError

NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "first", "10.97.0.0/24", "10.97.0.1")
OTHER = NetworkSpec("7e2d2b63-6b68-4d54-9f8b-1d3c6e4b2f21", "other", "10.98.0.0/24", "10.98.0.1")
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", "10.97.0.5", "web")
SECOND = PortSpec("2d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:04", "10.97.0.6")
GROUP = GroupSpec("3d6f6a2e-1111-4222-8333-444455556666", (RuleSpec(True, 6, 22, 22), RuleSpec(False)))
ROUTING = RoutingSpec(
    (RouterSpec("4d6f6a2e-1111-4222-8333-444455556666", (NETWORK.id,), OTHER.id, "10.98.0.2"),),
    (FloatingSpec("10.98.0.3", OTHER.id, PORT.ip_address),),
)


class NetworkDriverContract:
    def test_it_is_a_network_driver(self, driver: NetworkDriver) -> None:
        assert isinstance(driver, NetworkDriver)

    def test_ensuring_twice_is_ensuring_once(self, driver: NetworkDriver) -> None:
        for _ in range(2):
            driver.ensure_network(NETWORK)
            driver.ensure_port(PORT)
        report = driver.check()
        assert report.bridges == (bridge_name(NETWORK.id),)
        assert report.dhcp_running == (NETWORK.id,)
        assert report.ports == ((NETWORK.id, PORT.id),)
        assert report.problems == ()

    def test_a_range_in_use_is_told(self, driver: NetworkDriver) -> None:
        assert NETWORK.cidr not in driver.used_ranges()
        driver.ensure_network(NETWORK)
        assert NETWORK.cidr in driver.used_ranges()

    def test_ports_given_are_exactly_those_known_and_none_leaves_them(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK, (PORT,))
        driver.ensure_network(NETWORK)
        assert driver.check().ports == ((NETWORK.id, PORT.id),)
        driver.ensure_network(NETWORK, (SECOND,))
        assert driver.check().ports == ((NETWORK.id, SECOND.id),)
        driver.ensure_network(NETWORK, ())
        assert driver.check().ports == ()

    def test_networks_do_not_touch_one_another(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK, (PORT,))
        driver.ensure_network(OTHER, ())
        driver.remove_network(OTHER.id)
        assert driver.check().ports == ((NETWORK.id, PORT.id),)
        assert driver.check().problems == ()

    def test_removing_what_is_absent_succeeds(self, driver: NetworkDriver) -> None:
        driver.remove_network(NETWORK.id)
        driver.remove_port(NETWORK.id, PORT.id)
        driver.ensure_network(NETWORK, (PORT,))
        for _ in range(2):
            driver.remove_port(NETWORK.id, PORT.id)
            driver.remove_network(NETWORK.id)
        report = driver.check()
        assert (report.bridges, report.dhcp_running, report.ports) == ((), (), ())

    def test_a_port_without_its_network_may_be_tried_again(self, driver: NetworkDriver) -> None:
        with pytest.raises(DriverError) as refused:
            driver.ensure_port(PORT)
        assert refused.value.retryable

    def test_a_port_may_move(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK, (PORT,))
        driver.ensure_port(replace(PORT, ip_address="10.97.0.9", mac_address="fa:16:3e:01:02:99"))
        driver.ensure_port(replace(SECOND, ip_address=PORT.ip_address))
        assert set(driver.check().ports) == {(NETWORK.id, PORT.id), (NETWORK.id, SECOND.id)}

    @pytest.mark.parametrize(
        "change",
        [{"mac_address": "fa:16:3e:01:02:03,set:x"}, {"ip_address": "10.97.0.5\n"}, {"id": "not-an-id"}],
    )
    def test_values_that_could_break_out_are_refused(self, driver: NetworkDriver, change: dict[str, str]) -> None:
        driver.ensure_network(NETWORK)
        with pytest.raises(DriverError) as refused:
            driver.ensure_port(replace(PORT, **change))
        assert not refused.value.retryable
        assert driver.check().ports == ()

    def test_a_healthy_network_gives_no_alarm(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK, (PORT,))
        assert driver.watch(0.05) == ()

    def test_groups_and_routing_may_come_at_any_time_and_again(self, driver: NetworkDriver) -> None:
        for _ in range(2):
            driver.ensure_groups((GROUP,))
            driver.ensure_routing(ROUTING)
        driver.ensure_network(NETWORK, (replace(PORT, groups=(GROUP.id,)),))
        driver.ensure_network(OTHER, ())
        for _ in range(2):
            driver.ensure_groups((GROUP,), only=True)
            driver.ensure_routing(ROUTING)
        driver.remove_group(GROUP.id)
        driver.remove_group(GROUP.id)
        driver.ensure_routing(RoutingSpec())
        driver.ensure_port(PORT)
        report = driver.check()
        assert (report.ports, report.problems) == (((NETWORK.id, PORT.id),), ())

    @pytest.mark.parametrize(
        "rule",
        [RuleSpec(True, 300), RuleSpec(True, 6, -1), RuleSpec(True, remote="0/0 }"), RuleSpec(True, remote_group="x")],
    )
    def test_rules_that_could_break_out_are_refused(self, driver: NetworkDriver, rule: RuleSpec) -> None:
        with pytest.raises(DriverError):
            driver.ensure_groups((replace(GROUP, rules=(rule,)),))
        with pytest.raises(DriverError):
            driver.ensure_routing(RoutingSpec(floating=(FloatingSpec("10.0.0.1 }", NETWORK.id, "10.0.0.2"),)))
