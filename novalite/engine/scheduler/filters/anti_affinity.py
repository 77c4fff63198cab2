"""Does the host run fewer of the server group's members than may share a host?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class AntiAffinity:
    name: ClassVar[str] = "anti_affinity"
    order: ClassVar[int] = 81

    def reason(self, host: HostView, request: Request) -> str | None:
        group = request.group
        if group is None or group.policy != "anti-affinity":
            return None
        members = group.members.get(host.name, 0)
        if members < group.max_per_host:
            return None
        return f"runs {members} of the server group, {group.max_per_host} may share a host"

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        return "another host, or a server group with the policy soft-anti-affinity"
