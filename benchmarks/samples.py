"""Repeated measurements: their median, their spread, their ratio to a floor."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Samples:
    """Measured values in one unit, in the order they were taken."""

    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the seconds that the block takes."""
        began = time.perf_counter()
        yield
        self.add(time.perf_counter() - began)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def over(self, floor: Samples) -> float:
        """How many times the floor the median is."""
        return self.median / floor.median

    def paired_over(self, floor: Samples) -> float:
        """The same for values taken in pairs, one right after the other: what the machine did meanwhile cancels."""
        return statistics.median(mine / least for mine, least in zip(self.values, floor.values, strict=True))

    def told(self, scale: float = 1.0, digits: int = 1) -> str:
        """``median [lowest .. highest]``, each multiplied by ``scale``."""
        shown = (self.median, min(self.values), max(self.values))
        median, low, high = (f"{value * scale:,.{digits}f}" for value in shown)
        return f"{median} [{low} .. {high}]"


def _nothing() -> None:
    return None


def repeat(times: int, action: Callable[[], object], *, before: Callable[[], object] = _nothing) -> Samples:
    """The seconds each of ``times`` calls took; ``before`` is called before each and not counted."""
    taken = Samples()
    for _ in range(times):
        before()
        with taken.timed():
            action()
    return taken
