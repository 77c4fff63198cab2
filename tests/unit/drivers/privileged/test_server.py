"""What the privileged process does with what comes: good calls, hostile values, wrong users, half messages."""

from __future__ import annotations

import json
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from novalite.drivers.network.base import GroupSpec, NetworkDriver, NetworkSpec, PortSpec, RuleSpec, SubnetSpec
from novalite.drivers.network.fake import FakeNetworkDriver
from novalite.drivers.privileged.client import PrivilegedNetworkDriver
from novalite.drivers.privileged.messages import CALL_BYTES, METHODS, VERSION
from novalite.errors import DriverError
from tests.contracts.network_driver import NetworkDriverContract
from tests.contracts.privileged import as_user, behind_privileged, narrowed, serving
from tests.contracts.waiting import until

APPLIANCE = str(uuid4())
NETWORK = NetworkSpec(str(uuid4()), "first", subnets=(SubnetSpec(str(uuid4()), "10.97.0.0/24", "10.97.0.1"),))
PORT = PortSpec(str(uuid4()), NETWORK.id, "fa:16:3e:01:02:03", ("10.97.0.5",))


class Place(FakeNetworkDriver):
    """A fake with sockets, and with calls that tests may look at."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def metadata_sockets(self, network_id: str) -> tuple[socket.socket, ...]:
        opened = []
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            bound = socket.socket(family, socket.SOCK_STREAM)
            bound.bind((address, 0))
            bound.listen()
            opened.append(bound)
        self.opened = tuple(opened)
        return self.opened


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


@pytest.fixture
def path(place: Place, tmp_path: Path) -> Iterator[Path]:
    with serving(place, tmp_path) as found:
        yield found


@pytest.fixture
def client(path: Path) -> Iterator[PrivilegedNetworkDriver]:
    made = PrivilegedNetworkDriver(path, APPLIANCE)
    yield made
    made.close()


def say(path: Path, data: bytes, *, end: bool = True) -> bytes:
    """All that comes back for these bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
        return found


def call(path: Path, **changes: Any) -> dict[str, Any]:
    """The answer to a call that the client would never make."""
    wanted = {"version": VERSION, "appliance": APPLIANCE, "operation": "check", "arguments": {}} | changes
    body = json.dumps(wanted).encode()
    answer: dict[str, Any] = json.loads(say(path, struct.pack(">I", len(body)) + body)[4:])
    return answer


class TestContract(NetworkDriverContract):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[NetworkDriver]:
        with behind_privileged(FakeNetworkDriver(), tmp_path) as found:
            yield found


def test_sockets_come_out_open_and_are_kept_by_nobody_else(client: PrivilegedNetworkDriver, place: Place) -> None:
    opened = client.metadata_sockets(NETWORK.id)
    assert [one.family for one in opened] == [socket.AF_INET, socket.AF_INET6]
    assert not any(one.get_inheritable() for one in opened)
    for one in opened:
        with socket.create_connection(one.getsockname()[:2], timeout=60), one.accept()[0]:
            pass
    until(lambda: all(one.fileno() == -1 for one in place.opened), "the other side has let go of them")
    for one in opened:
        where = one.getsockname()[:2]
        one.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where, timeout=60)


def test_errors_come_out_as_themselves(client: PrivilegedNetworkDriver, place: Place) -> None:
    place.fail_next("check", retryable=True)
    with pytest.raises(DriverError) as failed:
        client.check()
    assert (failed.value.op, failed.value.retryable) == ("check", True)
    assert failed.value.detail == "failure asked for by a test"


def test_a_driver_that_breaks_is_told_of(client: PrivilegedNetworkDriver, place: Place) -> None:
    place.check = lambda: 1 // 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(DriverError, match="ZeroDivisionError"):
        client.check()
    assert client.used_ranges() == ()


def test_waiting_ends_with_the_client(client: PrivilegedNetworkDriver) -> None:
    found: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: found.append(client.watch(60.0)))
    thread.start()
    while not client._waiting:
        assert thread.is_alive()
    client.close()
    thread.join(60)
    assert found == [()]


def test_a_wait_is_answered_and_disturbs_no_other_call(client: PrivilegedNetworkDriver, place: Place) -> None:
    client.ensure_network(NETWORK)
    found: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: found.append(client.watch(60.0)))
    thread.start()
    assert client.check().networks == (NETWORK.id,)
    place.kill_dhcp(NETWORK.id)
    thread.join(60)
    assert found == [(NETWORK.id,)]


@pytest.mark.parametrize("operation", sorted(METHODS))
def test_what_the_filter_leaves_out_never_reaches_the_driver(place: Place, tmp_path: Path, operation: str) -> None:
    examples: dict[str, tuple[Any, ...]] = {
        "ensure_network": (NETWORK,), "remove_network": (NETWORK.id,), "ensure_port": (PORT,),
        "remove_port": (NETWORK.id, PORT.id), "ensure_groups": ((),), "remove_group": (PORT.id,),
        "ensure_routers": ((),), "remove_router": (PORT.id,), "ensure_forwards": ((),), "attach_lan": ("eth9",),
        "detach_lan": ("eth9",), "metadata_sockets": (NETWORK.id,), "watch": (1.0,),
    }  # fmt: skip
    reached: list[str] = []
    setattr(place, operation, lambda *values, **named: reached.append(operation))
    more = {"wait_seconds": 1.0} if operation == "attach_lan" else {}
    rules = narrowed(operations=tuple(name for name in METHODS if name != operation))
    with behind_privileged(place, tmp_path, rules) as client, pytest.raises(DriverError) as refused:
        getattr(client, operation)(*examples.get(operation, ()), **more)
    assert refused.value.code == "driver.forbidden"
    assert reached == []


@pytest.mark.parametrize(
    "hostile",
    [
        {"operation": "close"},
        {"operation": "__init__"},
        {"operation": "_call"},
        {"operation": "fail_next", "arguments": {"op": "check"}},
        {"operation": "watch", "arguments": {"timeout_seconds": "1"}},
        {"operation": "watch", "arguments": {"timeout_seconds": -1}},
        {"operation": "watch", "arguments": {"timeout_seconds": 1e9}},
        {"operation": "check", "arguments": {"more": 1}},
        {"operation": "remove_network", "arguments": {"network_id": "../../etc"}},
        {"operation": "remove_network", "arguments": {"network_id": ["a"]}},
        {"operation": "remove_network", "arguments": {"network_id": NETWORK.id + "\n"}},
        {"operation": "remove_network", "arguments": {"network_id": NETWORK.id.upper()}},
        {"operation": "metadata_sockets", "arguments": {"network_id": "; reboot"}},
        {"operation": "attach_lan", "arguments": {"interface": "eth9 up", "wait_seconds": 1}},
        {"operation": "attach_lan", "arguments": {"interface": "-x", "wait_seconds": 1}},
        {"operation": "remove_port", "arguments": {"network_id": NETWORK.id, "port_id": "nlt; x"}},
        {"operation": "ensure_network", "arguments": {"spec": {"id": NETWORK.id, "name": "a\nb"}}},
        {"operation": "ensure_network", "arguments": {"spec": {"id": NETWORK.id}}},
        {"operation": "ensure_network", "arguments": {"spec": "x"}},
        {"appliance": "../x"},
        {"appliance": ""},
        {"version": "0.0"},
        {"version": VERSION.partition("+")[0]},
        {"more": 1},
    ],
    ids=str,
)
def test_hostile_calls_are_refused(path: Path, place: Place, hostile: dict[str, Any]) -> None:
    answer = call(path, **hostile)
    assert answer["error"]["code"] in ("driver.bad_call", "network.invalid"), answer
    assert place.networks == {}
    assert call(path)["error"] is None


@pytest.mark.parametrize(
    "change",
    [{"mac_address": "fa:16:3e:01:02:03,set:x"}, {"addresses": ("10.97.0.5\n",)}, {"groups": ("x",)},
     {"hostname": "a\x00b"}, {"id": "x"}, {"network_id": NETWORK.id + " "}],
    ids=str,
)  # fmt: skip
def test_hostile_ports_never_reach_the_driver(client: PrivilegedNetworkDriver, place: Place, change: Any) -> None:
    client.ensure_network(NETWORK)
    reached: list[PortSpec] = []
    place.ensure_port = reached.append  # type: ignore[method-assign]
    with pytest.raises(DriverError) as refused:
        client.ensure_port(replace(PORT, **change))
    assert refused.value.code == "network.invalid"
    assert reached == []


def test_many_rules_cross(client: PrivilegedNetworkDriver, place: Place) -> None:
    many = GroupSpec(str(uuid4()), tuple(RuleSpec(True, 4, 6, port, port) for port in range(10_000)))
    client.ensure_groups((many,))
    assert place.groups == {many.id: many}


def test_an_oversized_call_is_not_even_read(path: Path, client: PrivilegedNetworkDriver) -> None:
    assert say(path, struct.pack(">I", CALL_BYTES + 1), end=False) == b""
    with pytest.raises(DriverError, match="bytes"):
        client.ensure_network(replace(NETWORK, name="x" * CALL_BYTES))
    assert client.used_ranges() == ()


@pytest.mark.parametrize("half", [b"", b"\x00", b"\x00\x00\x00\x09{", struct.pack(">I", 100) + b"{" * 99])
def test_half_messages_get_no_answer_and_harm_nobody(path: Path, client: PrivilegedNetworkDriver, half: bytes) -> None:
    assert say(path, half) == b""
    assert client.used_ranges() == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff\xfe", b"{" * 5000, b'{"operation": "check"}'])
def test_nonsense_is_refused(path: Path, body: bytes) -> None:
    answer = json.loads(say(path, struct.pack(">I", len(body)) + body)[4:])
    assert answer["error"]["code"] == "driver.bad_call"


def test_connections_that_say_nothing_do_not_keep_others_out(path: Path, client: PrivilegedNetworkDriver) -> None:
    silent = []
    for _ in range(20):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.connect(str(path))
        silent.append(one)
    assert client.used_ranges() == ()
    for one in silent:
        one.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="other users need root")
def test_only_the_one_user_is_answered(place: Place) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        with serving(place, directory, uid=65534) as path:
            client = PrivilegedNetworkDriver(path, APPLIANCE)
            with as_user(65534):
                assert client.used_ranges() == ()
            with as_user(1), pytest.raises(DriverError) as refused:
                client.used_ranges()
    assert refused.value.code == "driver.privileged"


def test_nobody_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="novalite-privileged") as failed:
        PrivilegedNetworkDriver(tmp_path / "none", APPLIANCE).check()
    assert failed.value.retryable
