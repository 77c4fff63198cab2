"""Which images a caller sees, and the questions a listing may ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from novalite.cloud.image.records import Image, ImageMember, ImageTag
from novalite.context import Context

_COMPARE: Mapping[str, Any] = {
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
}
OPERATORS = tuple(_COMPARE)


@dataclass(frozen=True)
class Filters:
    """``any_of`` maps a column name to the values it may have; ``times`` holds (column name, operator, time);
    sizes in bytes; ``visibility`` 'all' asks for every visible image, community ones included;
    ``member_status`` says which offers of other projects are listed."""

    any_of: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    times: tuple[tuple[str, str, datetime], ...] = ()
    size_min: int | None = None
    size_max: int | None = None
    visibility: str = ""
    member_status: str = "accepted"
    os_hidden: bool = False


def _member(project_id: str, status: str = "") -> sa.ColumnElement[bool]:
    offered = sa.exists().where(ImageMember.image_id == Image.id, ImageMember.member_id == project_id)
    return offered.where(ImageMember.status == status) if status not in ("", "all") else offered


def reachable(ctx: Context) -> sa.ColumnElement[bool]:
    """What the caller may see when it knows the id."""
    if ctx.is_admin:
        return sa.true()
    open_to_all = Image.visibility.in_(("public", "community"))
    if not ctx.project_id:
        return open_to_all
    offered = sa.and_(Image.visibility == "shared", _member(ctx.project_id))
    return sa.or_(open_to_all, Image.owner == ctx.project_id, offered)


def _listed(ctx: Context, filters: Filters) -> sa.ColumnElement[bool]:
    if ctx.is_admin and not filters.visibility:
        return sa.true()
    own = Image.owner == ctx.project_id if ctx.project_id else sa.false()
    offered = sa.and_(Image.visibility == "shared", _member(ctx.project_id, filters.member_status))
    if filters.visibility in ("", "all"):
        default = sa.or_(Image.visibility == "public", own, offered)
        return default if not filters.visibility else sa.or_(default, Image.visibility == "community")
    chosen = Image.visibility == filters.visibility
    if ctx.is_admin or filters.visibility in ("public", "community"):
        return chosen
    return sa.and_(chosen, sa.or_(own, offered))


def selection(ctx: Context, filters: Filters) -> sa.Select[Image]:
    """The query behind a listing."""
    query = sa.select(Image).where(_listed(ctx, filters), Image.os_hidden.is_(filters.os_hidden))
    for name, values in filters.any_of.items():
        query = query.where(getattr(Image, name).in_(values))
    for name, value in filters.properties.items():
        query = query.where(Image.properties[name].as_string() == value)
    for tag in filters.tags:
        query = query.where(sa.exists().where(ImageTag.image_id == Image.id, ImageTag.tag == tag))
    for name, operator, moment in filters.times:
        query = query.where(_COMPARE[operator](getattr(Image, name), moment))
    if filters.size_min is not None:
        query = query.where(Image.size >= filters.size_min)
    if filters.size_max is not None:
        query = query.where(Image.size <= filters.size_max)
    return query
