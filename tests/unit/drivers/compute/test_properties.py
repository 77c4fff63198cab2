"""Each flavor and image property in the domain it makes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from novalite.drivers.compute.arrange import arranged
from novalite.drivers.compute.base import ConfigDrive, DiskSpec, GuestSpec, HostReport, NicSpec
from novalite.drivers.compute.libvirt.abilities import Abilities, HostNode, traits
from novalite.drivers.compute.libvirt.guest import HostChoices, Names, domain
from novalite.drivers.compute.libvirt.pinning import pinned
from novalite.drivers.compute.libvirt.places import GuestPlace
from novalite.drivers.compute.needs import unmet
from novalite.drivers.compute.properties import numbers, read
from novalite.errors import DriverError

NAMES = Names("0a1b2c3d-0000-4000-8000-000000000000")
PLACE = GuestPlace(Path("/state/guests/g"), Path("/state/guests/g"))
NODES = (HostNode((0, 1, 2, 3), {4: 1000, 2048: 64, 1048576: 0}), HostNode((4, 5, 6, 7), {4: 1000, 2048: 64}))
HOST = HostChoices(
    "qemu",
    "",
    "none",
    Abilities(
        frozenset({"virtio", "scsi", "sata", "ide", "usb"}),
        frozenset({"vga", "virtio"}),
        frozenset({"tpm-tis", "tpm-crb", "2.0"}),
        frozenset({"custom", "maximum"}),
        ("Nehalem", "Westmere"),
        True,
        True,
        NODES,
    ),
)


def _spec(properties: dict[str, str], **changes: Any) -> GuestSpec:
    spec = GuestSpec(
        str(uuid4()),
        "web",
        "p",
        4,
        1024,
        (DiskSpec("root", "vda", 1, boot_index=0), DiskSpec("swap", "vdb", 0, size_mib=64, content="swap")),
        (NicSpec("port", "fa:16:3e:00:00:01", "tapX"),),
        properties=properties,
    )
    return replace(spec, **changes)


def _render(properties: dict[str, str], host: HostChoices = HOST, **changes: Any) -> ET.Element:
    return ET.fromstring(domain(_spec(properties, **changes), NAMES, PLACE, {}, host).render())


def _paths(root: ET.Element, path: str = "") -> Iterator[str]:
    """Every element as ``path attribute=value … text``."""
    for child in root:
        here = f"{path}/{child.tag}"
        facts = [f"{k}={v}" for k, v in sorted(child.attrib.items())]
        yield " ".join([here, *facts, *([child.text] if child.text else [])])
        yield from _paths(child, here)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"hw:cpu_model": "Westmere"}, ["/cpu match=exact mode=custom", "/cpu/model Westmere"]),
        ({"hw:cpu_mode": "maximum"}, ["/cpu mode=maximum"]),
        ({"hw_cpu_mode": "maximum", "hw:cpu_model": ""}, ["/cpu mode=maximum"]),
        (
            {"hw:cpu_model": "Westmere", "hw:cpu_model_extra_flags": "aes, -vmx"},
            ["/cpu/feature name=aes policy=require", "/cpu/feature name=vmx policy=disable"],
        ),
        ({"hw:cpu_sockets": "2"}, ["/cpu/topology cores=2 sockets=2 threads=1"]),
        ({"hw:cpu_cores": "4"}, ["/cpu/topology cores=4 sockets=1 threads=1"]),
        (
            {"hw_cpu_sockets": "1", "hw_cpu_cores": "2", "hw_cpu_threads": "2"},
            ["/cpu/topology cores=2 sockets=1 threads=2"],
        ),
        ({"hw:cpu_max_sockets": "2"}, ["/cpu/topology cores=2 sockets=2 threads=1"]),
        (
            {"hw:cpu_policy": "dedicated"},
            [
                "/cputune/vcpupin cpuset=0 vcpu=0",
                "/cputune/vcpupin cpuset=3 vcpu=3",
                "/cputune/emulatorpin cpuset=0,1,2,3",
            ],
        ),
        (
            {"hw:numa_nodes": "2"},
            [
                "/cpu/numa/cell cpus=0,1 id=0 memory=512 unit=MiB",
                "/numatune/memory mode=strict nodeset=0-1",
                "/numatune/memnode cellid=1 mode=strict nodeset=1",
                "/cputune/vcpupin cpuset=4,5,6,7 vcpu=2",
            ],
        ),
        (
            {
                "hw:numa_nodes": "2",
                "hw:numa_cpus.0": "0-2",
                "hw:numa_mem.0": "768",
                "hw:numa_cpus.1": "3",
                "hw:numa_mem.1": "256",
            },
            ["/cpu/numa/cell cpus=0,1,2 id=0 memory=768 unit=MiB", "/cpu/numa/cell cpus=3 id=1 memory=256 unit=MiB"],
        ),
        ({"hw:mem_page_size": "large"}, ["/memoryBacking/hugepages/page size=2048 unit=KiB"]),
        ({"hw_mem_page_size": "2MB"}, ["/memoryBacking/hugepages/page size=2048 unit=KiB"]),
        ({"hw:locked_memory": "true"}, ["/memoryBacking/locked"]),
        (
            {"hw_disk_bus": "virtio"},
            ["/devices/disk/target bus=virtio dev=vda", "/devices/disk/target bus=virtio dev=vdb"],
        ),
        (
            {"hw_disk_bus": "scsi"},
            ["/devices/disk/target bus=scsi dev=sda", "/devices/controller model=virtio-scsi type=scsi"],
        ),
        ({"hw_disk_bus": "scsi", "hw_scsi_model": "lsilogic"}, ["/devices/controller model=lsilogic type=scsi"]),
        ({"hw_disk_bus": "sata"}, ["/devices/disk/target bus=sata dev=sdb"]),
        ({"hw_disk_bus": "ide"}, ["/devices/disk/target bus=ide dev=hda"]),
        ({"hw_vif_model": "e1000"}, ["/devices/interface/model type=e1000"]),
        ({"hw_vif_multiqueue_enabled": "true"}, ["/devices/interface/driver queues=4"]),
        ({"hw_video_model": "virtio", "hw_video_ram": "32"}, ["/devices/video/model type=virtio vram=32768"]),
        ({"hw_machine_type": "q35"}, ["/os/type arch=x86_64 machine=q35 hvm"]),
        ({"hw_machine_type": "aarch64=virt,x86_64=q35"}, ["/os/type arch=x86_64 machine=q35 hvm"]),
        ({"hw_firmware_type": "uefi"}, ["/os firmware=efi", "/os/firmware/feature enabled=no name=secure-boot"]),
        (
            {"os:secure_boot": "required"},
            [
                "/os firmware=efi",
                "/os/firmware/feature enabled=yes name=secure-boot",
                "/os/firmware/feature enabled=yes name=enrolled-keys",
            ],
        ),
        (
            {"hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb"},
            ["/devices/tpm model=tpm-crb", "/devices/tpm/backend type=emulator version=2.0"],
        ),
        ({"hw:watchdog_action": "poweroff"}, ["/devices/watchdog action=poweroff model=i6300esb"]),
        ({"hw_watchdog_action": "reset"}, ["/devices/watchdog action=reset model=i6300esb"]),
        (
            {"hw_rng_model": "virtio", "hw_rng:rate_bytes": "2048", "hw_rng:rate_period": "1000"},
            ["/devices/rng model=virtio", "/devices/rng/rate bytes=2048 period=1000"],
        ),
        (
            {"hw:serial_port_count": "2"},
            ["/devices/serial/source mode=bind path=/state/guests/g/serial1.sock", "/devices/serial/target port=1"],
        ),
        (
            {"quota:disk_read_bytes_sec": "1048576", "quota:disk_write_iops_sec": "50"},
            ["/devices/disk/iotune/read_bytes_sec 1048576", "/devices/disk/iotune/write_iops_sec 50"],
        ),
        ({"quota:disk_total_iops_sec": "9"}, ["/devices/disk/iotune/total_iops_sec 9"]),
        (
            {"quota:cpu_shares": "2048", "quota:cpu_period": "20000", "quota:cpu_quota": "10000"},
            ["/cputune/shares 2048", "/cputune/period 20000", "/cputune/quota 10000"],
        ),
        (
            {"quota:vif_inbound_average": "100", "quota:vif_inbound_peak": "200", "quota:vif_outbound_average": "50"},
            ["/devices/interface/target dev=tapX managed=no"],  # the network's side limits what passes the tap
        ),
        ({"hw_boot_menu": "true"}, ["/os/bootmenu enable=yes timeout=3000"]),
        ({"hw_pointer_model": "usbtablet"}, ["/devices/input bus=usb type=tablet"]),
        (
            {"hw_disk_bus": "usb"},
            ["/devices/disk/target bus=usb dev=sda", "/devices/controller model=qemu-xhci type=usb"],
        ),
        ({"hw:hide_hypervisor_id": "true"}, ["/features/kvm/hidden state=on"]),
        ({"hw:pmu": "false"}, ["/features/pmu state=off"]),
    ],
)
def test_a_property_is_in_the_domain(properties: dict[str, str], expected: list[str]) -> None:
    assert set(expected) <= set(_paths(_render(properties)))


def test_without_properties_nothing_is_tuned() -> None:
    root = _render({})
    for path in ("cputune", "numatune", "memoryBacking", "cpu/topology", "devices/tpm", "devices/watchdog"):
        assert root.find(path) is None
    assert len(root.findall("devices/serial")) == 1
    assert root.find("devices/rng/rate") is None


def test_a_guest_may_have_no_random_source_and_no_watchdog() -> None:
    root = _render({"hw_rng:allowed": "False", "hw:watchdog_action": "disabled"})
    assert root.find("devices/rng") is None
    assert root.find("devices/watchdog") is None


def test_the_flavor_wins_over_the_image() -> None:
    root = _render({"hw:watchdog_action": "pause", "hw_watchdog_action": "reset"})
    assert root.find("devices/watchdog[@action='pause']") is not None


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"hw:cpu_model": "Skylake"}, "hw:cpu_model"),
        ({"hw:cpu_mode": "host-passthrough"}, "hw:cpu_mode"),
        ({"hw:cpu_mode": "custom"}, "hw:cpu_mode"),
        ({"hw:cpu_mode": "maximum", "hw:cpu_model": "Westmere"}, "hw:cpu_model"),
        ({"hw:cpu_threads": "3"}, "hw:cpu_threads"),
        ({"hw:cpu_thread_policy": "isolate"}, "hw:cpu_thread_policy"),
        ({"hw:numa_nodes": "3", "hw:numa_cpus.0": "0", "hw:numa_mem.0": "1"}, "hw:numa_cpus.1"),
        ({"hw:numa_nodes": "1", "hw:numa_cpus.0": "0-2", "hw:numa_mem.0": "1024"}, "hw:numa_cpus.0"),
        ({"hw:numa_nodes": "1", "hw:numa_cpus.0": "0-3", "hw:numa_mem.0": "1000"}, "hw:numa_mem.0"),
        ({"hw:numa_nodes": "4"}, "hw:numa_nodes"),
        ({"hw:mem_page_size": "1GB"}, "hw:mem_page_size"),
        ({"hw:mem_page_size": "2XB"}, "hw:mem_page_size"),
        ({"hw_video_model": "qxl"}, "hw_video_model"),
        ({"hw_video_ram": "64", "hw_video:ram_max_mb": "32"}, "hw_video_ram"),
        ({"hw_machine_type": "q35", "hw_disk_bus": "ide"}, "hw_disk_bus"),
        ({"hw_machine_type": "pc", "os_secure_boot": "required"}, "os:secure_boot"),
        ({"hw_firmware_type": "bios", "os_secure_boot": "required"}, "os:secure_boot"),
        ({"hw:tpm_version": "1.2"}, "hw:tpm_version"),
        ({"hw_boot_menu": "perhaps"}, "hw_boot_menu"),
        ({"quota:cpu_period": "1"}, "quota:cpu_period"),
        ({"hw_rng_model": "dice"}, "hw_rng_model"),
        ({"hw:mem_encryption": "true"}, "hw:mem_encryption"),
    ],
)
def test_what_a_host_cannot_do_is_refused_by_name(properties: dict[str, str], name: str) -> None:
    with pytest.raises(DriverError) as caught:
        _render(properties)
    assert caught.value.code == "guest.refused"
    assert f"property {name}:" in caught.value.message


# Processors of one's own


def test_guests_have_processors_to_themselves_until_none_is_left() -> None:
    first = _render({"hw:cpu_policy": "dedicated"})
    taken = pinned(ET.tostring(first, "unicode"))
    assert taken == {0, 1, 2, 3}
    second = _render({"hw:cpu_policy": "dedicated"}, replace(HOST, pinned=taken))
    taken |= pinned(ET.tostring(second, "unicode"))
    assert taken == set(range(8))
    with pytest.raises(DriverError, match="0 are left"):
        _render({"hw:cpu_policy": "dedicated"}, replace(HOST, pinned=taken))


def test_processors_of_a_node_stay_on_it_and_are_not_counted_as_taken() -> None:
    shared = _render({"hw:numa_nodes": "2"})
    assert pinned(ET.tostring(shared, "unicode")) == frozenset()
    own = _render({"hw:numa_nodes": "2", "hw:cpu_policy": "dedicated"}, replace(HOST, pinned=frozenset({0})))
    assert pinned(ET.tostring(own, "unicode")) == {1, 2, 4, 5}


def test_lists_of_processors() -> None:
    assert numbers("p", "0-3,^2, 7") == (0, 1, 3, 7)
    for bad in ("", "a", "1-", "-1", "1-999999"):
        with pytest.raises(DriverError, match="p: "):
            numbers("p", bad)


# Disks and their places


def test_a_rescue_disk_comes_first_and_others_make_room() -> None:
    spec = _spec({}, rescue=DiskSpec("x", "vda", 0, boot_index=0), config_drive=ConfigDrive({}))
    assert [(d.name, d.device, d.boot_index) for d in arranged(spec)] == [
        ("rescue", "vda", 0),
        ("root", "vdc", 1),
        ("swap", "vdb", -1),
    ]
    stable = _spec({}, rescue=DiskSpec("x", "sda", 0, bus="scsi"))
    assert [(d.name, d.device) for d in arranged(stable)] == [("rescue", "sda"), ("root", "vda"), ("swap", "vdb")]


def test_a_disk_that_asks_for_its_bus_keeps_it() -> None:
    spec = _spec({}, disks=(DiskSpec("root", "vda", 1), DiskSpec("data", "sda", 1, bus="sata")))
    assert [(d.device, d.bus) for d in arranged(spec, "ide")] == [("hda", "ide"), ("sda", "sata")]


def test_ide_has_four_places() -> None:
    spec = _spec({"hw_disk_bus": "ide"}, disks=tuple(DiskSpec(f"d{n}", "vda", 1) for n in range(5)))
    with pytest.raises(DriverError, match="no place hd"):
        arranged(spec, "ide")


def test_a_q35_guest_has_ports_for_devices_that_come_later() -> None:
    ports = _render({"hw_machine_type": "q35"}).findall("devices/controller[@model='pcie-root-port']")
    assert len(ports) == 3 + 8
    assert not _render({}).findall("devices/controller[@model='pcie-root-port']")


def test_traits_say_what_the_host_can() -> None:
    said = traits(HOST.abilities)
    assert {"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_UEFI_SECURE_BOOT", "COMPUTE_STORAGE_BUS_IDE"} <= set(said)
    assert "COMPUTE_SECURITY_TPM_1_2" not in said
    assert HOST.abilities.huge_pages == {2048: 128, 1048576: 0}


def test_an_unknown_name_means_nothing() -> None:
    assert read(_spec({"os_distro": "debian", "hw:something_new": "1"})) == read(_spec({}))


# Choosing a host


@pytest.mark.parametrize(
    "properties",
    [
        {"hw_disk_bus": "ide"},
        {"hw_cdrom_bus": "sata"},
        {"hw_vif_model": "rtl8139"},
        {"hw_video_model": "qxl"},
        {"hw:tpm_version": "1.2"},
        {"hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb"},
        {"os:secure_boot": "required"},
        {"hw_firmware_type": "uefi"},
        {"hw:cpu_model": "Westmere"},
        {"hw:cpu_policy": "dedicated"},
        {"hw:numa_nodes": "2"},
        {"hw:mem_page_size": "large"},
        {"hw:mem_page_size": "2MB"},
    ],
)
def test_a_host_that_lacks_something_is_told_apart_before_it_is_asked(properties: dict[str, str]) -> None:
    poor = HostReport("poor", "QEMU", 1, "x86_64", 8, 1024, 10, traits=("OTHER",), cpu_models=("Nehalem",))
    [reason, *_] = unmet(_spec(properties), poor)
    assert reason.startswith(tuple(f"{name}: " for name in properties))
    rich = replace(
        poor,
        traits=(*traits(HOST.abilities), "COMPUTE_GRAPHICS_MODEL_QXL", "COMPUTE_SECURITY_TPM_1_2"),
        firmwares=("bios", "uefi"),
        cpu_models=("Westmere",),
        numa_nodes=2,
        huge_pages={2048: 9},
        free_cpus=4,
    )
    assert unmet(_spec(properties), rich) == ()


def test_a_host_can_take_a_guest_that_asks_for_nothing() -> None:
    assert unmet(_spec({}), HostReport("h", "QEMU", 1, "x86_64", 1, 1, 1)) == ()
