"""Each filter's one question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.engine.scheduler.filters.affinity import Affinity
from novalite.engine.scheduler.filters.alive import Alive
from novalite.engine.scheduler.filters.allowed_host import AllowedHost
from novalite.engine.scheduler.filters.anti_affinity import AntiAffinity
from novalite.engine.scheduler.filters.architecture import Architecture
from novalite.engine.scheduler.filters.availability_zone import AvailabilityZone
from novalite.engine.scheduler.filters.cpu import Cpu
from novalite.engine.scheduler.filters.different_host import DifferentHost
from novalite.engine.scheduler.filters.disk import Disk
from novalite.engine.scheduler.filters.image_properties import ImageProperties
from novalite.engine.scheduler.filters.ram import Ram
from novalite.engine.scheduler.filters.same_host import SameHost
from novalite.engine.scheduler.ports import Filter
from novalite.engine.scheduler.snapshot import Group, Hints, HostView, Request

HOST = HostView(
    host_id="1",
    name="a",
    vcpus_total=4,
    memory_mib_total=4096,
    disk_gib_total=40,
    machine_types=("pc", "q35"),
    firmwares=("bios",),
)
ASK = Request(server_id="s", vcpus=1, memory_mib=512, disk_gib=1)


def group(policy: str, max_per_host: int = 1, **members: int) -> Request:
    return replace(ASK, group=Group(id="g", policy=policy, max_per_host=max_per_host, members=members))


def wants(**properties: str) -> Request:
    return replace(ASK, image_properties=properties)


PASSES = [
    (Alive(), HOST, ASK),
    (AllowedHost(), HOST, replace(ASK, forced_host="a", excluded_hosts={"b": "tried"})),
    (AvailabilityZone(), HOST, replace(ASK, zone="nova")),
    (Architecture(), HOST, ASK),
    (Architecture(), HOST, wants(hw_architecture="amd64")),
    (Architecture(), HOST, wants(architecture="i686")),
    (ImageProperties(), HOST, wants(hw_firmware_type="bios", hw_machine_type="q35", img_hv_type="QEMU")),
    (ImageProperties(), HOST, wants(hw_machine_type="aarch64=virt,x86_64=q35")),
    (ImageProperties(), replace(HOST, virt_type="kvm"), wants(hypervisor_type="kvm")),
    (ImageProperties(), replace(HOST, features=("secure_boot",)), wants(os_secure_boot="required")),
    (Cpu(), replace(HOST, vcpus_used=4, cpu_ratio=1.25), ASK),
    (Ram(), replace(HOST, memory_mib_used=3072, reserved_memory_mib=512), ASK),
    (Disk(), replace(HOST, disk_gib_used=38, reserved_disk_gib=1), ASK),
    (Disk(), replace(HOST, disk_gib_used=99), replace(ASK, disk_gib=0)),
    (SameHost(), HOST, replace(ASK, hints=Hints(same_host=frozenset({"a"})))),
    (DifferentHost(), HOST, replace(ASK, hints=Hints(different_host=frozenset({"b"})))),
    (Affinity(), HOST, group("affinity")),
    (Affinity(), HOST, group("affinity", a=1)),
    (Affinity(), HOST, group("soft-affinity", b=1)),
    (AntiAffinity(), HOST, group("anti-affinity", b=1)),
    (AntiAffinity(), HOST, group("anti-affinity", max_per_host=2, a=1)),
    (AntiAffinity(), HOST, group("soft-anti-affinity", a=1)),
]

REFUSES = [
    (Alive(), replace(HOST, enabled=False), ASK, "disabled"),
    (Alive(), replace(HOST, alive=False), ASK, "down, it does not report"),
    (AllowedHost(), HOST, replace(ASK, forced_host="b"), "host b was asked for"),
    (AllowedHost(), HOST, replace(ASK, excluded_hosts={"a": "disk full"}), "disk full"),
    (AvailabilityZone(), HOST, replace(ASK, zone="west"), "in availability zone nova, asked for west"),
    (Architecture(), HOST, replace(ASK, architecture="aarch64"), "x86_64, needs aarch64"),
    (ImageProperties(), HOST, wants(hw_firmware_type="uefi"), "no uefi firmware"),
    (ImageProperties(), HOST, wants(hw_machine_type="microvm"), "no machine type microvm"),
    (ImageProperties(), HOST, wants(hypervisor_type="kvm"), "no hypervisor kvm"),
    (ImageProperties(), HOST, replace(ASK, extra_specs={"os:secure_boot": "required"}), "no secure boot"),
    (
        ImageProperties(),
        replace(HOST, unmet=("hw:tpm_version: the host lacks COMPUTE_SECURITY_TPM_2_0",)),
        replace(ASK, extra_specs={"hw:tpm_version": "2.0"}),
        "hw:tpm_version: the host lacks COMPUTE_SECURITY_TPM_2_0",
    ),
    (Cpu(), replace(HOST, vcpus_used=4), ASK, "needs 1 vCPUs, 0 free"),
    (Cpu(), replace(HOST, cpu_ratio=16.0), replace(ASK, vcpus=5), "needs 5 vCPUs, the host has 4 in all"),
    (
        Ram(),
        replace(HOST, memory_mib_used=3584, reserved_memory_mib=1),
        ASK,
        "needs 512 MiB of memory, 511 free",
    ),
    (Disk(), replace(HOST, disk_gib_used=40), ASK, "needs 1 GiB of disk, 0 free"),
    (
        SameHost(),
        HOST,
        replace(ASK, hints=Hints(same_host=frozenset())),
        "runs none of the servers to be beside",
    ),
    (
        DifferentHost(),
        HOST,
        replace(ASK, hints=Hints(different_host=frozenset({"a"}))),
        "runs a server to be away from",
    ),
    (Affinity(), HOST, group("affinity", b=1), "the server group is on another host"),
    (AntiAffinity(), HOST, group("anti-affinity", a=1), "runs 1 of the server group, 1 may share a host"),
]


@pytest.mark.parametrize(("filter_", "host", "request_"), PASSES)
def test_passes(filter_: Filter, host: HostView, request_: Request) -> None:
    assert filter_.reason(host, request_) is None


@pytest.mark.parametrize(("filter_", "host", "request_", "why"), REFUSES)
def test_refuses_and_says_why(filter_: Filter, host: HostView, request_: Request, why: str) -> None:
    assert filter_.reason(host, request_) == why
