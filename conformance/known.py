"""What the project itself says of failures and of what the suites leave out, compared with what has happened."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.results import Result

FAILURES = Path(__file__).with_name("known_failures.toml")
SKIPS = Path(__file__).with_name("skips.toml")
_BOTH = ("fake", "libvirt")


@dataclass(frozen=True)
class Known:
    """A failure with its reason. ``drivers`` are those it fails with. With ``sometimes`` it may pass, too: it is at
    odds with other tests."""

    test: str
    reason: str
    drivers: tuple[str, ...]
    sometimes: bool = False


@dataclass(frozen=True)
class Skip:
    """Why tests are left out for which a suite says something that ``said`` finds."""

    said: str
    why: str
    drivers: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """``unknown`` failed and are not listed; ``mended`` are listed and passed; ``unexplained`` were left out for
    a reason that nothing here explains."""

    known: tuple[Result, ...]
    unknown: tuple[Result, ...]
    mended: tuple[Known, ...]
    unexplained: tuple[Result, ...]

    @property
    def good(self) -> bool:
        return not (self.unknown or self.mended or self.unexplained)


def load(file: Path = FAILURES) -> list[Known]:
    """Raises ``KeyError`` for an entry without its tests or reason."""
    return [
        Known(test, each["reason"], _drivers(each), bool(each.get("sometimes")))
        for each in _entries(file, "failure")
        for test in each["tests"]
    ]


def load_skips(file: Path = SKIPS) -> list[Skip]:
    """Raises ``KeyError`` for an entry without ``said`` or ``why``."""
    return [Skip(each["said"], each["why"], _drivers(each)) for each in _entries(file, "skip")]


def _entries(file: Path, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(file.read_text()).get(kind, [])
    return found


def _drivers(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(entry.get("drivers", _BOTH))


def judge(results: Sequence[Result], failures: Sequence[Known], skips: Sequence[Skip], driver: str) -> Verdict:
    """Entries match a test by its name without the tags in brackets."""
    expected = {each.test: each for each in failures if driver in each.drivers}
    failed = [each for each in results if each.end == "failed"]
    passed = {plain(each.test) for each in results if each.end == "passed"}
    return Verdict(
        known=tuple(each for each in failed if plain(each.test) in expected),
        unknown=tuple(each for each in failed if plain(each.test) not in expected),
        mended=tuple(entry for name, entry in expected.items() if name in passed and not entry.sometimes),
        unexplained=tuple(each for each in results if each.end == "skipped" and not why(each, skips, driver)),
    )


def why(skipped: Result, skips: Sequence[Skip], driver: str) -> str:
    """The project's own reason; empty when there is none."""
    fit = (each.why for each in skips if driver in each.drivers and re.search(each.said, skipped.reason))
    return next(fit, "")


def plain(test: str) -> str:
    return test.partition("[")[0]
