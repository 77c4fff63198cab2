"""Regular expressions of callers: only those that are found, or not, in bounded time.

The database runs them in this process (SQLite calls back into ``re``), where one that backtracks for ever would
hold everything else up and could not be stopped.
"""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import sqlalchemy as sa

from novalite.db.work import Work
from novalite.errors import Invalid

LONGEST = 255
_MOST_WAYS = 1 << 17  # about two ``.*`` in a row, over texts of 255 characters
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_PLAIN = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.AT)


_AT_ENDS = re.compile(r"^(?:\.\*)+(?![?*+{])|(?<!\\)(?:\.\*)+$")


_WORD_EDGE = re.compile(r"(?<!\\)((?:\\\\)*)\\([bB])")


def found_in(w: Work, column: Any, name: str, text: str) -> sa.ColumnElement[bool]:
    """Whether ``text`` is found in the column. Raises ``Invalid`` as ``check``."""
    text = check(name, text)
    if w.session.get_bind().dialect.name == "postgresql":  # where \b is a backspace, and \y the edge of a word
        text = _WORD_EDGE.sub(lambda found: f"{found[1]}\\{'y' if found[2] == 'b' else 'Y'}", text)
    matched: sa.ColumnElement[bool] = column.regexp_match(text)
    return matched


def check(name: str, text: str) -> str:
    """A pattern that finds what ``text`` finds: without ``.*`` at its ends, which only costs time. Raises ``Invalid``
    naming the filter ``name`` for what is no regular expression, is too long or could take too long."""
    if len(text) > LONGEST:
        raise Invalid(f"The filter value for {name} is too long.", field=name)
    try:
        re.compile(text)
        text = _AT_ENDS.sub("", text)
        ways = _ways(_parser.parse(text))
    except (re.error, OverflowError, RecursionError) as error:
        raise Invalid(f"Invalid filter value for {name}: not a regular expression: {error}", field=name) from error
    if ways > _MOST_WAYS:
        raise Invalid(f"The filter value for {name} is too complicated: looking for it could take too long.",
                      field=name, hint="Repeat less in it.")  # fmt: skip
    return text


def _ways(items: Any) -> int:
    """In how many ways a text may be split among the items, at most: what backtracking could try at one place."""
    found = 1
    for operator, argument in items:
        found = min(found * _ways_of(operator, argument), _MOST_WAYS + 1)
    return found


def _ways_of(operator: Any, argument: Any) -> int:
    if operator in _PLAIN:
        return 1
    if operator in _REPEATS:
        return _ways_of_repeat(*argument)
    if operator is _constants.BRANCH:
        return sum(_ways(branch) for branch in argument[1])
    if operator is _constants.SUBPATTERN:
        return _ways(argument[-1])
    return _MOST_WAYS + 1  # references to groups, looking around: nobody needs them to find a server


def _ways_of_repeat(least: int, most: int, items: Any) -> int:
    each, most = _ways(items), min(most, LONGEST)
    if each == 1:
        return max(most - least, 0) + 1
    found = 0
    for times in range(least, most + 1):
        found += min(each**times, _MOST_WAYS + 1)
        if found > _MOST_WAYS:
            break
    return max(found, 1)
