"""Is it the host that was asked for, and not one already tried in vain?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class AllowedHost:
    name: ClassVar[str] = "allowed_host"
    order: ClassVar[int] = 20

    def reason(self, host: HostView, request: Request) -> str | None:
        why = request.excluded_hosts.get(host.name)
        if why is not None:
            return why or "excluded"
        if request.forced_host and host.name != request.forced_host:
            return f"host {request.forced_host} was asked for"
        return None

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        if any(host.name not in request.excluded_hosts for host in hosts):
            return f"not asking for host {request.forced_host}"
        return None
