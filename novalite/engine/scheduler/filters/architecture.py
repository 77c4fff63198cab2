"""Does the host run the architecture that the image was made for?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from novalite.engine.scheduler.snapshot import HostView, Request

_ALIASES = {
    "amd64": "x86_64",
    "x64": "x86_64",
    "arm64": "aarch64",
    "i386": "i686",
    "i486": "i686",
    "i586": "i686",
    "x86": "i686",
}


class Architecture:
    name: ClassVar[str] = "architecture"
    order: ClassVar[int] = 40

    def reason(self, host: HostView, request: Request) -> str | None:
        wanted = _wanted(request)
        if not wanted or wanted == host.architecture or (wanted == "i686" and host.architecture == "x86_64"):
            return None
        return f"{host.architecture}, needs {wanted}"

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        return f"an image for {min(host.architecture for host in hosts)}"


def _wanted(request: Request) -> str:
    properties = request.image_properties
    given = request.architecture or properties.get("hw_architecture") or properties.get("architecture") or ""
    return _ALIASES.get(given.lower(), given.lower())
