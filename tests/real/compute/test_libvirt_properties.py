"""Flavor and image properties in guests that run: what libvirt and QEMU made of them."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest

from novalite.drivers.compute.base import DiskSpec, GuestSpec, Power
from novalite.errors import DriverError
from tests.contracts.compute_driver import Bench, new_bench
from tests.real.compute.hosts import BootSectorGuests, Host, new_host

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def bench(host: Host) -> Iterator[Bench]:
    yield new_bench(host.driver, BootSectorGuests(host.driver))
    for state in host.driver.list_guests():
        host.driver.delete_guest(state.id)


@pytest.fixture(scope="module")
def live(host: Host) -> Iterator[Callable[[str], ET.Element]]:
    """The description of a running guest."""
    connection = libvirt.open(host.libvirtd.uri)
    yield lambda guest_id: ET.fromstring(connection.lookupByUUIDString(guest_id).XMLDesc())
    connection.close()


@pytest.fixture(scope="module")
def ask_qemu(host: Host) -> Iterator[Callable[[str, str], object]]:
    connection = libvirt.open(host.libvirtd.uri)

    def ask(guest_id: str, question: str) -> object:
        domain = connection.lookupByUUIDString(guest_id)
        text = libvirt_qemu.qemuMonitorCommand(domain, json.dumps({"execute": question}), 0)
        return json.loads(text)["return"]

    yield ask
    connection.close()


def _boot(bench: Bench, properties: dict[str, str], **changes: object) -> GuestSpec:
    return bench.boot(properties=properties, **changes)


@pytest.mark.parametrize("bus", ["virtio", "sata", "ide", "scsi"])
def test_a_guest_boots_from_any_bus(bench: Bench, live: Callable[[str], ET.Element], bus: str) -> None:
    spec = _boot(bench, {"hw_disk_bus": bus})
    assert live(spec.id).find(f"devices/disk/target[@bus='{bus}']") is not None
    bench.driver.delete_guest(spec.id)


def test_processors_and_memory(
    bench: Bench, live: Callable[[str], ET.Element], ask_qemu: Callable[..., list[dict[str, dict[str, int]]]]
) -> None:
    properties = {
        "hw:cpu_sockets": "1",
        "hw:cpu_cores": "2",
        "hw:cpu_model": "Westmere",
        "hw:numa_nodes": "1",
        "hw:cpu_policy": "dedicated",
        "quota:cpu_shares": "512",
        "hw:watchdog_action": "reset",
        "hw:serial_port_count": "2",
        "hw_rng:rate_bytes": "2048",
        "hw_rng:rate_period": "1000",
        "quota:disk_total_iops_sec": "500",
        "hw_video_model": "cirrus",
        "hw_boot_menu": "false",
    }
    spec = _boot(bench, properties, vcpus=2)
    cores = {cpu["props"]["core-id"] for cpu in ask_qemu(spec.id, "query-hotpluggable-cpus")}
    assert cores == {0, 1}
    root = live(spec.id)
    assert root.findtext("cpu/model") == "Westmere"
    assert root.findtext("cputune/shares") == "512"
    assert root.findtext("devices/disk/iotune/total_iops_sec") == "500"
    assert root.find("devices/watchdog[@action='reset']") is not None
    assert root.find("devices/rng/rate[@bytes='2048']") is not None
    assert root.find("devices/video/model[@type='cirrus']") is not None
    assert len(root.findall("devices/serial")) == 2
    report = bench.driver.host_report()
    assert report.free_cpus == report.vcpus - 2
    too_many = bench.spec(vcpus=max(1, report.free_cpus + 1), properties={"hw:cpu_policy": "dedicated"})
    with pytest.raises(DriverError, match="hw:cpu_policy"):
        bench.driver.ensure_guest(too_many)
    bench.driver.delete_guest(spec.id)
    assert bench.driver.host_report().free_cpus == report.vcpus


def test_a_q35_guest_boots_and_takes_a_disk_while_it_runs(bench: Bench) -> None:
    spec = _boot(bench, {"hw_machine_type": "q35"})
    bench.driver.attach_disk(spec.id, DiskSpec("data", "vdb", 1, serial="late"))
    assert [disk["device"] for disk in bench.driver.diagnostics(spec.id).disks] == ["vda", "vdb"]
    bench.driver.delete_guest(spec.id)


def test_a_trusted_module_is_there(
    bench: Bench, live: Callable[[str], ET.Element], ask_qemu: Callable[..., list[object]]
) -> None:
    assert {"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_CRB"} <= set(bench.driver.host_report().traits)
    spec = _boot(bench, {"hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb"})
    assert ask_qemu(spec.id, "query-tpm")
    bench.driver.delete_guest(spec.id)
    assert bench.driver.guest(spec.id).power is Power.ABSENT


def test_secure_boot_takes_the_firmware_that_checks(bench: Bench, live: Callable[[str], ET.Element]) -> None:
    assert "secure_boot" in bench.driver.host_report().features
    spec = bench.spec(memory_mib=128, properties={"os:secure_boot": "required"})
    bench.driver.ensure_guest(spec)
    loader = live(spec.id).find("os/loader")
    assert loader is not None
    assert loader.get("secure") == "yes"
    bench.driver.delete_guest(spec.id)


def test_blank_disks_hold_what_they_are_for(bench: Bench, host: Host) -> None:
    blanks = (
        DiskSpec("swap", "vdb", 0, size_mib=32, content="swap"),
        DiskSpec("ephemeral0", "vdc", 0, size_mib=64, content="ext4"),
        DiskSpec("ephemeral1", "vdd", 0, size_mib=64, content="vfat"),
    )
    root = DiskSpec("root", "vda", 1, bench.image, boot_index=0)
    spec = _boot(bench, {}, disks=(root, *blanks))
    bench.driver.delete_guest(spec.id)
    spec = bench.spec(disks=(root, *blanks))
    bench.driver.ensure_guest(spec)
    place = host.state_dir / "guests" / spec.id
    for name, kind in (("swap", "swap"), ("ephemeral0", "ext4"), ("ephemeral1", "vfat")):
        raw = place / f"{name}.raw"
        subprocess.run(
            ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(place / f"{name}.qcow2"), str(raw)],
            check=True,
        )
        said = subprocess.run(["blkid", "-p", str(raw)], check=True, capture_output=True, text=True).stdout
        assert f'TYPE="{kind}"' in said
        assert name in said
    bench.driver.delete_guest(spec.id)
    with pytest.raises(DriverError, match="zfs"):
        bench.driver.ensure_guest(bench.spec(disks=(root, DiskSpec("e", "vdb", 1, content="zfs"))))


_HUGE_PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")


@contextmanager
def _huge_pages(count: int, mount: Path) -> Iterator[None]:
    """``count`` more pages of 2 MiB, where programs can take them from."""
    before = _HUGE_PAGES.read_text()
    mount.mkdir()
    subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(mount)], check=True)
    _HUGE_PAGES.write_text(str(int(before) + count))
    try:
        yield
    finally:
        _HUGE_PAGES.write_text(before)
        subprocess.run(["umount", str(mount)], check=True)


def test_memory_comes_in_huge_pages_where_the_host_has_some(tmp_path: Path) -> None:
    with _huge_pages(40, tmp_path / "huge"), new_host(tmp_path / "host") as host:
        bench = new_bench(host.driver, BootSectorGuests(host.driver))
        assert host.driver.host_report().huge_pages[2048] >= 40
        spec = _boot(bench, {"hw:mem_page_size": "2MB", "hw:numa_nodes": "1"})
        maps = Path(f"/proc/{host.libvirtd.guest_pid(spec.id)}/smaps").read_text()
        pages = {int(line.split()[1]) for line in maps.splitlines() if line.startswith("KernelPageSize:")}
        assert 2048 in pages
        bench.driver.delete_guest(spec.id)


def test_without_huge_pages_they_are_refused(bench: Bench) -> None:
    if any(bench.driver.host_report().huge_pages.values()):
        pytest.skip("this host has huge pages")
    with pytest.raises(DriverError, match="hw:mem_page_size") as caught:
        bench.driver.ensure_guest(bench.spec(properties={"hw:mem_page_size": "large"}))
    assert caught.value.code == "guest.refused"
