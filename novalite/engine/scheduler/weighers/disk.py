"""Prefers hosts with more disk free."""

from __future__ import annotations

from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class Disk:
    name: ClassVar[str] = "disk"
    multiplier: ClassVar[float] = 1.0

    def weigh(self, host: HostView, request: Request) -> float:
        return float(host.disk_gib_free)
