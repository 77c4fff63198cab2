"""Prefers hosts that run more of the server group, where it would rather stay together."""

from __future__ import annotations

from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class SoftAffinity:
    name: ClassVar[str] = "soft_affinity"
    multiplier: ClassVar[float] = 10.0  # a user's wish goes before even spreading

    def weigh(self, host: HostView, request: Request) -> float:
        group = request.group
        if group is None or group.policy != "soft-affinity":
            return 0.0
        return float(group.members.get(host.name, 0))
