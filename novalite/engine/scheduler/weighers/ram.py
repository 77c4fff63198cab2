"""Prefers hosts with more memory free."""

from __future__ import annotations

from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class Ram:
    name: ClassVar[str] = "ram"
    multiplier: ClassVar[float] = 1.0

    def weigh(self, host: HostView, request: Request) -> float:
        return float(host.memory_mib_free)
