"""Is the host in the availability zone that was asked for?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class AvailabilityZone:
    name: ClassVar[str] = "availability_zone"
    order: ClassVar[int] = 30

    def reason(self, host: HostView, request: Request) -> str | None:
        if request.zone and host.zone != request.zone:
            return f"in availability zone {host.zone}, asked for {request.zone}"
        return None

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        return f"availability zone {min(host.zone for host in hosts)}"
