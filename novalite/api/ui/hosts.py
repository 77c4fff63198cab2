"""Compute hosts in the browser, for administrators: what they have, and how much of it is promised."""

from __future__ import annotations

from dataclasses import dataclass

import flask

from novalite import clock
from novalite.api.ui.formats import mib
from novalite.api.ui.parts import of_app
from novalite.api.ui.sessions import current, guarded
from novalite.cloud.hosts import hosts
from novalite.cloud.hosts.hosts import Host
from novalite.cloud.identity import policy

bp = guarded("hosts")


@dataclass(frozen=True)
class Use:
    """One bar: ``text`` tells what the bar shows."""

    name: str
    used: float
    total: float
    text: str


@dataclass(frozen=True)
class HostView:
    host: Host
    is_up: bool
    uses: tuple[Use, ...]

    @property
    def problem(self) -> str:
        return hosts.problem(self.host)


def _uses(host: Host) -> tuple[Use, ...]:
    vcpus = host.vcpus * host.cpu_ratio
    memory = max(0.0, (host.memory_mib - host.reserved_memory_mib) * host.ram_ratio)
    disk = max(0.0, (host.disk_gib - host.reserved_disk_gib) * host.disk_ratio)
    return (
        Use("vCPUs", host.vcpus_used, vcpus, f"{host.vcpus_used} of {vcpus:g} ({host.vcpus} real)"),
        Use("Memory", host.memory_mib_used, memory, f"{mib(host.memory_mib_used)} of {mib(memory)}"),
        Use("Disk", host.disk_gib_used, disk, f"{host.disk_gib_used} of {disk:g} GiB"),
    )


@bp.get("/hosts")
def index() -> str:
    ctx, down_after = current(), of_app().kit.settings.scheduler.host_down_seconds
    policy.require("os_compute_api:os-hypervisors:list-detail", ctx)
    with of_app().kit.database.read(ctx) as w:
        found = hosts.everyone(w)
    views = [HostView(host, hosts.is_up(host, clock.now(), down_after), _uses(host)) for host in found]
    template = "part_hosts.html" if "HX-Request" in flask.request.headers else "hosts.html"
    return flask.render_template(template, hosts=views)
