"""What dnsmasq is told: reservations that no name can break out of, and its command line."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novalite.drivers.network import checks
from novalite.drivers.network.base import NetworkSpec, PortSpec
from novalite.drivers.network.dnsmasq import DhcpServer, hosts_text
from novalite.errors import DriverError

NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "10.0.0.0/24", "10.0.0.1", mtu=1450)
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", "10.0.0.5", "web")


def test_a_reservation_is_a_comment_and_a_line() -> None:
    assert hosts_text([PORT]) == f"# {PORT.id}\nfa:16:3e:01:02:03,10.0.0.5,web\n"


@given(st.text(max_size=80))
def test_no_host_name_breaks_out_of_its_line(name: str) -> None:
    text = hosts_text([PortSpec(PORT.id, PORT.network_id, PORT.mac_address, PORT.ip_address, name)])
    comment, line = text.split("\n")[:2]
    assert text.count("\n") == 2
    assert comment == f"# {PORT.id}"
    fields = line.split(",")
    assert fields[:2] == [PORT.mac_address, PORT.ip_address]
    assert len(fields) <= 3
    assert all(char.isascii() and (char.isalnum() or char == "-") for char in "".join(fields[2:]))


@given(st.sampled_from(["id", "network_id", "mac_address", "ip_address"]), st.text(max_size=60))
def test_other_values_are_taken_exactly_or_refused(field: str, value: str) -> None:
    values = {"id": PORT.id, "network_id": PORT.network_id, "mac_address": PORT.mac_address,
              "ip_address": PORT.ip_address} | {field: value}  # fmt: skip
    try:
        told = checks.port(replace(PORT, **values))  # type: ignore[arg-type]
    except DriverError:
        return
    assert getattr(told, field) == value
    assert not set(value) & set(" ,#\n\r\t\x00")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../etc"},
        {"cidr": "10.0.0.0/24\n"},
        {"cidr": "10.0.0.1/24"},
        {"gateway_ip": "10.0.1.1"},
        {"gateway_ip": "10.0.0.1,tag:x"},
        {"dns_servers": ("1.1.1.1,6.6.6.6",)},
        {"dns_domain": "a\nb"},
        {"dns_domain": "a..b"},
        {"mtu": 0},
    ],
)
def test_a_network_with_a_bad_value_is_refused(change: dict[str, object]) -> None:
    values = {"id": NETWORK.id, "name": "n\n,", "cidr": NETWORK.cidr, "gateway_ip": NETWORK.gateway_ip} | change
    with pytest.raises(DriverError):
        checks.network(NetworkSpec(**values))  # type: ignore[arg-type]


def test_the_command_line_reserves_routes_and_mtu(tmp_path: Path) -> None:
    argv = DhcpServer(tmp_path).argv(NETWORK, 7)
    assert "--dhcp-range=10.0.0.0,static,255.255.255.0,24h" in argv
    assert "--dhcp-option-force=option:mtu,1450" in argv
    routes = "--dhcp-option=option:classless-static-route,169.254.169.254/32,10.0.0.1,0.0.0.0/0,10.0.0.1"
    assert routes in argv
    assert "--port=0" in argv
    assert "--conf-file=/dev/null" in argv
    assert DhcpServer(tmp_path).argv(NETWORK, 8) != argv, "a bridge made anew asks for a new server"


def test_a_pid_file_of_another_process_is_not_believed(tmp_path: Path) -> None:
    server = DhcpServer(tmp_path)
    for text in ("", "none", str(os.getpid()), "999999999"):
        server.pid_file.write_text(text)
        assert server.pid() is None
        assert server.pidfd() is None
    server.stop()
    assert not server.pid_file.exists()
