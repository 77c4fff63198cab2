"""Takes away what an appliance with real guests leaves running on purpose: domains, bridges, DHCP, rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import libvirt

from novalite.drivers.compute.libvirt.guest import Names
from novalite.drivers.network.linux import RUN_DIR, LinuxNetworkDriver


def remove(state_dir: Path) -> None:
    """Everything of the appliance of ``state_dir``, which must not run any more."""
    file = state_dir / "appliance-id"
    if not file.exists():
        return
    appliance_id = file.read_text().strip()
    _remove_domains(Names(appliance_id).prefix)
    networks = LinuxNetworkDriver(appliance_id)
    for entry in list((RUN_DIR / appliance_id).glob("*/network.json")):
        networks.remove_network(entry.parent.name)
    for entry in list((RUN_DIR / appliance_id / "routers").glob("*/router.json")):
        networks.remove_router(entry.parent.name)
    networks.close()


def _remove_domains(prefix: str) -> None:
    connection = libvirt.open("qemu:///system")
    try:
        for domain in connection.listAllDomains():
            if domain.name().startswith(prefix):
                remove_domain(domain)
    finally:
        connection.close()


def remove_domain(domain: Any) -> None:
    if domain.isActive():
        domain.destroy()
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
