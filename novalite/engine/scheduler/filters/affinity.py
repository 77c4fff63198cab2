"""Does the host already run the server group's members, where the group must stay together?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request


class Affinity:
    name: ClassVar[str] = "affinity"
    order: ClassVar[int] = 80

    def reason(self, host: HostView, request: Request) -> str | None:
        group = request.group
        if group is None or group.policy != "affinity" or not any(group.members.values()):
            return None
        return None if group.members.get(host.name) else "the server group is on another host"

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        return "a server group with the policy soft-affinity"
