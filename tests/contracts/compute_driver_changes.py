"""What every driver with the optional ports must do: snapshots, devices, disks, the agent, rescue."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.compute import snapshots
from novalite.drivers.compute.base import OPTIONAL_PORTS, DiskCopy, DiskSpec, GuestSpec, NicSpec, Power, PowerAction
from novalite.engine.links import guarded
from novalite.errors import DriverError
from novalite.pki.authority import Authority
from novalite.pki.host_keys import HostKeys
from tests.contracts.compute_driver import Bench
from tests.contracts.waiting import until

GIB = 1 << 30


def _code(do: Callable[[], object]) -> str:
    with pytest.raises(DriverError) as caught:
        do()
    return caught.value.code


def _devices(bench: Bench, spec: GuestSpec) -> list[int | str]:
    return [disk["device"] for disk in bench.driver.diagnostics(spec.id).disks]


def _off(bench: Bench, spec: GuestSpec) -> None:
    bench.driver.set_power(spec.id, PowerAction.OFF)


def _volume(directory: Path, name: str, size_gib: int) -> DiskSpec:
    """A disk that somebody else made; the guest's process may be anybody."""
    path = directory / name
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o755)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), f"{size_gib}G"], check=True)
    path.chmod(0o666)
    return DiskSpec(name, "vdb", size_gib, serial="volume-1", path=str(path))


class ChangesContract:
    """Subclasses give the fixture ``bench``, as for ``ComputeDriverContract``."""

    def test_the_host_says_what_it_can(self, bench: Bench) -> None:
        report = bench.driver.host_report()
        offered = {"snapshot", "attach_nic", "attach_disk", "password", "rescue", "resize_disk", "replace_disk"}
        offered |= {"keep_disks", "move_disks", "tune_disk", "open_exports", "swap_disk"}
        assert offered <= set(report.features)
        assert all(isinstance(bench.driver, port) for port in OPTIONAL_PORTS)
        assert "COMPUTE_STORAGE_BUS_VIRTIO" in report.traits
        assert report.numa_nodes >= 1
        assert 0 <= report.free_cpus <= report.vcpus
        assert report.cpu_models

    def test_absent_guests_are_not_found(self, bench: Bench) -> None:
        unknown, nic = str(uuid4()), NicSpec("p", "fa:16:3e:00:00:09", "t")
        for ask in (
            lambda: bench.driver.take_snapshot(unknown, "root", "copy"),
            lambda: bench.driver.take_snapshots(unknown, (DiskCopy("root", "copy"),)),
            lambda: bench.driver.attach_nic(unknown, nic),
            lambda: bench.driver.detach_nic(unknown, nic.mac_address),
            lambda: bench.driver.attach_disk(unknown, DiskSpec("v", "vdb", 1, serial="v")),
            lambda: bench.driver.detach_disk(unknown, "v"),
            lambda: bench.driver.resize_disk(unknown, "root", 2),
            lambda: bench.driver.tune_disk(unknown, "root", ()),
            lambda: bench.driver.swap_disk(unknown, "v", DiskSpec("v", "vdb", 1, serial="v", path="/nowhere")),
            lambda: bench.driver.replace_disk(unknown, DiskSpec("root", "vda", 1)),
            lambda: bench.driver.keep_disks(unknown, "before"),
            lambda: bench.driver.restore_disks(unknown, "before"),
            lambda: bench.driver.read_disk(unknown, "root", 0, 1),
            lambda: bench.driver.set_password(unknown, "root", "secret"),
            lambda: bench.driver.has_agent(unknown),
        ):
            assert _code(ask) == "guest.not_found"
        bench.driver.drop_snapshot(unknown, "copy")
        bench.driver.drop_kept_disks(unknown, "before")
        bench.driver.end_swap(unknown, "v", DiskSpec("v", "vdb", 1, serial="v", path="/nowhere"))

    # Snapshots

    @pytest.mark.parametrize("state", ["running", "paused", "off", "suspended"])
    def test_a_snapshot_is_a_whole_image_of_its_own(self, bench: Bench, state: str, tmp_path: Path) -> None:
        spec = bench.boot()
        actions = {"paused": PowerAction.PAUSE, "off": PowerAction.OFF, "suspended": PowerAction.SUSPEND}
        power = bench.driver.set_power(spec.id, actions[state]).power if state in actions else Power.RUNNING
        copy = bench.driver.take_snapshot(spec.id, "root", "copy-1")
        assert bench.driver.guest(spec.id).power is power
        assert copy.virtual_size == GIB
        assert bench.driver.take_snapshot(spec.id, "root", "copy-1") == copy
        content = b"".join(snapshots.chunks(bench.driver, copy))
        assert len(content) == copy.size
        assert b"".join(snapshots.content(guarded(bench.driver, "host"), copy, lambda: None)) == content
        file = tmp_path / "copy.qcow2"
        file.write_bytes(content)
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(file)], check=True)
        told = subprocess.run(["qemu-img", "info", str(file)], check=True, capture_output=True, text=True).stdout
        assert "backing file" not in told
        assert bench.driver.read_snapshot(spec.id, "copy-1", copy.size, 100) == b""
        assert bench.driver.read_snapshot(spec.id, "copy-1", 1, 3) == content[1:4]
        for _ in range(2):
            bench.driver.drop_snapshot(spec.id, "copy-1")
        assert _code(lambda: bench.driver.read_snapshot(spec.id, "copy-1", 0, 10)) == "snapshot.not_found"
        bench.driver.delete_guest(spec.id)

    @pytest.mark.parametrize("running", [True, False])
    def test_snapshots_of_several_disks_come_together(self, bench: Bench, running: bool) -> None:
        spec = bench.boot()
        bench.driver.attach_disk(spec.id, DiskSpec("data", "vdb", 2, serial="volume-1"))
        if not running:
            _off(bench, spec)
        wanted = (DiskCopy("root", "root-1"), DiskCopy("volume-1", "data-1"))
        both = bench.driver.take_snapshots(spec.id, wanted)
        assert [(copy.disk, copy.name, copy.virtual_size) for copy in both] == [
            ("root", "root-1", GIB), ("volume-1", "data-1", 2 * GIB),
        ]  # fmt: skip
        assert bench.driver.take_snapshots(spec.id, wanted) == both
        for copy in both:
            assert len(b"".join(snapshots.chunks(bench.driver, copy))) == copy.size
        bench.driver.drop_snapshot(spec.id, "root-1")
        again = bench.driver.take_snapshots(spec.id, wanted)
        assert [copy.name for copy in again] == ["root-1", "data-1"]
        missing = (DiskCopy("root", "root-2"), DiskCopy("other", "other-2"))
        assert _code(lambda: bench.driver.take_snapshots(spec.id, missing)) == "disk.not_found"
        assert _code(lambda: bench.driver.read_snapshot(spec.id, "root-2", 0, 1)) == "snapshot.not_found"
        bench.driver.delete_guest(spec.id)

    def test_a_snapshot_of_no_disk_or_of_no_proper_name_is_refused(self, bench: Bench) -> None:
        spec = bench.boot()
        assert _code(lambda: bench.driver.take_snapshot(spec.id, "other", "copy")) == "disk.not_found"
        assert _code(lambda: bench.driver.read_snapshot(spec.id, "../../root", 0, 1)) == "snapshot.not_found"
        bench.driver.delete_guest(spec.id)

    # Devices

    def test_disks_come_and_go_by_their_serial(self, bench: Bench) -> None:
        spec = bench.boot()
        disk = DiskSpec("data", "/dev/vdb", 1, serial="volume-1")
        for _ in range(2):
            bench.driver.attach_disk(spec.id, disk)
        assert _devices(bench, spec) == ["vda", "vdb"]
        for _ in range(2):
            bench.driver.detach_disk(spec.id, "volume-1")
        assert _devices(bench, spec) == ["vda"]
        assert bench.boots(spec.id) == 1
        _off(bench, spec)
        for _ in range(2):
            bench.driver.attach_disk(spec.id, disk)
        bench.driver.set_power(spec.id, PowerAction.START)
        assert _devices(bench, spec) == ["vda", "vdb"]
        _off(bench, spec)
        for _ in range(2):
            bench.driver.detach_disk(spec.id, "volume-1")
        bench.driver.set_power(spec.id, PowerAction.START)
        assert _devices(bench, spec) == ["vda"]
        bench.driver.delete_guest(spec.id)

    def test_disks_without_serial_or_without_a_place_are_refused(self, bench: Bench) -> None:
        spec = bench.boot()
        assert _code(lambda: bench.driver.attach_disk(spec.id, DiskSpec("d", "vdb", 1))) == "guest.refused"
        assert _code(lambda: bench.driver.attach_disk(spec.id, DiskSpec("d", "vda", 1, serial="s"))) == "guest.refused"
        assert _code(lambda: bench.driver.attach_disk(spec.id, DiskSpec("d", "vdb", 1, bus="floppy", serial="s"))) == (
            "guest.refused"
        )
        assert _devices(bench, spec) == ["vda"]
        bench.driver.delete_guest(spec.id)

    def test_devices_of_a_suspended_guest_stay(self, bench: Bench) -> None:
        spec = bench.boot()
        bench.driver.set_power(spec.id, PowerAction.SUSPEND)
        assert _code(lambda: bench.driver.attach_disk(spec.id, DiskSpec("d", "vdb", 1, serial="s"))) == "guest.state"
        assert _code(lambda: bench.driver.detach_disk(spec.id, "s")) == "guest.state"
        assert _code(lambda: bench.driver.resize_disk(spec.id, "root", 2)) == "guest.state"
        bench.driver.delete_guest(spec.id)

    # Disks

    @pytest.mark.parametrize("running", [True, False])
    def test_a_disk_grows_and_never_shrinks(self, bench: Bench, running: bool) -> None:
        spec = bench.boot()
        if not running:
            _off(bench, spec)
        for _ in range(2):
            bench.driver.resize_disk(spec.id, "root", 3)
        assert _code(lambda: bench.driver.resize_disk(spec.id, "root", 2)) == "guest.refused"
        assert _code(lambda: bench.driver.resize_disk(spec.id, "other", 2)) == "disk.not_found"
        assert bench.driver.take_snapshot(spec.id, "root", "grown").virtual_size == 3 * GIB
        bench.driver.delete_guest(spec.id)

    @pytest.mark.parametrize("running", [True, False])
    def test_a_disk_is_held_to_its_limits(self, bench: Bench, running: bool) -> None:
        spec = bench.boot()
        bench.driver.attach_disk(spec.id, DiskSpec("d", "vdb", 1, serial="slow", limits=(("read_iops_sec", 90),)))
        if not running:
            _off(bench, spec)
        for limits in ((("total_bytes_sec", 1 << 20), ("total_iops_sec", 50)), (("write_iops_sec", 70),), ()):
            bench.driver.tune_disk(spec.id, "slow", limits)
        assert _code(lambda: bench.driver.tune_disk(spec.id, "other", ())) == "disk.not_found"
        bench.driver.delete_guest(spec.id)

    @pytest.mark.parametrize("state", ["running", "paused", "off"])
    def test_a_guest_goes_on_with_other_storage(self, bench: Bench, state: str, tmp_path: Path) -> None:
        spec = bench.boot()
        first, second = (_volume(tmp_path, name, size) for name, size in (("first", 1), ("second", 2)))
        bench.driver.attach_disk(spec.id, first)
        actions = {"paused": PowerAction.PAUSE, "off": PowerAction.OFF}
        power = bench.driver.set_power(spec.id, actions[state]).power if state in actions else Power.RUNNING
        for _ in range(2):
            bench.driver.swap_disk(spec.id, "volume-1", second)
            bench.driver.end_swap(spec.id, "volume-1", second)
        assert bench.driver.guest(spec.id).power is power
        assert bench.driver.take_snapshot(spec.id, "volume-1", "copy").virtual_size == 2 * GIB
        assert _code(lambda: bench.driver.swap_disk(spec.id, "other", second)) == "disk.not_found"
        assert _code(lambda: bench.driver.swap_disk(spec.id, "volume-1", replace(second, path=""))) == "guest.refused"
        bench.driver.delete_guest(spec.id)

    def test_kept_disks_come_back_as_they_were(self, bench: Bench) -> None:
        spec = bench.boot()
        assert _code(lambda: bench.driver.keep_disks(spec.id, "before")) == "guest.state"
        _off(bench, spec)
        assert _code(lambda: bench.driver.keep_disks(spec.id, "../before")) == "guest.refused"
        for _ in range(2):
            bench.driver.keep_disks(spec.id, "before")
        bench.driver.resize_disk(spec.id, "root", 3)
        bench.driver.keep_disks(spec.id, "before")
        larger = replace(spec, disks=(replace(spec.disks[0], size_gib=3), DiskSpec("ephemeral0", "vdb", 1)))
        bench.driver.ensure_guest(larger)
        until(lambda: bench.boots(spec.id) == 2, "it boots with larger disks")
        assert _code(lambda: bench.driver.restore_disks(spec.id, "before")) == "guest.state"
        _off(bench, spec)
        for _ in range(2):
            bench.driver.restore_disks(spec.id, "before")
        bench.driver.ensure_guest(spec)
        until(lambda: bench.boots(spec.id) == 3, "it boots with the disks of before")
        assert _devices(bench, spec) == ["vda"]
        assert bench.driver.take_snapshot(spec.id, "root", "back").virtual_size == GIB
        bench.driver.delete_guest(spec.id)

    def test_kept_disks_can_be_forgotten(self, bench: Bench) -> None:
        spec = bench.boot()
        _off(bench, spec)
        bench.driver.keep_disks(spec.id, "before")
        bench.driver.resize_disk(spec.id, "root", 3)
        for _ in range(2):
            bench.driver.drop_kept_disks(spec.id, "before")
        bench.driver.restore_disks(spec.id, "before")
        assert bench.driver.take_snapshot(spec.id, "root", "grown").virtual_size == 3 * GIB
        bench.driver.delete_guest(spec.id)

    def test_disks_go_from_guest_to_guest(self, bench: Bench) -> None:
        spec, other = bench.boot(), bench.spec()
        assert _code(lambda: bench.driver.write_disk(spec.id, "root", 0, b"")) == "guest.state"
        assert _code(lambda: bench.driver.read_disk(spec.id, "root", 0, 1)) == "guest.state"
        _off(bench, spec)
        assert _code(lambda: bench.driver.read_disk(spec.id, "other", 0, 1)) == "disk.not_found"
        for _ in range(2):
            offset = 0
            while piece := bench.driver.read_disk(spec.id, "root", offset, 1 << 16):
                bench.driver.write_disk(other.id, "root", offset, piece)
                offset += len(piece)
            assert offset
        larger = replace(other.disks[0], size_gib=2)
        for _ in range(2):
            bench.driver.adopt_disk(other.id, larger)
        bench.driver.delete_guest(spec.id)
        bench.driver.keep_disks(other.id, "before")
        bench.driver.resize_disk(other.id, "root", 3)
        bench.driver.restore_disks(other.id, "before")
        bench.driver.ensure_guest(replace(other, disks=(larger,)))
        until(lambda: bench.boots(other.id) == 1, "it boots from the disk that came")
        assert bench.driver.take_snapshot(other.id, "root", "come").virtual_size == 2 * GIB
        bench.driver.delete_guest(other.id)

    def test_disks_that_come_for_nobody_go_with_their_guest(self, bench: Bench) -> None:
        spec = bench.spec()
        bench.driver.write_disk(spec.id, "root", 0, b"part of it")
        assert spec.id in {found.id for found in bench.driver.artifacts()}
        bench.driver.delete_guest(spec.id)
        assert spec.id not in {found.id for found in bench.driver.artifacts()}

    def test_a_root_disk_begins_anew_from_another_image(self, bench: Bench) -> None:
        old, new = bench.new_image(), bench.new_image()
        root = DiskSpec("root", "vda", 1, old, boot_index=0)
        spec = bench.boot(disks=(root, DiskSpec("ephemeral0", "vdb", 1)))
        fresh = replace(root, image=new)
        assert _code(lambda: bench.driver.replace_disk(spec.id, fresh)) == "guest.state"
        _off(bench, spec)
        for _ in range(2):
            bench.driver.replace_disk(spec.id, fresh)
        rebuilt = replace(spec, disks=(fresh, spec.disks[1]))
        bench.driver.ensure_guest(rebuilt)
        until(lambda: bench.boots(spec.id) == 2, "it boots from the other image")
        assert _devices(bench, spec) == ["vda", "vdb"]
        bench.driver.remove_image(old.id)
        assert _code(lambda: bench.driver.ensure_guest(bench.spec(disks=(root,)))) == "image.missing"
        bench.driver.delete_guest(spec.id)

    def test_a_rescued_guest_boots_from_another_disk_and_back(self, bench: Bench) -> None:
        spec = bench.boot()
        _off(bench, spec)
        rescue = DiskSpec("any", "vda", 0, bench.new_image(), boot_index=0)
        bench.driver.ensure_guest(replace(spec, rescue=rescue))
        until(lambda: bench.boots(spec.id) == 2, "it boots from the rescue disk")
        assert _devices(bench, spec) == ["vda", "vdb"]
        [found] = [a for a in bench.driver.artifacts() if a.id == spec.id]
        assert any("rescue" in name for name in found.files)
        _off(bench, spec)
        bench.driver.ensure_guest(spec)
        until(lambda: bench.boots(spec.id) == 3, "it boots from its own disk")
        assert _devices(bench, spec) == ["vda"]
        [found] = [a for a in bench.driver.artifacts() if a.id == spec.id]
        assert not any("rescue" in name for name in found.files)
        bench.driver.delete_guest(spec.id)

    # The agent, and the lack of one

    def test_a_guest_without_an_agent_says_so(self, bench: Bench) -> None:
        spec = bench.boot()
        bench.guests.lose_agent(spec.id)
        assert not bench.driver.has_agent(spec.id)
        assert _code(lambda: bench.driver.set_password(spec.id, "root", "secret")) == "guest.no_agent"
        assert not bench.driver.take_snapshot(spec.id, "root", "copy").quiesced
        _off(bench, spec)
        assert not bench.driver.has_agent(spec.id)
        assert _code(lambda: bench.driver.set_password(spec.id, "root", "secret")) == "guest.state"
        bench.driver.delete_guest(spec.id)

    def test_a_guest_hears_that_it_is_to_dump_its_memory(self, bench: Bench) -> None:
        spec = bench.boot()
        assert bench.driver.set_power(spec.id, PowerAction.CRASH_DUMP).power is Power.RUNNING
        until(lambda: bench.guests.nmi in bench.driver.console_text(spec.id, 65536), "it hears the NMI")
        bench.driver.delete_guest(spec.id)

    # Properties

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("hw_disk_bus", "fdc"),
            ("hw:cpu_sockets", "many"),
            ("hw:cpu_cores", "3"),
            ("hw:mem_page_size", "huge"),
            ("hw:numa_nodes", "3"),
            ("hw_video_model", "vt100"),
            ("hw:watchdog_action", "bark"),
            ("hw:tpm_version", "3.0"),
            ("hw:cpu_policy", "mixed"),
            ("quota:disk_read_iops_sec", "-1"),
            ("quota:vif_inbound_peak", "100"),
            ("hw:serial_port_count", "99"),
            ("hw:cpu_realtime", "yes"),
        ],
    )
    def test_a_property_that_cannot_be_is_refused_by_name(self, bench: Bench, name: str, value: str) -> None:
        spec = bench.spec(vcpus=2, properties={name: value})
        with pytest.raises(DriverError) as caught:
            bench.driver.ensure_guest(spec)
        assert caught.value.code == "guest.refused"
        assert name in caught.value.message
        assert bench.driver.guest(spec.id).power is Power.ABSENT
        assert spec.id not in {found.id for found in bench.driver.artifacts()}

    def test_disks_are_on_the_bus_that_the_image_asks_for(self, bench: Bench) -> None:
        spec = bench.boot(properties={"hw_disk_bus": "ide"})
        assert _devices(bench, spec) == ["hda"]
        bench.driver.delete_guest(spec.id)

    # What another machine exports

    def test_a_host_shows_a_certificate_for_a_key_of_its_own(self, bench: Bench, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "authority")
        asked = bench.driver.export_key("there")
        assert not authority.has_admitted(asked.certificate, "there")
        bench.driver.take_certificate(authority.admit(asked.request, "there"), authority.certificate)
        shown = bench.driver.export_key("there").certificate
        assert authority.has_admitted(shown, "there")
        stranger = HostKeys(tmp_path / "stranger").request("there")
        for wrong in (authority.admit(stranger, "there"), "nothing"):
            assert _code(lambda told=wrong: bench.driver.take_certificate(told, authority.certificate)) == "keys.failed"
        assert bench.driver.export_key("there").certificate == shown
        assert _code(lambda: bench.driver.export_key("no name")) == "keys.failed"

    def test_what_another_machine_exports_grows_there_alone(self, bench: Bench, tmp_path: Path) -> None:
        authority = Authority(tmp_path / "authority")
        asked = bench.driver.export_key("there")
        bench.driver.take_certificate(authority.admit(asked.request, "there"), authority.certificate)
        spec = bench.boot()
        _off(bench, spec)
        disk = DiskSpec("volume-1", "vdb", 1, serial="1", path="nbds:127.0.0.1:1/nobody", format="raw")
        bench.driver.attach_disk(spec.id, disk)
        for _ in range(2):  # nobody is asked: a guest that is off sees it when it starts
            bench.driver.resize_disk(spec.id, "1", 2)
        bench.driver.detach_disk(spec.id, "1")
