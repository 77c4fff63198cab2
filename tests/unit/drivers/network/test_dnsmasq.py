"""What dnsmasq is told: reservations that no name can break out of, options by subnet and port, and names."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novalite.drivers.network import checks, dhcp_files
from novalite.drivers.network.base import NetworkSpec, PortSpec, SubnetSpec
from novalite.drivers.network.dhcp_files import Files, Lines
from novalite.drivers.network.dnsmasq import DhcpServer
from novalite.errors import DriverError

FOUR = SubnetSpec("0f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "10.0.0.0/24", "10.0.0.1", server_ip="10.0.0.2")
SIX = SubnetSpec("0e1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "fd00:1::/64", "fd00:1::1", server_ip="fd00:1::2",
                 address_mode="dhcpv6-stateful")  # fmt: skip
NETWORK = NetworkSpec("6f1c1a52-5a57-4c43-8f7a-0c2b5d3a1e10", "n", "p", (FOUR, SIX), 1450, dns_domain="cloud.test")
PORT = PortSpec("1d6f6a2e-1111-4222-8333-444455556666", NETWORK.id, "fa:16:3e:01:02:03", ("10.0.0.5", "fd00:1::5"),
                hostname="web")  # fmt: skip


def _configuration(spec: NetworkSpec = NETWORK, *ports: PortSpec) -> list[str]:
    return dhcp_files.configuration(spec, ports, Files(Path("/run/x"))).splitlines()


def _host(port: PortSpec, spec: NetworkSpec = NETWORK) -> str:
    return dhcp_files.host(dhcp_files.ranges(spec), port)


def test_a_reservation_is_a_comment_and_a_line() -> None:
    assert _host(PORT) == f"# {PORT.id}\nfa:16:3e:01:02:03,10.0.0.5,[fd00:1::5],web\n"


def test_only_what_dhcp_gives_is_reserved() -> None:
    more = replace(PORT, addresses=("10.0.0.5", "10.0.0.6", "192.0.2.7", "fd00:2::5"))
    assert _host(more).splitlines()[1] == "fa:16:3e:01:02:03,10.0.0.5,web"
    stateless = replace(NETWORK, subnets=(replace(SIX, address_mode="dhcpv6-stateless"),))
    assert _host(PORT, stateless).splitlines()[1] == "fa:16:3e:01:02:03,web"


@given(st.text(max_size=80))
def test_no_host_name_breaks_out_of_its_line(name: str) -> None:
    text = _host(replace(PORT, hostname=name, addresses=("10.0.0.5",)))
    comment, line = text.split("\n")[:2]
    assert text.count("\n") == 2
    assert comment == f"# {PORT.id}"
    fields = line.split(",")
    assert fields[:2] == [PORT.mac_address, "10.0.0.5"]
    assert len(fields) <= 3
    assert all(char.isascii() and (char.isalnum() or char == "-") for char in "".join(fields[2:]))


@given(st.text(max_size=20), st.text(max_size=40))
def test_no_option_breaks_out_of_its_line(name: str, value: str) -> None:
    try:
        text = dhcp_files.options(replace(PORT, dhcp_options=((name, value, 4),)))
    except DriverError:
        return
    assert text.count("\n") == 1
    assert text.endswith(f",{value}\n")
    assert not set(value) & set('"\\\r\t\0')
    assert " #" not in text


@given(st.sampled_from(["id", "network_id", "mac_address"]), st.text(max_size=60))
def test_other_values_are_taken_exactly_or_refused(field: str, value: str) -> None:
    try:
        told = checks.port(replace(PORT, **{field: value}))  # type: ignore[arg-type]
    except DriverError:
        return
    assert getattr(told, field) == value
    assert not set(value) & set(" ,#\n\r\t\x00")


@given(st.text(alphabet="0123456789abcdef.:/%\n", max_size=60))
def test_addresses_are_taken_exactly_or_refused(value: str) -> None:
    try:
        checks.port(replace(PORT, addresses=(value,), pairs=(("", value),)))
    except DriverError:
        return
    assert not set(value) & set("%\n/")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../etc"},
        {"subnets": (replace(FOUR, cidr="10.0.0.0/24\n"),)},
        {"subnets": (replace(FOUR, cidr="10.0.0.1/24"),)},
        {"subnets": (replace(FOUR, gateway_ip="10.0.1.1,tag:x"),)},
        {"subnets": (replace(FOUR, gateway_ip="fd00::1"),)},
        {"subnets": (replace(FOUR, server_ip="10.0.1.2"),)},
        {"subnets": (replace(FOUR, dns_servers=("1.1.1.1,6.6.6.6",)),)},
        {"subnets": (replace(FOUR, host_routes=(("10.0.0.0/8", "x"),)),)},
        {"subnets": (replace(SIX, address_mode="dhcp"),)},
        {"dns_domain": "a\nb"},
        {"dns_domain": "a..b"},
        {"upstream_dns": ("1.1.1.1#53",)},
        {"mtu": 0},
    ],
)
def test_a_network_with_a_bad_value_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DriverError):
        checks.network(replace(NETWORK, **change))  # type: ignore[arg-type]


def test_each_subnet_has_its_range_and_options() -> None:
    lines = _configuration()
    assert "dhcp-range=set:s0,10.0.0.0,static,255.255.255.0,24h" in lines
    assert "dhcp-range=set:s1,fd00:1::,static,64,24h" in lines
    assert "dhcp-option-force=tag:s0,option:mtu,1450" in lines
    routes = ",169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1"
    assert f"dhcp-option=tag:s0,option:classless-static-route{routes}" in lines
    assert f"dhcp-option=tag:s0,249{routes}" in lines, "for Windows"
    assert "dhcp-option=tag:s0,option:dns-server,10.0.0.2" in lines
    assert "dhcp-option=tag:s1,option6:dns-server,[fd00:1::2]" in lines
    assert "dhcp-option=tag:s1,option6:domain-search,cloud.test" in lines
    assert "dhcp-ignore=tag:!known" in lines


def test_more_routes_than_an_option_has_room_for_are_left_out() -> None:
    many = tuple((f"10.{n}.0.0/16", "10.0.0.9") for n in range(1, 60))
    lines = _configuration(replace(NETWORK, subnets=(replace(FOUR, host_routes=many),)))
    (told,) = (line for line in lines if "classless-static-route" in line)
    assert ",169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1,10.1.0.0/16,10.0.0.9," in told
    assert told.count(",10.0.0.9") == (255 - 9 - 5) // 7


def test_a_subnet_without_gateway_tells_none_and_its_own_name_servers_instead_of_ours() -> None:
    lines = _configuration(replace(NETWORK, subnets=(replace(FOUR, gateway_ip="", dns_servers=("9.9.9.9",)),)))
    assert "dhcp-option=tag:s0,option:router" in lines
    assert "dhcp-option=tag:s0,option:dns-server,9.9.9.9" in lines


def test_without_a_server_address_there_are_no_names_and_no_addresses() -> None:
    lines = _configuration(replace(NETWORK, subnets=(replace(FOUR, server_ip=""),)))
    assert "port=0" in lines
    assert not [line for line in lines if line.startswith(("dhcp-range", "addn-hosts"))]
    assert not dhcp_files.is_wanted(replace(NETWORK, subnets=(replace(FOUR, server_ip=""),)))
    names_only = replace(NETWORK, subnets=(replace(FOUR, dhcp=False),))
    assert dhcp_files.is_wanted(names_only)
    assert not dhcp_files.is_wanted(replace(names_only, up=False))


def test_options_of_a_port_are_its_alone() -> None:
    port = replace(PORT, dhcp_options=(("bootfile-name", "pxe.0", 4), ("66", "10.0.0.9", 4), ("59", "tftp://x", 6)))
    lines = _configuration(NETWORK, port, replace(PORT, id=NETWORK.id))
    assert [line for line in lines if line.startswith("dhcp-mac")] == [
        "dhcp-mac=set:p1d6f6a2e11114222,fa:16:3e:01:02:03"
    ]
    assert dhcp_files.options(port).splitlines() == [
        "tag:p1d6f6a2e11114222,option:bootfile-name,pxe.0",
        "tag:p1d6f6a2e11114222,66,10.0.0.9",
        "tag:p1d6f6a2e11114222,option6:59,tftp://x",
    ]


def test_names_are_told_in_full_and_bare() -> None:
    nameless = replace(PORT, hostname="")
    expected = "10.0.0.5 web.cloud.test web\nfd00:1::5 web.cloud.test web\n"
    assert dhcp_files.names("cloud.test", PORT) == expected
    assert dhcp_files.names("cloud.test", nameless) == ""
    assert dhcp_files.names("", PORT) == "10.0.0.5 web\nfd00:1::5 web\n"


def test_a_ports_part_is_made_once_until_it_or_what_it_is_about_changes() -> None:
    lines, made = Lines(), []

    def part(port: PortSpec) -> str:
        made.append(port.id)
        return port.hostname + "\n"

    other = replace(PORT, id=NETWORK.id, hostname="other")
    ports = {PORT.id: PORT, other.id: other}
    assert lines.text("a", ports, part) == lines.text("a", ports, part) == "web\nother\n"
    assert made == [PORT.id, other.id]
    assert lines.text("a", {**ports, other.id: replace(other, hostname="new")}, part) == "web\nnew\n"
    assert made == [PORT.id, other.id, other.id]
    assert lines.text("a", {PORT.id: PORT}, part) == "web\n"
    assert lines.text("b", {PORT.id: PORT}, part) == "web\n"
    assert made == [PORT.id, other.id, other.id, PORT.id]


def test_another_configuration_or_bridge_asks_for_a_new_server(tmp_path: Path) -> None:
    server = DhcpServer(tmp_path)
    first = server.argv("a", 7)
    assert first == server.argv("a", 7)
    assert first != server.argv("a", 8)
    assert first != server.argv("b", 7)


def test_many_names_are_told_once_for_all_changes_of_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, heard, told = DhcpServer(tmp_path), threading.Event(), []
    monkeypatch.setattr(server, "signal", lambda _: heard.set())

    def tell(text: str) -> None:
        told.append(text)
        if server.tell_names(text):
            server.reread()

    for text in ("10.0.0.5 web\n", "10.0.0.5 www\n", "10.0.0.5 w\n" * 8000):
        server.soon(partial(tell, text))
        assert server.files.names.read_text() == text, "few names are told at once"
    heard.clear()
    for _ in range(3):
        server.soon(partial(tell, "10.0.0.5 many\n" * 8000))
    assert len(told) == 3
    assert heard.wait(60)
    assert len(told) == 4
    assert server.files.names.read_text() == told[-1]


def test_names_are_written_when_they_change_or_are_lost(tmp_path: Path) -> None:
    server = DhcpServer(tmp_path)
    assert server.tell_names("a")
    assert not server.tell_names("a")
    assert not DhcpServer(tmp_path).tell_names("a")
    server.files.names.unlink()
    assert server.tell_names("a")
    assert server.tell_names("b")


def test_a_pid_file_of_another_process_is_not_believed(tmp_path: Path) -> None:
    server = DhcpServer(tmp_path)
    for text in ("", "none", str(os.getpid()), "999999999"):
        server.files.pid.write_text(text)
        assert server.pid() is None
        assert server.pidfd() is None
    server.stop("remove_network")
    assert not server.files.pid.exists()
