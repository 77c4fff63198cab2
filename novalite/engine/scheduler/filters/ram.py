"""Has the host as much memory left, by its allocation ratio and without its reserve?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.filters._room import shortage, smaller_flavor
from novalite.engine.scheduler.snapshot import HostView, Request

_UNIT = "MiB of memory"


class Ram:
    name: ClassVar[str] = "ram"
    order: ClassVar[int] = 61

    def reason(self, host: HostView, request: Request) -> str | None:
        needed = request.memory_mib
        return (
            shortage(needed=needed, free=host.memory_mib_free, total=host.memory_mib_total, unit=_UNIT)
            if needed
            else None
        )

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        room = max(min(host.memory_mib_free, host.memory_mib_total) for host in hosts)
        total = max(host.memory_mib_total for host in hosts)
        return smaller_flavor(needed=request.memory_mib, room=room, total=total, unit=_UNIT)
