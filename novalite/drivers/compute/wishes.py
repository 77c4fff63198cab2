"""What a guest's properties can ask for, as values: ``properties.read`` makes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NumaCell:
    """One memory node of the guest."""

    vcpus: tuple[int, ...]
    memory_mib: int


@dataclass(frozen=True)
class CpuWish:
    """``mode`` is empty, custom, host-model, host-passthrough or maximum; ``topology`` sockets, cores, threads."""

    mode: str = ""
    model: str = ""
    required: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    topology: tuple[int, int, int] | None = None
    dedicated: bool = False
    shares: int = 0
    period: int = 0
    quota: int = 0
    pmu: bool | None = None


@dataclass(frozen=True)
class MemoryWish:
    """``page_size`` is empty or small (the machine's ordinary pages), large, or a number of KiB."""

    page_size: str = ""
    cells: tuple[NumaCell, ...] = ()
    locked: bool = False


@dataclass(frozen=True)
class DeviceWish:
    """Empty texts and zeros leave the choice to the driver. ``rng_*`` in bytes and milliseconds."""

    disk_bus: str = ""
    cdrom_bus: str = ""
    scsi_model: str = ""
    disk_limits: tuple[tuple[str, int], ...] = ()
    vif_model: str = ""
    vif_queues: int = 0
    vif_limits: tuple[tuple[str, int], ...] = ()
    video_model: str = ""
    video_ram_mib: int = 0
    watchdog: str = ""
    rng: bool = True
    rng_bytes: int = 0
    rng_period: int = 0
    tpm_version: str = ""
    tpm_model: str = ""
    serial_ports: int = 1
    tablet: bool = False


@dataclass(frozen=True)
class BootWish:
    machine: str = ""
    uefi: bool = False
    secure_boot: bool = False
    menu: bool = False
    hide_hypervisor: bool = False


@dataclass(frozen=True)
class Wishes:
    """All that a guest's properties ask for."""

    cpu: CpuWish = CpuWish()
    memory: MemoryWish = MemoryWish()
    devices: DeviceWish = DeviceWish()
    boot: BootWish = BootWish()
