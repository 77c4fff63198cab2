"""What extra specs of flavors may be called and hold, from microversion 2.86 on: names of known families are known,
and their values make sense. Names without a family, or of families of somebody else, are anybody's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from novalite.errors import Invalid

_TRUTHS = ("1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no")
_CPUS = r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"
_GROUP = r"([a-zA-Z0-9_-]{1,64})?"
_OURS = (
    r"accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|vmware|novalite"
    rf"|resources{_GROUP}|trait{_GROUP}"
)


@dataclass(frozen=True)
class _Truth:
    def why_not(self, value: str) -> str:
        return "" if value.strip().lower() in _TRUTHS else f"'{value}' is not a valid boolean-like value."


@dataclass(frozen=True)
class _Whole:
    least: int | None = None
    most: int | None = None

    def why_not(self, value: str) -> str:
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
            return f"'{value}' is not a valid integer value."
        if self.least is not None and int(value) < self.least:
            return f"'{value}' is less than the min value of '{self.least}'."
        if self.most is not None and int(value) > self.most:
            return f"'{value}' is greater than the max value of '{self.most}'."
        return ""


@dataclass(frozen=True)
class _Choice:
    values: tuple[str, ...]

    def why_not(self, value: str) -> str:
        return "" if value in self.values else f"'{value}' is not one of: {', '.join(self.values)}."


@dataclass(frozen=True)
class _Text:
    pattern: str = r"(?s).*"

    def why_not(self, value: str) -> str:
        return "" if re.fullmatch(self.pattern, value) else f"'{value}' is not of the format '{self.pattern}'."


_Rule = _Truth | _Whole | _Choice | _Text


def _choice(words: str) -> _Choice:
    return _Choice(tuple(words.split()))


_TRUTH, _TEXT, _ONE_UP, _ZERO_UP = _Truth(), _Text(), _Whole(1), _Whole(0)
_RULES: tuple[tuple[str, _Rule], ...] = (
    (r"hw:(cpu_realtime|hide_hypervisor_id|locked_memory|boot_menu|vif_multiqueue_enabled|mem_encryption|pmu"
     r"|virtio_packed_ring|ephemeral_encryption)", _TRUTH),
    (r"hw:cpu_realtime_mask", _Text(r"(\^)?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*")),
    (r"hw:(cpu_dedicated_mask|numa_cpus\.\d+)", _Text(_CPUS)),
    (r"hw:cpu_policy", _choice("dedicated shared mixed")),
    (r"hw:cpu_thread_policy", _choice("prefer isolate require")),
    (r"hw:emulator_threads_policy", _choice("isolate share")),
    (r"hw:mem_page_size", _Text(r"(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)")),
    (r"hw:(numa_nodes|numa_mem\.\d+|cpu_(max_)?(sockets|cores|threads))", _ONE_UP),
    (r"hw:pci_numa_affinity_policy", _choice("required preferred legacy socket")),
    (r"hw:serial_port_count", _ZERO_UP),
    (r"hw:redirected_usb_ports", _Whole(0, 15)),
    (r"hw:mem_encryption_model", _choice("amd-sev amd-sev-es amd-sev-snp")),
    (r"hw:pmem", _Text(r"([a-zA-Z0-9_]+(,)?)+")),
    (r"hw:tpm_model", _choice("tpm-tis tpm-crb")),
    (r"hw:tpm_version", _choice("1.2 2.0")),
    (r"hw:tpm_secret_security", _choice("user host deployment")),
    (r"hw:watchdog_action", _choice("none pause poweroff reset disabled")),
    (r"hw:viommu_model", _choice("intel smmuv3 virtio auto")),
    (r"hw:sound_model", _choice("sb16 es1370 pcspk ac97 ich6 ich9 usb virtio")),
    (r"hw:usb_model", _choice("none qemu-xhci piix3-uhci")),
    (r"hw:ephemeral_encryption_format", _choice("plain luks luksv2")),
    (r"hw:cpu_mode", _choice("custom host-model host-passthrough maximum")),
    (r"hw:(cpu_model|cpu_model_extra_flags)", _TEXT),
    (r"hw_rng:allowed", _TRUTH),
    (r"hw_rng:(rate_bytes|rate_period)", _ZERO_UP),
    (r"hw_video:ram_max_mb", _ZERO_UP),
    (r"os:secure_boot", _choice("disabled required")),
    (r"quota:(cpu|memory|disk_io|vif)_limit", _ZERO_UP),
    (r"quota:((cpu|memory|disk_io|vif)_reservation|cpu_quota)", _Whole()),
    (r"quota:(cpu|memory|disk_io|vif)_shares_level", _choice("custom high normal low")),
    (r"quota:(cpu|memory|disk_io|vif)_shares_share", _ZERO_UP),
    (r"quota:(cpu_shares|cpu_period)", _ZERO_UP),
    (r"quota:disk_(read|write|total)_(bytes|iops)_sec", _ZERO_UP),
    (r"quota:vif_(inbound|outbound)_(average|peak|burst)", _ZERO_UP),
    (r"accel:device_profile", _TEXT),
    (r"aggregate_instance_extra_specs:.+", _TEXT),
    (r"capabilities:\w+(:\w+)*", _TEXT),
    (r"pci_passthrough:alias", _Text(r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*")),
    (rf"resources{_GROUP}:[A-Z0-9_]+", _Whole()),
    (rf"trait{_GROUP}:[A-Z0-9_]+", _choice("required forbidden")),
    (r"vmware:(hw_version|storage_policy)", _TEXT),
    (r"novalite:on_crash", _choice("destroy restart")),
    (r"hide_hypervisor_id", _TRUTH),
    (r"group_policy", _choice("isolate none")),
)  # fmt: skip


def check(name: str, value: str) -> None:
    """Raises ``Invalid`` that names the extra spec."""
    for pattern, rule in _RULES:
        if re.fullmatch(pattern, name):
            if why := rule.why_not(value):
                raise Invalid(f"Validation failed; {why}", field=name)
            return
    family, colon, _ = name.partition(":")
    if colon and re.fullmatch(_OURS, family):
        raise Invalid(f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec.", field=name)
