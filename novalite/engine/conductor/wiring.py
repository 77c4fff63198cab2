"""What a server's flavor and image ask of its network cards: limits and queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from novalite.cloud.compute.servers import Server

_BITS = 8
"""Flavors tell kilobytes, ports kilobits."""


def asked(server: Server) -> dict[str, Any]:
    """As ``Port.wiring`` keeps it: only what is asked for."""
    extra: Mapping[str, str] = server.flavor["extra_specs"]
    rate = {
        f"{side}_{what}": value
        for side, word in (("in", "inbound"), ("out", "outbound"))
        for what, value in _limits(extra, word).items()
    }
    found: dict[str, Any] = {"rate": rate} if rate else {}
    if _queues(server, extra):
        found["queues"] = True
    return found


def _limits(extra: Mapping[str, str], word: str) -> dict[str, int]:
    names = {"kbps": "average", "burst_kb": "burst"}
    texts = {what: str(extra.get(f"quota:vif_{word}_{name}", "")) for what, name in names.items()}
    found = {what: int(text) * _BITS for what, text in texts.items() if text.isdecimal() and int(text)}
    return found if "kbps" in found else {}


def _queues(server: Server, extra: Mapping[str, str]) -> bool:
    image = server.image["properties"]
    wish = extra.get("hw:vif_multiqueue_enabled") or image.get("hw_vif_multiqueue_enabled", "")
    virtio = image.get("hw_vif_model", "virtio") == "virtio"
    return virtio and server.vcpus > 1 and str(wish).lower() in ("true", "yes", "1", "on")
