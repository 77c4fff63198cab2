"""Finds filters and weighers by entry point, so that other packages can add theirs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from novalite.engine.scheduler.ports import Filter, Weigher
from novalite.errors import Invalid

FILTERS = "novalite.scheduler.filters"
WEIGHERS = "novalite.scheduler.weighers"


def load_filters(names: Sequence[str] = ()) -> tuple[Filter, ...]:
    """The named filters in that order; without names all that are installed, by their own ``order``.

    Raises ``Invalid`` naming a filter that is not installed.
    """
    found: list[Filter] = _load(FILTERS, names, "filter")
    return tuple(found) if names else tuple(sorted(found, key=lambda each: (each.order, each.name)))


def load_weighers(names: Sequence[str] = ()) -> tuple[Weigher, ...]:
    """The named weighers, or all. Raises ``Invalid`` naming one that is not installed."""
    found: list[Weigher] = _load(WEIGHERS, names, "weigher")
    return tuple(sorted(found, key=lambda each: each.name))


def _load(group: str, names: Sequence[str], noun: str) -> list[Any]:
    installed = {point.name: point for point in entry_points(group=group)}
    for name in names:
        if name not in installed:
            raise Invalid(
                f"There is no scheduler {noun} {name}.",
                field=f"scheduler.{noun}s",
                hint=f"Installed are: {', '.join(sorted(installed)) or 'none'}.",
            )
    return [installed[name].load()() for name in names or installed]
