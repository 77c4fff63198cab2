"""The project's own list of failures with their reasons, compared with what has happened."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.results import Result

FILE = Path(__file__).with_name("known_failures.toml")


@dataclass(frozen=True)
class Known:
    """One entry. ``drivers`` are those it fails with."""

    test: str
    reason: str
    drivers: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """``unknown`` failed and are not listed; ``mended`` are listed and passed."""

    known: tuple[Result, ...]
    unknown: tuple[Result, ...]
    mended: tuple[Known, ...]

    @property
    def good(self) -> bool:
        return not self.unknown and not self.mended


def load(file: Path = FILE) -> list[Known]:
    """Raises ``KeyError`` for an entry without its test or reason."""
    entries = tomllib.loads(file.read_text()).get("failure", [])
    return [Known(each["test"], each["reason"], tuple(each.get("drivers", ("fake", "libvirt")))) for each in entries]


def judge(results: Sequence[Result], listed: Sequence[Known], driver: str) -> Verdict:
    """Entries match a test by its name without the tags in brackets."""
    expected = {each.test: each for each in listed if driver in each.drivers}
    failed = [each for each in results if each.end == "failed"]
    passed = {plain(each.test) for each in results if each.end == "passed"}
    return Verdict(
        known=tuple(each for each in failed if plain(each.test) in expected),
        unknown=tuple(each for each in failed if plain(each.test) not in expected),
        mended=tuple(entry for name, entry in expected.items() if name in passed),
    )


def plain(test: str) -> str:
    return test.partition("[")[0]
