"""What the scheduler looks at: hosts as they were at one moment, and what a server asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """One host. Totals are physical, ``*_used`` is what claims already took. Memory in MiB, disk in GiB.

    Room is ``(total - reserved) * ratio - used``, rounded down. ``zone`` is the availability zone; ``disk_gib_left`` is
    what may still be promised by what is measured, and ``disk_measured`` says it in words; None where a host does not
    tell. ``aggregates_metadata`` holds the metadata of each aggregate the host is in; ``unmet`` says in words what of
    the properties that are asked for it cannot do.
    """

    host_id: str
    name: str
    enabled: bool = True
    alive: bool = True
    zone: str = "nova"
    architecture: str = "x86_64"
    hypervisor_type: str = "QEMU"
    virt_type: str = "qemu"
    firmwares: tuple[str, ...] = ("bios",)
    machine_types: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    vcpus_total: int = 0
    vcpus_used: int = 0
    memory_mib_total: int = 0
    memory_mib_used: int = 0
    disk_gib_total: int = 0
    disk_gib_used: int = 0
    reserved_memory_mib: int = 0
    reserved_disk_gib: int = 0
    cpu_ratio: float = 1.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0
    disk_gib_left: int | None = None
    disk_measured: str = ""
    server_count: int = 0
    disabled_reason: str = ""
    aggregates_metadata: tuple[Mapping[str, str], ...] = ()
    unmet: tuple[str, ...] = ()

    @property
    def vcpus_free(self) -> int:
        """vCPUs that may still be promised; negative when the host is overcommitted beyond its ratio."""
        return int(self.vcpus_total * self.cpu_ratio) - self.vcpus_used

    @property
    def memory_mib_free(self) -> int:
        return int((self.memory_mib_total - self.reserved_memory_mib) * self.ram_ratio) - self.memory_mib_used

    @property
    def disk_gib_free(self) -> int:
        free = int((self.disk_gib_total - self.reserved_disk_gib) * self.disk_ratio) - self.disk_gib_used
        return free if self.disk_gib_left is None else min(free, self.disk_gib_left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A server group. ``policy`` is affinity, anti-affinity, soft-affinity or soft-anti-affinity; ``members``
    counts the group's other servers by host name; ``max_per_host`` bounds anti-affinity."""

    id: str
    policy: str
    max_per_host: int = 1
    members: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the caller wished, servers already resolved to the names of the hosts they are on."""

    same_host: frozenset[str] | None = None
    different_host: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one server needs. Memory in MiB, disk in GiB; empty ``architecture``, ``zone`` and
    ``forced_host`` mean any. ``excluded_hosts`` maps a host's name to why it must not be taken."""

    server_id: str
    vcpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    architecture: str = ""
    zone: str = ""
    forced_host: str = ""
    image_properties: Mapping[str, str] = field(default_factory=dict)
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    group: Group | None = None
    hints: Hints = Hints()
    excluded_hosts: Mapping[str, str] = field(default_factory=dict)
