"""What must hold of exports of volumes, whatever serves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.compute.qcow2 import empty_qcow2
from novalite.drivers.storage.base import ExportSpec, VolumePlace
from novalite.drivers.storage.export_daemon import ExportDaemon
from novalite.drivers.storage.exports import DaemonExports
from novalite.errors import DriverError, Invalid
from novalite.pki.host_keys import HostKeys

MIB = 1 << 20


class Machine:
    """The machine that has the volumes. ``fresh`` is its exports as a new process finds them."""

    def __init__(self, directory: Path, new_daemon: Callable[[Path], ExportDaemon], first_port: int = 0) -> None:
        self.directory, self._new_daemon, self._first_port = directory, new_daemon, first_port
        (directory / "volumes").mkdir()
        self.exports = self.fresh()

    def fresh(self, address: str = "127.0.0.1") -> DaemonExports:
        return DaemonExports(self.directory / "exports", address, self._first_port, self._new_daemon)

    def daemon(self, host: str) -> ExportDaemon:
        return self._new_daemon(self.directory / "exports" / "hosts" / host)

    def volume(self, form: str = "qcow2", host: str = "a", **more: bool) -> ExportSpec:
        volume_id = str(uuid4())
        path = self.directory / "volumes" / volume_id
        path.write_bytes(empty_qcow2(64 * MIB) if form == "qcow2" else bytes(MIB))
        return ExportSpec(str(uuid4()), volume_id, VolumePlace(str(path), form), host, **more)

    def keys(self, host: str) -> HostKeys:
        """What the host has when it was let in."""
        keys = HostKeys(self.directory / f"keys-{host}")
        keys.take(*self.exports.admit(host, keys.request(host)))
        return keys

    def close(self) -> None:
        for spec in self.exports.exports():
            self.exports.remove_export(spec.id)
        self.exports.close()


def _code(do: Callable[[], object]) -> str:
    with pytest.raises(DriverError) as caught:
        do()
    return caught.value.code


class VolumeExportsContract:
    """Subclasses give the fixture ``machine``."""

    def test_an_export_is_made_once_and_found_at_one_place(self, machine: Machine) -> None:
        spec = machine.volume()
        found = machine.exports.ensure_export(spec)
        assert found.startswith("nbds:127.0.0.1:")
        assert machine.exports.ensure_export(spec) == found
        assert machine.exports.exports() == (spec,)
        assert machine.exports.served() == {spec.id}

    def test_names_cannot_be_told_from_one_another(self, machine: Machine) -> None:
        first, second = machine.volume(), machine.volume()
        found = [machine.exports.ensure_export(spec).rpartition("/")[2] for spec in (first, second)]
        assert all(len(name) == 64 for name in found)
        assert found[0] != found[1]
        assert not any(part in name for name in found for spec in (first, second) for part in (spec.id, spec.volume_id))

    def test_what_is_removed_is_gone_and_may_be_removed_again(self, machine: Machine) -> None:
        first, second = machine.volume(), machine.volume()
        for spec in (first, second):
            machine.exports.ensure_export(spec)
        for _ in range(2):
            machine.exports.remove_export(first.id)
        assert machine.exports.served() == {second.id}
        machine.exports.remove_export(second.id)
        machine.exports.remove_export(str(uuid4()))
        assert (machine.exports.exports(), machine.exports.served()) == ((), frozenset())

    def test_an_attachment_is_at_one_host(self, machine: Machine) -> None:
        spec = machine.volume(host="a")
        there = machine.exports.ensure_export(spec)
        moved = replace(spec, host="b")
        found = machine.exports.ensure_export(moved)
        assert found.rpartition("/")[0] != there.rpartition("/")[0]
        assert machine.exports.exports() == (moved,)
        assert machine.daemon("a").served() == frozenset()
        assert machine.daemon("b").served() == {spec.id}

    def test_two_attachments_never_write_to_what_is_not_shared(self, machine: Machine) -> None:
        first = machine.volume("raw")
        machine.exports.ensure_export(first)
        for host in ("a", "b"):
            second = replace(first, id=str(uuid4()), host=host, shared=True)
            assert _code(lambda wish=second: machine.exports.ensure_export(wish)) == "volume.exported"
        machine.exports.remove_export(first.id)
        both = [replace(first, id=str(uuid4()), host=host, shared=True) for host in ("a", "b")]
        for each in both:
            machine.exports.ensure_export(each)
        assert machine.exports.served() == {each.id for each in both}

    def test_another_process_finds_them(self, machine: Machine) -> None:
        spec = machine.volume()
        found = machine.exports.ensure_export(spec)
        machine.exports = machine.fresh()
        assert machine.exports.exports() == (spec,)
        assert machine.exports.served() == {spec.id}
        assert machine.exports.ensure_export(spec) == found

    def test_a_daemon_that_ended_is_made_again_with_all_it_had(self, machine: Machine) -> None:
        specs = [machine.volume(), machine.volume("raw"), machine.volume(host="b")]
        found = [machine.exports.ensure_export(spec) for spec in specs]
        machine.daemon("a").stop()
        assert machine.exports.served() == {specs[2].id}
        assert machine.exports.restore() == ()
        assert machine.exports.served() == {spec.id for spec in specs}
        assert [machine.exports.ensure_export(spec) for spec in specs] == found

    def test_what_was_written_down_and_not_made_is_made(self, machine: Machine) -> None:
        first, second = machine.volume(), machine.volume()
        for spec in (first, second):
            machine.exports.ensure_export(spec)
        machine.daemon("a").remove(first.id)
        machine.exports = machine.fresh()
        assert machine.exports.restore() == ()
        assert machine.exports.served() == {first.id, second.id}

    def test_what_is_served_and_not_written_down_ends(self, machine: Machine) -> None:
        spec, leaked = machine.volume(), machine.volume()
        machine.exports.ensure_export(spec)
        machine.daemon("a").add(leaked, "leaked")
        machine.exports.restore()
        assert machine.exports.served() == {spec.id}

    def test_a_host_is_admitted_with_its_own_key_only(self, machine: Machine) -> None:
        certificate = machine.keys("a").certificate()
        assert machine.exports.has_admitted("a", certificate)
        assert machine.fresh().has_admitted("a", certificate)
        assert not machine.exports.has_admitted("b", certificate)
        assert not machine.exports.has_admitted("a", "")
        with pytest.raises(Invalid):
            machine.exports.admit("a", certificate)
        with pytest.raises(Invalid):
            machine.exports.admit("a,O=other", machine.keys("b").request("b"))

    def test_nothing_is_exported_without_an_address(self, machine: Machine) -> None:
        silent = machine.fresh(address="")
        with pytest.raises(DriverError) as refused:
            silent.ensure_export(machine.volume())
        assert refused.value.code == "volume.not_exported"
        assert "volumes.export_address" in refused.value.hint
        assert silent.exports() == ()

    def test_what_was_exported_ends_when_the_address_is_taken_away(self, machine: Machine) -> None:
        spec = machine.volume()
        machine.exports.ensure_export(spec)
        silent = machine.fresh(address="")
        assert silent.restore() == ("a",)
        assert silent.served() == frozenset()
        assert machine.exports.restore() == ()
        assert machine.exports.served() == {spec.id}
