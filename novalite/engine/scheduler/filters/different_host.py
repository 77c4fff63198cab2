"""Is the host free of the servers the new one shall be away from?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class DifferentHost:
    name: ClassVar[str] = "different_host"
    order: ClassVar[int] = 71

    def reason(self, host: HostView, request: Request) -> str | None:
        return "runs a server to be away from" if host.name in request.hints.different_host else None

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        return "leaving out the different_host hint"
