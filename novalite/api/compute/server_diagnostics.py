"""Live figures of a running server, as its host tells them."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT, RULE
from novalite.api.kit.answers import (
    FLAG,
    TEXT,
    TEXT_OR_NULL,
    WHOLE,
    WHOLE_OR_NULL,
    Told,
    array,
    mapping,
    record,
)
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import servers, states
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.cloud.network import port_views
from novalite.drivers.compute.base import Diagnostics, Power
from novalite.drivers.network.base import tap_name
from novalite.errors import Conflict, DriverError

_STATE = {
    Power.RUNNING: "running", Power.PAUSED: "paused", Power.OFF: "shutdown", Power.CRASHED: "crashed",
    Power.SUSPENDED: "suspended", Power.ABSENT: "pending",
}  # fmt: skip
_DISK = ("read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count")
_CARD = ("octets", "packets", "errors", "drop")
_KIB_PER_MIB = 1024


def _refused(server_id: str, what: str) -> Conflict:
    return Conflict(f"Cannot 'get_diagnostics' instance {server_id} while it is in {what}", code="server.state")


def _asked(call: Call) -> tuple[Server, str, dict[str, str], Diagnostics]:
    """The server, the driver's name, its taps by MAC address, the figures. The host is asked outside any unit."""
    with call.parts.database.read(call.ctx) as w:
        server = servers.get(w, call.path["server_id"])
        if not server.host:
            raise Conflict(f"Instance {server.id} is not ready", code="server.state")
        kind = str(hosts.by_name(w, server.host).report.get("virt_type", ""))
        taps = {view.mac_address: tap_name(view.port_id) for view in port_views.of_device(w, server.id)}
    if server.power_state not in (states.RUNNING, states.POWER_PAUSED):
        raise _refused(server.id, f"power state {server.power_state}")
    try:
        figures = call.parts.links.driver(server.host).diagnostics(server.id)
    except DriverError as error:
        if error.code in ("guest.state", "guest.not_found"):
            raise _refused(server.id, f"vm_state {server.vm_state}") from error
        raise
    return server, kind, taps, figures


def show_old(call: Call) -> dict[str, Any]:
    """Flat: each figure under a name that begins with its device. Memory in KiB."""
    _, _, taps, figures = _asked(call)
    shown: dict[str, Any] = {f"cpu{index}_time": spent for index, spent in enumerate(figures.cpu_times_ns)}
    shown["memory"] = figures.memory_maximum_mib * _KIB_PER_MIB
    shown["memory-used"] = figures.memory_used_mib * _KIB_PER_MIB
    for disk in figures.disks:
        names = ("read", "read_req", "write", "write_req", "errors")
        for name, key in zip(names, _DISK, strict=True):
            shown[f"{disk['device']}_{name}"] = disk[key]
    for card in figures.nics:
        device = taps.get(str(card["mac_address"]), str(card["mac_address"]))
        for way in ("rx", "tx"):
            shown[f"{device}_{way}"] = card[f"{way}_octets"]
            shown |= {f"{device}_{way}_{name}": card[f"{way}_{name}"] for name in _CARD[1:]}
    return shown


def _card(card: dict[str, int | str]) -> dict[str, Any]:
    ways = {f"{way}_{name}": card[f"{way}_{name}"] for way in ("rx", "tx") for name in _CARD}
    return {"mac_address": card["mac_address"], **ways, "rx_rate": None, "tx_rate": None}


def show(call: Call) -> dict[str, Any]:
    server, kind, _, figures = _asked(call)
    return {
        "state": _STATE[figures.power], "driver": _DRIVER, "hypervisor": kind or None, "hypervisor_os": "linux",
        "uptime": figures.uptime_seconds, "config_drive": server.config_drive,
        "num_cpus": len(figures.cpu_times_ns), "num_nics": len(figures.nics), "num_disks": len(figures.disks),
        "memory_details": {"maximum": figures.memory_maximum_mib, "used": figures.memory_used_mib},
        "cpu_details": [
            {"id": index, "time": spent, "utilisation": None} for index, spent in enumerate(figures.cpu_times_ns)
        ],
        "disk_details": [{key: disk[key] for key in _DISK} for disk in figures.disks],
        "nic_details": [_card(card) for card in figures.nics],
    }  # fmt: skip


_DRIVER = "libvirt"
"""The API has no word for simulated guests; Nova's own simulation says the same."""
_FIGURES = dict.fromkeys(_DISK, WHOLE_OR_NULL)
_NIC = {f"{way}_{name}": WHOLE_OR_NULL for way in ("rx", "tx") for name in (*_CARD, "rate")}
_TOLD = Told(whole=record({
    "state": TEXT, "driver": TEXT, "hypervisor": TEXT_OR_NULL, "hypervisor_os": TEXT_OR_NULL,
    "uptime": WHOLE_OR_NULL, "config_drive": FLAG, "num_cpus": WHOLE, "num_nics": WHOLE, "num_disks": WHOLE,
    "memory_details": record({"maximum": WHOLE_OR_NULL, "used": WHOLE_OR_NULL}),
    "cpu_details": array(record({"id": WHOLE_OR_NULL, "time": WHOLE_OR_NULL, "utilisation": WHOLE_OR_NULL})),
    "disk_details": array(record(_FIGURES)), "nic_details": array(record({"mac_address": TEXT, **_NIC})),
}))  # fmt: skip
_PATH = f"{ROOT}/servers/{{server_id}}/diagnostics"
_RULE = RULE + "os-server-diagnostics"
ROUTES = [
    Route("GET", _PATH, show_old, rule=_RULE, view=Told(whole=mapping(WHOLE_OR_NULL)), until="2.47"),
    Route("GET", _PATH, show, rule=_RULE, view=_TOLD, since="2.48"),
]
