"""The declarative base of all records, and the column types they share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator


def new_id() -> str:
    """A random UUID as text, the form of every id that clients see."""
    return str(uuid4())


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC times with microseconds, stored naive; a naive value is refused."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


Json = sa.JSON(none_as_null=True)


class Base(DeclarativeBase):
    """``dict`` and ``list`` attributes are JSON, ``datetime`` is aware UTC, ``str`` holds 255 characters."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        str: sa.String(255),
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        dict[str, str]: Json,
        list[Any]: Json,
        list[str]: Json,
    }


Id = sa.String(36)
