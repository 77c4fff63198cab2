"""Is the host enabled, and does it report?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class Alive:
    name: ClassVar[str] = "alive"
    order: ClassVar[int] = 10

    def reason(self, host: HostView, request: Request) -> str | None:
        if not host.enabled:
            return f"disabled: {host.disabled_reason}" if host.disabled_reason else "disabled"
        return None if host.alive else "down, it does not report"

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        return f"bringing back host {hosts[0].name}"
