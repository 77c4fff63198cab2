"""Pages of a listing: sort keys, a marker, a limit; cost follows the page, not the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

import sqlalchemy as sa

from novalite.db.work import Work
from novalite.errors import Invalid

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_LIMIT = 1000
_ALL = sa.true()


@dataclass(frozen=True)
class Page:
    """``sort`` holds (key, 'asc' or 'desc'); ``marker`` is the last id seen; limit 0 gives nothing."""

    limit: int = MAX_LIMIT
    marker: str = ""
    sort: tuple[tuple[str, str], ...] = ()


def page_of(
    w: Work,
    query: sa.Select[T],
    record: type[T],
    page: Page,
    keys: Mapping[str, Any],
    *,
    default: Sequence[str],
    identity: Any = None,
    descending: bool = False,
    visible: sa.ColumnElement[bool] = _ALL,
) -> list[T]:
    """The records of ``query`` on ``page``. ``keys`` maps sort keys to columns, ``default`` names the keys
    when none is asked for; ``identity`` is the column the marker names (default: ``record.id``). A marker must
    be ``visible``, even when a filter leaves it out: else it would tell of what others have.

    Raises ``Invalid`` for an unknown sort key or marker.
    """
    identity = identity if identity is not None else record.id  # type: ignore[attr-defined]
    narrowed = narrow(w, query, page, keys, default=default, identity=identity, descending=descending, visible=visible)
    return list(w.session.scalars(narrowed))


def narrow(
    w: Work,
    query: sa.Select[*Ts],
    page: Page,
    keys: Mapping[str, Any],
    *,
    default: Sequence[str],
    identity: Any,
    descending: bool = False,
    visible: sa.ColumnElement[bool] = _ALL,
) -> sa.Select[*Ts]:
    """``query`` cut down to ``page``, in order: what ``page_of`` runs, for queries of chosen columns."""
    wanted = page.sort or tuple((key, "desc" if descending else "asc") for key in default)
    order: list[tuple[Any, bool]] = []
    seen: set[str] = set()
    for key, direction in wanted:
        if key not in keys:
            raise Invalid(f"Unknown sort key: {key[:100]}", field="sort_key")
        if key not in seen:  # the second time it orders nothing
            order.append((keys[key], direction == "desc"))
        seen.add(key)
    order.append((identity, order[-1][1] if order else False))
    if page.marker:
        query = query.where(_after(w, page.marker, identity, order, visible))
    query = query.order_by(*(_ordered(column, down) for column, down in order))
    return query.limit(min(page.limit, MAX_LIMIT))


def _may_be_null(column: Any) -> bool:
    return bool(getattr(column, "nullable", True))


def _ordered(column: Any, down: bool) -> Any:
    if not _may_be_null(column):
        return column.desc() if down else column.asc()
    return column.desc().nulls_last() if down else column.asc().nulls_first()


def _after(w: Work, marker: str, identity: Any, order: list[tuple[Any, bool]], visible: sa.ColumnElement[bool]) -> Any:
    row = w.session.execute(sa.select(*(column for column, _ in order)).where(identity == marker, visible)).first()
    if row is None:
        raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
    directions = {down for _, down in order}
    if len(directions) == 1 and not any(_may_be_null(column) for column, _ in order):
        columns, values = sa.tuple_(*(column for column, _ in order)), sa.tuple_(*row)
        return columns < values if directions.pop() else columns > values  # one range of an index
    tests = []
    for depth, (column, down) in enumerate(order):
        equal = [_same(order[i][0], row[i]) for i in range(depth)]
        tests.append(sa.and_(*equal, _beyond(column, row[depth], down)))
    return sa.or_(*tests)


def _same(column: Any, value: Any) -> Any:
    return column.is_(None) if value is None else column == value


def _beyond(column: Any, value: Any, down: bool) -> Any:
    # NULL sorts before every value: the first in ascending order, the last in descending.
    if value is None:
        return sa.false() if down else column.is_not(None)
    if down and _may_be_null(column):
        return sa.or_(column < value, column.is_(None))
    return column < value if down else column > value
