"""Prefers hosts with more vCPUs free."""

from __future__ import annotations

from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class Cpu:
    name: ClassVar[str] = "cpu"
    multiplier: ClassVar[float] = 1.0

    def weigh(self, host: HostView, request: Request) -> float:
        return float(host.vcpus_free)
