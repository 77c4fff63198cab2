"""Has the host as many vCPUs left, by its allocation ratio?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.filters._room import shortage, smaller_flavor
from novalite.engine.scheduler.snapshot import HostView, Request

_UNIT = "vCPUs"


class Cpu:
    name: ClassVar[str] = "cpu"
    order: ClassVar[int] = 60

    def reason(self, host: HostView, request: Request) -> str | None:
        needed = request.vcpus
        return shortage(needed=needed, free=host.vcpus_free, total=host.vcpus_total, unit=_UNIT) if needed else None

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        room = max(min(host.vcpus_free, host.vcpus_total) for host in hosts)
        total = max(host.vcpus_total for host in hosts)
        return smaller_flavor(needed=request.vcpus, room=room, total=total, unit=_UNIT)
