"""A number that changes whenever somebody loses a right: whoever caches answers compares it."""

from __future__ import annotations

import itertools

import sqlalchemy as sa

from novalite.cloud.identity.records import Token
from novalite.db.work import Work

_counter = itertools.count(1)
_epoch = 0


def epoch() -> int:
    """The number now. It lives in this process, and only ever grows."""
    return _epoch


def _bump() -> None:
    global _epoch
    _epoch = next(_counter)


def announce(w: Work) -> None:
    """Make cached answers stale once the unit is committed."""
    w.after_commit(_bump)


def end_tokens(w: Work, *where: sa.ColumnElement[bool]) -> int:
    """End every token that fits; how many there were. Nothing that was cached outlives the commit."""
    announce(w)
    return w.changed(sa.delete(Token).where(*where))
