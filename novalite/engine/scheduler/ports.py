"""What a filter and a weigher are. Others may add their own by entry point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from novalite.engine.scheduler.snapshot import HostView, Request


class Filter(Protocol):
    """Answers one question about one host. Filters run by rising ``order``: cheap ones first.
    ``name`` is its entry point's name; operators and faults use it."""

    name: ClassVar[str]
    order: ClassVar[int]

    def reason(self, host: HostView, request: Request) -> str | None:
        """Why the host cannot take the server, in words that follow "because"; None when it passes."""

    def remedy(self, hosts: Sequence[HostView], request: Request) -> str | None:
        """The smallest change that lets one of ``hosts`` (all refused by this filter) pass, as a noun phrase;
        empty when another filter's remedy comes first; None when nothing anybody does would help."""


class Weigher(Protocol):
    """Gives each host a figure; the highest wins. Figures are scaled to 0..1 over the hosts
    that are left, then multiplied by ``multiplier`` and added up."""

    name: ClassVar[str]
    multiplier: ClassVar[float]

    def weigh(self, host: HostView, request: Request) -> float:
        """Any finite number, in any unit."""
