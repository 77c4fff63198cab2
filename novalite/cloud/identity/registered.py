"""What operators add to the catalogue: regions, services of others and their endpoints, beside the appliance's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.identity import registered_limits
from novalite.cloud.identity.records import Key, new_key
from novalite.cloud.identity.registered_limits import RegisteredLimit
from novalite.db.records import Base
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound


class RegisteredRegion(Base):
    """``parent_region_id`` is another region, also the appliance's own."""

    __tablename__ = "registered_regions"

    id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    description: Mapped[str] = mapped_column(sa.Text, default="")
    parent_region_id: Mapped[str | None] = mapped_column(sa.String(255))


class RegisteredService(Base):
    """A disabled service is in no token's catalogue."""

    __tablename__ = "registered_services"

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    type: Mapped[str]
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str | None] = mapped_column(sa.Text)
    enabled: Mapped[bool] = mapped_column(default=True)


class RegisteredEndpoint(Base):
    """``service_id`` may be one of the appliance's own services too. ``url`` is told as it was given."""

    __tablename__ = "registered_endpoints"
    __table_args__ = (sa.Index("ix_registered_endpoints_service_id", "service_id"),)

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    service_id: Mapped[str] = mapped_column(Key)
    interface: Mapped[str] = mapped_column(sa.String(16))
    region_id: Mapped[str | None] = mapped_column(sa.String(255))
    url: Mapped[str] = mapped_column(sa.Text)
    enabled: Mapped[bool] = mapped_column(default=True)


_KINDS: dict[str, type[RegisteredRegion | RegisteredService | RegisteredEndpoint]] = {
    "region": RegisteredRegion,
    "service": RegisteredService,
    "endpoint": RegisteredEndpoint,
}


def everything(w: Work, kind: str) -> list[Any]:
    """All of a kind (region, service or endpoint), by id."""
    record = _KINDS[kind]
    return list(w.session.scalars(sa.select(record).order_by(record.id)))


def create(w: Work, kind: str, values: Mapping[str, Any], own: frozenset[str]) -> Any:
    """``own`` are the ids of that kind that the appliance has by itself. Raises ``Conflict`` for a region whose
    id is taken."""
    item_id = values.get("id") or new_key()
    record = _KINDS[kind]
    if item_id in own or w.session.get(record, item_id) is not None:
        raise Conflict(f"Conflict occurred attempting to store {kind} - Duplicate ID, {item_id}.")
    made = record(**{**values, "id": item_id})
    w.session.add(made)
    w.session.flush()
    return made


def change(w: Work, kind: str, item_id: str, values: Mapping[str, Any], own: frozenset[str]) -> Any:
    """Raises ``NotFound``, and ``Forbidden`` for what the appliance has by itself."""
    found = _changeable(w, kind, item_id, own)
    for name, value in values.items():
        setattr(found, name, value)
    w.session.flush()
    return found


def remove(w: Work, kind: str, item_id: str, own: frozenset[str]) -> None:
    """Services take their endpoints and their limits with them. Raises as ``change``, and ``Forbidden`` for a region
    that others are in."""
    found = _changeable(w, kind, item_id, own)
    if kind == "region":
        inside = sa.select(RegisteredRegion.id).where(RegisteredRegion.parent_region_id == item_id)
        used = sa.select(RegisteredEndpoint.id).where(RegisteredEndpoint.region_id == item_id)
        if w.session.scalar(inside.limit(1)) or w.session.scalar(used.limit(1)):
            raise Forbidden(f"Unable to delete region {item_id} because it or its child regions have associated "
                            "endpoints.")  # fmt: skip
        if w.session.scalar(sa.select(RegisteredLimit.id).where(RegisteredLimit.region_id == item_id).limit(1)):
            raise Forbidden(f"Unable to delete region {item_id} because there are registered limits of it.")
    if kind == "service":
        w.changed(sa.delete(RegisteredEndpoint).where(RegisteredEndpoint.service_id == item_id))
        registered_limits.forget_service(w, item_id)
    w.session.delete(found)
    w.session.flush()


def ensure_region(w: Work, region_id: str, own: frozenset[str]) -> None:
    """Endpoints name regions freely: one that is not there is made."""
    if region_id not in own and w.session.get(RegisteredRegion, region_id) is None:
        create(w, "region", {"id": region_id}, own)


def refuse_unknown(known: Mapping[str, Any], item_id: str | None, field: str) -> None:
    """Raises ``Invalid`` when an object names another that is not there."""
    if item_id is not None and item_id not in known:
        raise Invalid(f"There is no {field.removesuffix('_id')} {item_id}.", field=field)


def _changeable(w: Work, kind: str, item_id: str, own: frozenset[str]) -> Any:
    if item_id in own:
        raise Forbidden(f"The {kind} {item_id} is the appliance's own: its settings say what it is.")
    found: Any = w.session.get(_KINDS[kind], item_id)
    if found is None:
        raise NotFound(kind, item_id, message=f"Could not find {kind}: {item_id}.")
    return found
