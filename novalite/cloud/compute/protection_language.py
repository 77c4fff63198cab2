"""The language of protection, ``hourly, keep 24; daily, keep 7``: what is asked for, when it is due, what is kept."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from novalite.errors import Invalid

FREQUENCIES = ("hourly", "daily", "weekly", "monthly")
_RULE = re.compile(r"(hourly|daily|weekly|monthly) *, *keep +([1-9][0-9]{0,2})")
_HINT = "Write it like 'hourly, keep 24; daily, keep 7'; weekly and monthly exist too, and at most 999 are kept."


@dataclass(frozen=True)
class Rule:
    """A copy every hour, day, week or month (``every``), of which the newest ``keep`` stay."""

    every: str
    keep: int


def parse(text: str) -> tuple[Rule, ...]:
    """Raises ``Invalid`` that names the part which is not understood, or which is said twice."""
    rules: list[Rule] = []
    for part in text.split(";"):
        found = _RULE.fullmatch(part.strip(" "))
        if found is None:
            raise _refusal(f"'{part.strip()[:40]}' is not a rule of a protection.")
        if any(rule.every == found[1] for rule in rules):
            raise _refusal(f"'{found[1]}' is said twice.")
        rules.append(Rule(found[1], int(found[2])))
    return tuple(rules)


def _refusal(why: str) -> Invalid:
    return Invalid(
        f"Invalid input for field/attribute schedule. {why}", field="schedule", code="protection.schedule", hint=_HINT
    )


def text(rules: Iterable[Rule]) -> str:
    """The opposite of ``parse``."""
    return "; ".join(f"{rule.every}, keep {rule.keep}" for rule in rules)


def minute_of(resource_id: str) -> int:
    """The minute of the hour at which a resource's copies begin: not all at once."""
    return zlib.crc32(resource_id.encode()) % 60


def next_time(every: str, minute: int, after: datetime) -> datetime:
    """The first time later than ``after``, in UTC: at ``minute`` of each hour; of the first hour of each day, of each
    Monday, of the first day of each month."""
    begin = after.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if every != "hourly":
        begin = begin.replace(hour=0)
    if every == "weekly":
        begin -= timedelta(days=begin.weekday())
    if every == "monthly":
        begin = begin.replace(day=1)
    at = begin + timedelta(minutes=minute)
    return at if at > after else _following(every, begin) + timedelta(minutes=minute)


def _following(every: str, begin: datetime) -> datetime:
    if every == "monthly":
        return (begin + timedelta(days=32)).replace(day=1)
    return begin + {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "weekly": timedelta(weeks=1)}[every]


def superseded(rules: Iterable[Rule], made: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Ids of those copies that no rule keeps. ``made`` are ids, newest first, each with the frequencies it was made
    for; one that was made for two is kept by either."""
    kept: set[str] = set()
    for rule in rules:
        kept.update([id for id, frequencies in made if rule.every in frequencies][: rule.keep])
    return [id for id, _ in made if id not in kept]
