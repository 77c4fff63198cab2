"""Prefers hosts with fewer servers."""

from __future__ import annotations

from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class ServerCount:
    name: ClassVar[str] = "server_count"
    multiplier: ClassVar[float] = 1.0

    def weigh(self, host: HostView, request: Request) -> float:
        return float(-host.server_count)
