"""What every network driver promises. A test module imports the class, names a subclass ``Test…`` and gives the
fixture ``driver``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.drivers.network.base import (
    FloatingSpec,
    GroupSpec,
    HostForwardSpec,
    NetworkDriver,
    NetworkSpec,
    PortSpec,
    RateSpec,
    RouterPortSpec,
    RouterSpec,
    RuleSpec,
    SubnetSpec,
    UplinkSpec,
)
from novalite.errors import DriverError

RANGE = SubnetSpec("0f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "10.97.0.0/24", "10.97.0.1", server_ip="10.97.0.2")
OUTER_RANGE = SubnetSpec("0e1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "10.98.0.0/24", "10.98.0.1", server_ip="10.98.0.2")
NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "first", subnets=(RANGE,))
OTHER = NetworkSpec("7e2d2b63-6b68-4d54-9f8b-1d3c6e4b2f21", "other", subnets=(OUTER_RANGE,), uplink=UplinkSpec("host"))
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", ("10.97.0.5",), hostname="web")
SECOND = PortSpec("2d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:04", ("10.97.0.6",))
GROUP = GroupSpec(
    "3d6f6a2e-1111-4222-8333-444455556666", (RuleSpec(True, protocol=6, low=22, high=22), RuleSpec(False))
)
ROUTER = RouterSpec(
    "4d6f6a2e-1111-4222-8333-444455556666",
    (RouterPortSpec("5d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:05", ("10.97.0.1/24",)),),
    RouterPortSpec("6d6f6a2e-1111-4222-8333-444455556666", OTHER.id, "fa:16:3e:01:02:06", ("10.98.0.3/24",)),
    ("10.98.0.1",),
    floating=(FloatingSpec("10.98.0.4", PORT.addresses[0]),),
)
FORWARD = HostForwardSpec("tcp", 8080, "10.98.0.4", 80)


class NetworkDriverContract:
    def test_it_is_a_network_driver(self, driver: NetworkDriver) -> None:
        assert isinstance(driver, NetworkDriver)

    def test_ensuring_twice_is_ensuring_once(self, driver: NetworkDriver) -> None:
        for _ in range(2):
            driver.ensure_network(NETWORK)
            driver.ensure_port(PORT)
        report = driver.check()
        assert report.networks == (NETWORK.id,)
        assert report.dhcp_running == (NETWORK.id,)
        assert report.ports == ((NETWORK.id, PORT.id),)
        assert report.problems == ()

    def test_only_a_network_with_an_uplink_uses_a_range_of_the_machine(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK)
        assert RANGE.cidr not in driver.used_ranges()
        driver.ensure_network(OTHER)
        assert OUTER_RANGE.cidr in driver.used_ranges()

    def test_networks_may_have_the_same_range(self, driver: NetworkDriver) -> None:
        twin = replace(NETWORK, id="8e2d2b63-6b68-4d54-9f8b-1d3c6e4b2f21")
        for network in (NETWORK, twin):
            driver.ensure_network(network)
        driver.ensure_port(PORT)
        driver.ensure_port(replace(PORT, id=SECOND.id, network_id=twin.id))
        report = driver.check()
        assert set(report.ports) == {(NETWORK.id, PORT.id), (twin.id, SECOND.id)}
        assert report.problems == ()

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
        driver.remove_router(ROUTER.id)
        driver.remove_group(GROUP.id)
        driver.ensure_network(NETWORK, (PORT,))
        for _ in range(2):
            driver.remove_port(NETWORK.id, PORT.id)
            driver.remove_network(NETWORK.id)
        report = driver.check()
        assert (report.networks, report.dhcp_running, report.ports) == ((), (), ())

    def test_what_needs_a_network_that_is_absent_may_be_tried_again(self, driver: NetworkDriver) -> None:
        with pytest.raises(DriverError) as refused:
            driver.ensure_port(PORT)
        assert refused.value.retryable
        with pytest.raises(DriverError) as refused:
            driver.metadata_sockets(NETWORK.id)
        assert refused.value.retryable

    def test_a_port_may_move_and_get_limits(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK, (PORT,))
        driver.ensure_port(replace(PORT, addresses=("10.97.0.9",), mac_address="fa:16:3e:01:02:99"))
        driver.ensure_port(replace(SECOND, addresses=PORT.addresses, rate=RateSpec(1000, 100, 2000, 0)))
        driver.ensure_port(replace(SECOND, addresses=PORT.addresses, up=False))
        report = driver.check()
        assert set(report.ports) == {(NETWORK.id, PORT.id), (NETWORK.id, SECOND.id)}
        assert report.problems == ()

    @pytest.mark.parametrize(
        "change",
        [
            {"mac_address": "fa:16:3e:01:02:03,set:x"},
            {"addresses": ("10.97.0.5\n",)},
            {"id": "not-an-id"},
            {"pairs": (("", "10.0.0.0/8 }"),)},
            {"dhcp_options": (("mtu", "1400\ndhcp-script=/bin/sh", 4),)},
        ],
    )
    def test_values_that_could_break_out_are_refused(self, driver: NetworkDriver, change: dict[str, object]) -> None:
        driver.ensure_network(NETWORK)
        with pytest.raises(DriverError) as refused:
            driver.ensure_port(replace(PORT, **change))  # type: ignore[arg-type]
        assert not refused.value.retryable
        assert driver.check().ports == ()

    def test_a_healthy_network_gives_no_alarm(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK, (PORT,))
        assert driver.watch(0.05) == ()

    def test_metadata_is_listened_for_where_there_is_some(self, driver: NetworkDriver) -> None:
        driver.ensure_network(NETWORK)
        sockets = driver.metadata_sockets(NETWORK.id)
        assert sockets
        for one in sockets:
            one.close()
        driver.ensure_network(replace(NETWORK, metadata=False))
        assert driver.metadata_sockets(NETWORK.id) == ()

    def test_groups_and_routers_may_come_at_any_time_and_again(self, driver: NetworkDriver) -> None:
        for _ in range(2):
            driver.ensure_groups((GROUP,))
            driver.ensure_routers((ROUTER,))
        driver.ensure_network(NETWORK, (replace(PORT, groups=(GROUP.id,)),))
        driver.ensure_network(OTHER, ())
        for _ in range(2):
            driver.ensure_groups((GROUP,), only=True)
            driver.ensure_routers((ROUTER,), only=True)
            driver.ensure_forwards((FORWARD,))
        report = driver.check()
        assert (report.routers, report.problems) == ((ROUTER.id,), ())
        driver.remove_network(NETWORK.id)
        assert driver.check().problems == ()
        driver.ensure_network(NETWORK, (replace(PORT, groups=(GROUP.id,)),))
        driver.ensure_forwards(())
        driver.remove_group(GROUP.id)
        driver.remove_group(GROUP.id)
        driver.ensure_routers((), only=True)
        driver.ensure_port(PORT)
        report = driver.check()
        assert (report.ports, report.routers, report.problems) == (((NETWORK.id, PORT.id),), (), ())

    @pytest.mark.parametrize(
        "rule",
        [
            RuleSpec(True, protocol=300),
            RuleSpec(True, protocol=6, low=-1),
            RuleSpec(True, remotes=("0/0 }",)),
            RuleSpec(True, version=6, remotes=("10.0.0.0/8",)),
            RuleSpec(True, remote_group="x"),
        ],
    )
    def test_rules_that_could_break_out_are_refused(self, driver: NetworkDriver, rule: RuleSpec) -> None:
        with pytest.raises(DriverError):
            driver.ensure_groups((replace(GROUP, rules=(rule,)),))

    def test_routers_and_forwards_that_could_break_out_are_refused(self, driver: NetworkDriver) -> None:
        with pytest.raises(DriverError):
            driver.ensure_routers((replace(ROUTER, floating=(FloatingSpec("10.0.0.1 }", "10.0.0.2"),)),))
        with pytest.raises(DriverError):
            driver.ensure_forwards((replace(FORWARD, protocol="icmp"),))
