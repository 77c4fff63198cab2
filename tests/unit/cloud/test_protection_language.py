"""The language of protection: what it says, when it is due, what is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from novalite.cloud.compute.protection_language import Rule, minute_of, next_time, parse, superseded, text
from novalite.errors import Invalid


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("hourly, keep 24; daily, keep 7", (Rule("hourly", 24), Rule("daily", 7))),
        ("weekly,keep 1;monthly ,  keep 999", (Rule("weekly", 1), Rule("monthly", 999))),
        ("  daily, keep 7 ", (Rule("daily", 7),)),
    ],
)
def test_what_is_understood(written: str, rules: tuple[Rule, ...]) -> None:
    assert parse(written) == rules
    assert parse(text(rules)) == rules


@pytest.mark.parametrize(
    "written",
    ["", ";", "hourly", "hourly, keep 0", "hourly, keep 1000", "hourly, keep -1", "hourly, keep 1.5", "keep 24",
     "yearly, keep 1", "Hourly, keep 1", "hourly, keep 24;", "hourly, keep 24; hourly, keep 3", "hourly keep 24",
     "hourly, keep ٣", "hourly, keep 24\n", "hourly,\nkeep 24", "hourly, keep 24 daily, keep 7"],
)  # fmt: skip
def test_what_is_refused(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(written)
    assert refused.value.field == "schedule"


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "after", "at"),
    [
        ("hourly", "2026-11-28T10:16:59", "2026-11-28T10:17"),
        ("hourly", "2026-11-28T10:17", "2026-11-28T11:17"),
        ("hourly", "2026-12-31T23:30", "2027-01-01T00:17"),
        ("daily", "2026-11-28T00:00", "2026-11-28T00:17"),
        ("daily", "2026-02-28T12:00", "2026-03-01T00:17"),
        ("weekly", "2026-11-28T10:00", "2026-11-30T00:17"),
        ("weekly", "2026-11-30T00:16", "2026-11-30T00:17"),
        ("weekly", "2026-11-30T00:17", "2026-12-07T00:17"),
        ("monthly", "2026-11-28T10:00", "2026-12-01T00:17"),
        ("monthly", "2026-12-01T00:17", "2027-01-01T00:17"),
        ("monthly", "2028-01-31T23:59", "2028-02-01T00:17"),
    ],
)
def test_the_next_time(every: str, after: str, at: str) -> None:
    assert next_time(every, 17, _utc(after)) == _utc(at)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_clocks_that_are_put_forward_or_back_change_nothing(day: str) -> None:
    """Every hour of the day comes once, whatever the zone of the time that is asked with."""
    berlin = ZoneInfo("Europe/Berlin")
    at = start = _utc(f"{day}T00:00")
    found = []
    while at < start + timedelta(hours=6):
        at = next_time("hourly", 5, at.astimezone(berlin))
        found.append(at)
    assert [later - earlier for earlier, later in pairwise(found)] == [timedelta(hours=1)] * 6
    assert next_time("daily", 5, datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=berlin)) == (
        start + timedelta(days=1, minutes=5)
    )


def test_resources_are_spread_over_the_hour() -> None:
    minutes = {minute_of(f"0000000{number}-0000-0000-0000-000000000000") for number in range(10)}
    assert len(minutes) > 5
    assert minutes <= set(range(60))


def test_a_copy_is_kept_by_any_rule_it_was_made_for() -> None:
    rules = (Rule("hourly", 2), Rule("daily", 2))
    made = [
        ("h4", ["hourly"]), ("d2", ["hourly", "daily"]), ("h2", ["hourly"]), ("d1", ["hourly", "daily"]),
        ("d0", ["daily"]), ("w0", ["weekly"]),
    ]  # fmt: skip
    assert superseded(rules, made) == ["h2", "d0", "w0"]
    assert superseded(rules, made[:2]) == []
