"""Listings of volumes, snapshots and attachments: who sees what, filters, pages."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from novalite.cloud.volume.records import Snapshot, Volume, VolumeAttachment, VolumeType
from novalite.db.paging import Page, narrow
from novalite.db.work import Work
from novalite.errors import NotFound

T = TypeVar("T", Volume, Snapshot, VolumeAttachment)

VOLUME_SORT_KEYS: Mapping[str, Any] = {
    "id": Volume.id,
    "name": Volume.name,
    "display_name": Volume.name,
    "status": Volume.status,
    "size": Volume.size_gib,
    "availability_zone": Volume.availability_zone,
    "bootable": Volume.bootable,
    "created_at": Volume.created_at,
    "updated_at": Volume.updated_at,
    "project_id": Volume.project_id,
}
SNAPSHOT_SORT_KEYS: Mapping[str, Any] = {
    "id": Snapshot.id,
    "name": Snapshot.name,
    "display_name": Snapshot.name,
    "status": Snapshot.status,
    "volume_id": Snapshot.volume_id,
    "volume_size": Snapshot.size_gib,
    "created_at": Snapshot.created_at,
    "updated_at": Snapshot.updated_at,
    "project_id": Snapshot.project_id,
}
ATTACHMENT_SORT_KEYS: Mapping[str, Any] = {
    "id": VolumeAttachment.id,
    "created_at": VolumeAttachment.created_at,
    "attach_status": VolumeAttachment.status,
    "volume_id": VolumeAttachment.volume_id,
}
_SORT_KEYS: Mapping[type, Mapping[str, Any]] = {
    Volume: VOLUME_SORT_KEYS,
    Snapshot: SNAPSHOT_SORT_KEYS,
    VolumeAttachment: ATTACHMENT_SORT_KEYS,
}
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
}
_KEY = re.compile(r"[A-Za-z0-9_:. -]{1,255}")


@dataclass(frozen=True)
class Filters:
    """``equal`` maps attributes of the record to values, ``like`` to parts of texts; ``metadata`` and
    ``image_metadata`` must all be there; ``times`` holds (attribute, comparison, moment)."""

    all_projects: bool = False
    equal: Mapping[str, Any] = field(default_factory=dict)
    like: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    image_metadata: Mapping[str, str] = field(default_factory=dict)
    type: str = ""
    times: Sequence[tuple[str, str, datetime]] = ()


def _visible(w: Work, record: Any, filters: Filters) -> sa.ColumnElement[bool]:
    if filters.all_projects and w.ctx.is_admin:
        return sa.true()
    mine: sa.ColumnElement[bool] = record.project_id == w.ctx.project_id
    return mine


def _having(column: Any, items: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    return [column[key].as_string() == value if _KEY.fullmatch(key) else sa.false() for key, value in items.items()]


def _selection(w: Work, record: Any, filters: Filters) -> sa.Select[Any]:
    where = [_visible(w, record, filters)]
    where += [getattr(record, name) == value for name, value in filters.equal.items()]
    where += [getattr(record, name).contains(part, autoescape=True) for name, part in filters.like.items()]
    where += [_COMPARE[how](getattr(record, name), moment) for name, how, moment in filters.times]
    if filters.metadata:
        where += _having(record.metadata_items, filters.metadata)
    if filters.image_metadata:
        where += _having(record.image_metadata, filters.image_metadata)
    if filters.type:
        named = sa.select(VolumeType.id).where(sa.or_(VolumeType.name == filters.type, VolumeType.id == filters.type))
        where.append(record.type_id.in_(named))
    return sa.select(record).where(*where)


def page_of(w: Work, record: type[T], filters: Filters, page: Page, *, offset: int = 0) -> list[T]:
    """A page of ``record``, newest first unless the page says otherwise. Raises ``Invalid`` (sort key) and
    ``NotFound`` (marker)."""
    if page.marker and not _is_there(w, record, page.marker):
        raise NotFound("marker", page.marker, message=f"Marker {page.marker[:100]} could not be found.")
    query = narrow(
        w, _selection(w, record, filters), page, _SORT_KEYS[record], default=("created_at",), identity=record.id,
        descending=True, visible=_visible(w, record, Filters(all_projects=w.ctx.is_admin)),
    )  # fmt: skip
    return list(w.session.scalars(query.offset(offset) if offset else query))


def _is_there(w: Work, record: Any, marker: str) -> bool:
    visible = _visible(w, record, Filters(all_projects=w.ctx.is_admin))
    return w.session.scalar(sa.select(record.id).where(record.id == marker, visible)) is not None


def count(w: Work, record: type[T], filters: Filters) -> int:
    """How many there are on all pages."""
    everything = _selection(w, record, filters).with_only_columns(sa.func.count(), maintain_column_froms=True)
    return int(w.session.scalar(everything.order_by(None)) or 0)


@dataclass(frozen=True)
class Summary:
    """``metadata`` maps each key to the values it has."""

    count: int
    size_gib: int
    metadata: Mapping[str, Sequence[str]]


def summary(w: Work, filters: Filters) -> Summary:
    """Number and size of the volumes that ``filters`` let through, and their metadata."""
    rows = w.session.execute(_selection(w, Volume, filters).with_only_columns(Volume.size_gib, Volume.metadata_items))
    total, size, values = 0, 0, dict[str, set[str]]()
    for size_gib, metadata in rows:
        total, size = total + 1, size + size_gib
        for key, value in metadata.items():
            values.setdefault(key, set()).add(value)
    return Summary(total, size, {key: sorted(found) for key, found in values.items()})
