"""Moments as callers write them."""

from __future__ import annotations

from datetime import UTC, datetime


def parse(text: str) -> datetime:
    """An ISO 8601 moment in UTC, which it is taken for when it names no zone. Raises ``ValueError``, also for one
    that no calendar in UTC has."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error
