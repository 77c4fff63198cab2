"""Exports of volumes whose daemons only know what they would serve."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from novalite.drivers.storage import exports
from novalite.drivers.storage.fake_exports import FakeDaemon
from novalite.errors import DriverError, Invalid
from tests.contracts.volume_exports import Machine, VolumeExportsContract


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path, FakeDaemon)
    yield made
    made.close()


class TestSimulated(VolumeExportsContract):
    pass


def test_each_host_keeps_the_next_port_that_is_free(tmp_path: Path) -> None:
    with ExitStack() as stack:
        taken = stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = int(taken.getsockname()[1])
        machine = Machine(tmp_path, FakeDaemon, first)
        ports = [int(machine.exports.ensure_export(machine.volume(host=host)).split(":")[2].partition("/")[0])
                 for host in ("a", "b", "a")]  # fmt: skip
    assert ports[0] == ports[2] > first
    assert ports[1] > ports[0]


def test_a_machine_without_that_address_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path, FakeDaemon)
    with pytest.raises(DriverError, match=r"no address 192\.0\.2\.1"):
        machine.fresh("192.0.2.1").ensure_export(machine.volume())


def test_no_port_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_LAST_PORT", 1)
    machine = Machine(tmp_path, FakeDaemon, 2)
    with pytest.raises(DriverError, match="no port from 2 on is free"):
        machine.exports.ensure_export(machine.volume())


def test_watching_ends_with_the_process(machine: Machine) -> None:
    machine.exports.ensure_export(machine.volume())
    machine.exports.close()
    machine.daemon("a").stop()
    for _ in range(2):
        assert not machine.exports.watch(60)
    assert machine.exports.served() == frozenset()


def test_watching_mends(machine: Machine) -> None:
    spec = machine.volume()
    machine.exports.ensure_export(spec)
    machine.daemon("a").stop()
    assert machine.exports.watch(0)
    assert machine.exports.served() == {spec.id}


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "a,b", "a b", "-a", "10.0.0.1:80", "http://x"])
def test_addresses_that_hosts_cannot_be_told_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(Invalid) as refused:
        exports.DaemonExports(tmp_path, address, 0, FakeDaemon)
    assert refused.value.field == "volumes.export_address"


@pytest.mark.parametrize("address", ["", "127.0.0.1", "2001:db8::1", "volumes.example.org"])
def test_addresses(tmp_path: Path, address: str) -> None:
    assert exports.DaemonExports(tmp_path, address, 0, FakeDaemon).exports() == ()
