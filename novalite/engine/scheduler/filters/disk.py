"""Has the host as much disk left, by its allocation ratio and without its reserve, and by what it measures?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.filters._room import shortage, smaller_flavor
from novalite.engine.scheduler.snapshot import HostView, Request

_UNIT = "GiB of disk"


class Disk:
    name: ClassVar[str] = "disk"
    order: ClassVar[int] = 62

    def reason(self, host: HostView, request: Request) -> str | None:
        needed = request.disk_gib
        if not needed:
            return None
        why = shortage(needed=needed, free=host.disk_gib_free, total=host.disk_gib_total, unit=_UNIT)
        measured = host.disk_gib_left is not None and host.disk_gib_left < needed
        return f"{why}: {host.disk_measured}" if why and measured else why

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        room = max(min(host.disk_gib_free, host.disk_gib_total) for host in hosts)
        total = max(host.disk_gib_total for host in hosts)
        return smaller_flavor(needed=request.disk_gib, room=room, total=total, unit=_UNIT)
