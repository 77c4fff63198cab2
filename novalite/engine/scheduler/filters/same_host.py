"""Is the host one that runs a server the new one shall be beside?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class SameHost:
    name: ClassVar[str] = "same_host"
    order: ClassVar[int] = 70

    def reason(self, host: HostView, request: Request) -> str | None:
        wanted = request.hints.same_host
        return "runs none of the servers to be beside" if wanted is not None and host.name not in wanted else None

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        return "leaving out the same_host hint"
