"""What flavor extra specs (``hw:…``, ``quota:…``) and image properties (``hw_…``) ask of a guest, read once for
all drivers. Names and values are Nova's; the flavor wins over the image. Unknown names mean nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from novalite.drivers.compute.arrange import PREFIXES
from novalite.drivers.compute.base import GuestSpec
from novalite.drivers.compute.wishes import BootWish, CpuWish, DeviceWish, MemoryWish, NumaCell, Wishes
from novalite.errors import DriverError

BUSES = tuple(PREFIXES)
NIC_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3")
VIDEO_MODELS = ("vga", "virtio", "qxl", "cirrus", "bochs", "vmvga", "none")
SCSI_MODELS = ("virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078", "vmpvscsi")
WATCHDOG_ACTIONS = ("disabled", "none", "reset", "poweroff", "pause")
DISK_LIMITS = tuple(
    f"disk_{way}_{what}_sec" for way in ("read", "write", "total") for what in ("bytes", "iops")
)  # fmt: skip
_TRUE, _FALSE = ("1", "t", "true", "on", "y", "yes"), ("0", "f", "false", "off", "n", "no", "")
_PAGE_UNITS = {"": 1, "kb": 1, "kib": 1, "mb": 1 << 10, "mib": 1 << 10, "gb": 1 << 20, "gib": 1 << 20}
NOT_OFFERED = (
    "hw:cpu_realtime",
    "hw:mem_encryption",
    "hw_mem_encryption",
    "hw:pmem",
    "pci_passthrough:alias",
)


def refused(name: str, why: str) -> DriverError:
    """The error for a property that cannot be honoured."""
    return DriverError("ensure_guest", f"property {name}: {why}", code="guest.refused")


class Reader:
    """Reads values of known names. Every method takes the names of one wish, the one that wins first, and
    raises ``DriverError`` with code ``guest.refused`` that names the property."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = properties

    def text(self, *names: str) -> tuple[str, str]:
        """(name, value) of the first that is set, else the first name and nothing."""
        for name in names:
            if value := self._properties.get(name, "").strip():
                return name, value
        return names[0], ""

    def choice(self, allowed: Iterable[str], *names: str) -> str:
        name, value = self.text(*names)
        known = tuple(allowed)
        if value and value.lower() not in known:
            raise refused(name, f"{value!r} is not one of {', '.join(known)}")
        return value.lower()

    def number(self, least: int, most: int, *names: str) -> int:
        """0 when none is set."""
        name, value = self.text(*names)
        if not value:
            return 0
        try:
            number = int(value)
        except ValueError:
            raise refused(name, f"{value!r} is not a number") from None
        if not least <= number <= most:
            raise refused(name, f"{number} is not from {least} to {most}")
        return number

    def flag(self, default: bool, *names: str) -> bool:
        name, value = self.text(*names)
        if not value:
            return default
        if value.lower() in _TRUE:
            return True
        if value.lower() in _FALSE:
            return False
        raise refused(name, f"{value!r} is neither true nor false")

    def words(self, *names: str) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.text(*names)[1].split(",") if word.strip())


def read(spec: GuestSpec) -> Wishes:
    """Everything the guest's properties ask for. Raises ``DriverError`` with code ``guest.refused``."""
    reader = Reader(spec.properties)
    for name in NOT_OFFERED:
        if spec.properties.get(name, "").lower() not in _FALSE:
            raise refused(name, "is not offered here")
    return Wishes(_cpu(reader, spec.vcpus), _memory(reader, spec), _devices(reader, spec.vcpus), _boot(reader, spec))


def _cpu(reader: Reader, vcpus: int) -> CpuWish:
    name, model = reader.text("hw:cpu_model", "hw_cpu_model")
    if not all(c.isalnum() or c in "._-" for c in model):
        raise refused(name, f"{model!r} is not a processor model")
    mode = reader.choice(("custom", "host-model", "host-passthrough", "maximum"), "hw:cpu_mode", "hw_cpu_mode")
    if model and mode not in ("", "custom"):
        raise refused(name, f"a model goes with the mode custom, not {mode}")
    if mode == "custom" and not model:
        raise refused("hw:cpu_mode", "the mode custom needs a model")
    flags = reader.words("hw:cpu_model_extra_flags", "hw_cpu_model_extra_flags")
    dedicated = reader.choice(("shared", "dedicated"), "hw:cpu_policy", "hw_cpu_policy") == "dedicated"
    reader.choice(("prefer",), "hw:cpu_thread_policy", "hw_cpu_thread_policy")
    reader.choice(("share",), "hw:emulator_threads_policy")
    pmu = reader.flag(False, "hw:pmu", "hw_pmu") if reader.text("hw:pmu", "hw_pmu")[1] else None
    return CpuWish(
        mode,
        model,
        tuple(flag.removeprefix("+") for flag in flags if not flag.startswith("-")),
        tuple(flag[1:] for flag in flags if flag.startswith("-")),
        _topology(reader, vcpus),
        dedicated,
        reader.number(1, 262144, "quota:cpu_shares"),
        reader.number(1000, 1_000_000, "quota:cpu_period"),
        reader.number(-1, 1 << 40, "quota:cpu_quota"),
        pmu,
    )


def _topology(reader: Reader, vcpus: int) -> tuple[int, int, int] | None:
    """Sockets, cores, threads: what is given is kept, what is left out makes up the rest, sockets first."""
    kinds = ("sockets", "cores", "threads")
    given = {k: reader.number(1, vcpus, f"hw:cpu_{k}", f"hw_cpu_{k}") for k in kinds}
    most = {k: reader.number(1, 1 << 16, f"hw:cpu_max_{k}", f"hw_cpu_max_{k}") or vcpus for k in kinds}
    if not any(given.values()) and all(most[k] >= vcpus for k in kinds):
        return None
    options = [
        (sockets, cores, vcpus // (sockets * cores))
        for sockets in range(1, vcpus + 1)
        for cores in range(1, vcpus // sockets + 1)
        if vcpus % (sockets * cores) == 0
    ]
    fits = [
        option
        for option in options
        if all(given[k] in (0, n) and n <= most[k] for k, n in zip(kinds, option, strict=True))
    ]
    if not fits:
        name = next((f"hw:cpu_{k}" for k in kinds if given[k]), "hw:cpu_max_sockets")
        raise refused(name, f"no sockets, cores and threads of that kind make {vcpus} processors")
    return max(fits)


def _memory(reader: Reader, spec: GuestSpec) -> MemoryWish:
    return MemoryWish(
        _page_size(*reader.text("hw:mem_page_size", "hw_mem_page_size")),
        _cells(reader, spec),
        reader.flag(False, "hw:locked_memory", "hw_locked_memory"),
    )


def _page_size(name: str, value: str) -> str:
    wanted = value.lower()
    if wanted in ("", "small", "large"):
        return wanted
    if wanted == "any":
        return "small"
    digits = wanted.rstrip("kmgib")
    if not digits.isdecimal() or wanted[len(digits) :] not in _PAGE_UNITS:
        raise refused(name, f"{value!r} is not small, large, any, or a size like 2MB")
    return str(int(digits) * _PAGE_UNITS[wanted[len(digits) :]])


def _cells(reader: Reader, spec: GuestSpec) -> tuple[NumaCell, ...]:
    count = reader.number(1, spec.vcpus, "hw:numa_nodes", "hw_numa_nodes")
    if not count:
        return ()
    if reader.text("hw:numa_cpus.0", "hw_numa_cpus.0")[1]:
        return _given_cells(reader, spec, count)
    if spec.vcpus % count or spec.memory_mib % count:
        raise refused("hw:numa_nodes", f"processors and memory cannot be shared evenly among {count} nodes")
    share = spec.vcpus // count
    return tuple(NumaCell(tuple(range(n * share, n * share + share)), spec.memory_mib // count) for n in range(count))


def _given_cells(reader: Reader, spec: GuestSpec, count: int) -> tuple[NumaCell, ...]:
    cells = []
    for n in range(count):
        name, text = reader.text(f"hw:numa_cpus.{n}", f"hw_numa_cpus.{n}")
        memory = reader.number(1, spec.memory_mib, f"hw:numa_mem.{n}", f"hw_numa_mem.{n}")
        if not text or not memory:
            raise refused(name, "every node needs its processors and its memory")
        cells.append(NumaCell(numbers(name, text), memory))
    vcpus = sorted(vcpu for cell in cells for vcpu in cell.vcpus)
    if vcpus != list(range(spec.vcpus)):
        raise refused("hw:numa_cpus.0", f"the nodes do not share out {spec.vcpus} processors, each once")
    if sum(cell.memory_mib for cell in cells) != spec.memory_mib:
        raise refused("hw:numa_mem.0", f"the nodes do not share out {spec.memory_mib} MiB")
    return tuple(cells)


def numbers(name: str, text: str) -> tuple[int, ...]:
    """``0-3,^2,7`` as numbers."""
    taken: set[int] = set()
    dropped: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.removeprefix("^").partition("-")
        last = last if dash else first
        if not first.isdecimal() or not last.isdecimal() or int(last) > 1 << 12:
            raise refused(name, f"{text!r} is not a list of processors")
        (dropped if part.startswith("^") else taken).update(range(int(first), int(last) + 1))
    return tuple(sorted(taken - dropped))


def _devices(reader: Reader, vcpus: int) -> DeviceWish:
    tpm_version = reader.choice(("1.2", "2.0"), "hw:tpm_version", "hw_tpm_version")
    tpm_model = reader.choice(("tpm-tis", "tpm-crb"), "hw:tpm_model", "hw_tpm_model")
    if tpm_version == "1.2" and tpm_model == "tpm-crb":
        raise refused("hw:tpm_model", "tpm-crb goes with version 2.0")
    ram, most_ram = (
        reader.number(1, 1 << 10, "hw_video_ram"),
        reader.number(1, 1 << 10, "hw_video:ram_max_mb"),
    )
    if ram > (most_ram or ram):
        raise refused("hw_video_ram", f"{ram} MiB is more than the flavor's hw_video:ram_max_mb {most_ram}")
    queues = reader.flag(False, "hw:vif_multiqueue_enabled", "hw_vif_multiqueue_enabled")
    return DeviceWish(
        disk_bus=reader.choice(BUSES, "hw_disk_bus"),
        cdrom_bus=reader.choice(BUSES, "hw_cdrom_bus"),
        scsi_model=reader.choice(SCSI_MODELS, "hw_scsi_model"),
        disk_limits=_limits(reader, DISK_LIMITS),
        vif_model=reader.choice(NIC_MODELS, "hw_vif_model"),
        vif_queues=min(vcpus, 256) if queues and vcpus > 1 else 0,
        vif_limits=_bandwidth(reader),
        video_model=reader.choice(VIDEO_MODELS, "hw_video_model"),
        video_ram_mib=ram,
        watchdog=reader.choice(WATCHDOG_ACTIONS, "hw:watchdog_action", "hw_watchdog_action"),
        rng=reader.flag(True, "hw_rng:allowed"),
        rng_bytes=reader.number(1, 1 << 30, "hw_rng:rate_bytes"),
        rng_period=reader.number(1, 1 << 30, "hw_rng:rate_period"),
        tpm_version=tpm_version or ("2.0" if tpm_model else ""),
        tpm_model=tpm_model,
        serial_ports=reader.number(1, 4, "hw:serial_port_count", "hw_serial_port_count") or 1,
        tablet=reader.choice(("usbtablet", "ps2mouse"), "hw_pointer_model") == "usbtablet",
    )


def _bandwidth(reader: Reader) -> tuple[tuple[str, int], ...]:
    limits: tuple[tuple[str, int], ...] = ()
    for way in ("vif_inbound", "vif_outbound"):
        found = _limits(reader, (f"{way}_{what}" for what in ("average", "peak", "burst")))
        if found and found[0][0] != f"{way}_average":
            raise refused(f"quota:{found[0][0]}", f"has no meaning without quota:{way}_average")
        limits += found
    return limits


def _limits(reader: Reader, names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """The ``quota:`` limits that are set."""
    found = ((name, reader.number(0, 1 << 50, f"quota:{name}")) for name in names)
    return tuple((name, value) for name, value in found if value)


def _boot(reader: Reader, spec: GuestSpec) -> BootWish:
    reader.choice(("virtio",), "hw_rng_model")
    secure = reader.choice(("required", "optional", "disabled"), "os:secure_boot", "os_secure_boot") == "required"
    firmware = reader.choice(("bios", "uefi"), "hw_firmware_type")
    if secure and firmware == "bios":
        raise refused("os:secure_boot", "needs UEFI firmware")
    return BootWish(
        machine=_machine(spec.machine or reader.text("hw_machine_type")[1], spec.architecture),
        uefi=spec.firmware == "uefi" or firmware == "uefi" or secure,
        secure_boot=secure,
        menu=reader.flag(False, "hw:boot_menu", "hw_boot_menu"),
        hide_hypervisor=reader.flag(False, "hw:hide_hypervisor_id", "hide_hypervisor_id", "img_hide_hypervisor_id"),
    )


def _machine(value: str, architecture: str) -> str:
    """``q35``, or the entry for ``architecture`` of a list like ``x86_64=q35,aarch64=virt``."""
    if "=" not in value:
        return value
    return dict(part.strip().partition("=")[::2] for part in value.split(",")).get(architecture, "")
