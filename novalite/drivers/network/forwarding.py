"""Lets the machine route what comes in on its uplinks, and remembers where that was a change."""

from __future__ import annotations

from pathlib import Path

from novalite import logs
from novalite.drivers.network import links
from novalite.drivers.network.dnsmasq import write_file

_log = logs.get("network")


class Uplinks:
    """``record`` lists the links whose switch was set. Not thread-safe."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def forward(self) -> None:
        """Answers from the outside find their way to guests."""
        for link in links.uplinks():
            if links.forward(link):
                before = self._record.read_text().split() if self._record.exists() else []
                write_file(self._record, "".join(f"{name}\n" for name in dict.fromkeys([*before, link])))
                _log.info("the machine now routes what comes in on a link", link=link)

    def restore(self) -> None:
        """As it was before, unless another appliance needs it."""
        if self._record.exists() and not links.any_bridge_left():
            present = set(links.uplinks())
            for link in self._record.read_text().split():
                if link in present:
                    links.forward(link, on=False)
