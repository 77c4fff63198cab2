"""Host aggregates: groups of hosts with metadata. One that names an availability zone puts its hosts into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.hosts import hosts
from novalite.cloud.hosts.hosts import AggregateHost, Host
from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound, Refused

ZONE = "availability_zone"
"""The metadata key that names the zone, as clients of Nova know it."""
_LARGEST = 2**31 - 1


class Aggregate(Base):
    """``metadata_items`` holds the zone too, below ``ZONE``. ``number`` is the id clients use."""

    __tablename__ = "aggregates"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(Id, unique=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    metadata_items: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime | None]

    @property
    def zone(self) -> str | None:
        return self.metadata_items.get(ZONE)


@dataclass(frozen=True)
class Members:
    """An aggregate with its hosts, by name."""

    aggregate: Aggregate
    hosts: tuple[str, ...] = ()


def everyone(w: Work) -> list[Members]:
    """All aggregates with their hosts, oldest first; two queries."""
    found = w.session.scalars(sa.select(Aggregate).order_by(Aggregate.number)).all()
    names: dict[int, list[str]] = {}
    for number, name in w.session.execute(
        sa.select(AggregateHost.aggregate_number, Host.name)
        .join(Host, Host.id == AggregateHost.host_id)
        .order_by(Host.number)
    ):
        names.setdefault(number, []).append(name)
    return [Members(one, tuple(names.get(one.number, ()))) for one in found]


def get(w: Work, number: int) -> Members:
    """One aggregate with its hosts. Raises ``NotFound``."""
    one = w.session.get(Aggregate, number) if 0 <= number <= _LARGEST else None
    if one is None:
        raise NotFound("aggregate", str(number), message=f"Aggregate {number} could not be found.")
    return Members(one, tuple(host.name for host in _hosts(w, number)))


def _hosts(w: Work, number: int) -> list[Host]:
    query = sa.select(Host).join(AggregateHost, AggregateHost.host_id == Host.id)
    return list(w.session.scalars(query.where(AggregateHost.aggregate_number == number).order_by(Host.number)))


def create(w: Work, name: str, zone: str | None = None) -> Members:
    """Raises ``Conflict`` when the name is taken."""
    _refuse_taken(w, name)
    items = {ZONE: zone} if zone else {}
    one = Aggregate(id=new_id(), name=name, metadata_items=items, created_at=w.now)
    w.session.add(one)
    w.session.flush()
    return Members(one)


def _refuse_taken(w: Work, name: str, but: int = 0) -> None:
    query = sa.select(Aggregate.number).where(Aggregate.name == name, Aggregate.number != but)
    if w.session.scalar(query) is not None:
        raise Conflict(f"Aggregate {name} already exists.", code="aggregate.exists")


def rename(w: Work, number: int, name: str) -> None:
    """Raises ``Conflict`` when another has the name."""
    one = get(w, number).aggregate
    _refuse_taken(w, name, number)
    one.name, one.updated_at = name, w.now
    w.session.flush()


def set_metadata(w: Work, number: int, changes: Mapping[str, str | None]) -> Members:
    """Merge ``changes``; None removes a key. Raises ``Invalid`` when the zone would be taken away, or change
    below servers, or differ from what another aggregate says of a host."""
    members = get(w, number)
    one = members.aggregate
    if ZONE in changes:
        _check_new_zone(w, one, changes[ZONE])
    merged: dict[str, str | None] = {**one.metadata_items, **changes}
    one.metadata_items = {key: value for key, value in merged.items() if value is not None}
    one.updated_at = w.now
    _give_zones(w, _hosts(w, number))
    return members


def _check_new_zone(w: Work, one: Aggregate, zone: str | None) -> None:
    refused = f"Cannot update aggregate {one.number}. Reason: "
    if not zone:
        raise Invalid(f"{refused}Aggregate {one.name} does not support empty named availability zone.", field=ZONE)
    there = _hosts(w, one.number)
    others = sorted({other for zones in _zones(w, there, but=one.number).values() for other in zones} - {zone})
    if others:
        raise Invalid(f"{refused}One or more hosts already in availability zone(s) {others}.", field=ZONE)
    if zone != one.zone and any(host.server_count for host in there):
        raise Invalid(f"{refused}One or more hosts contain instances in this zone.", field=ZONE)


def _zones(w: Work, there: Iterable[Host], but: int = 0) -> dict[str, list[str]]:
    """Host id -> the zones its aggregates name, oldest aggregate first; one query."""
    found: dict[str, list[str]] = {host.id: [] for host in there}
    query = (
        sa.select(AggregateHost.host_id, Aggregate.metadata_items)
        .join(Aggregate, Aggregate.number == AggregateHost.aggregate_number)
        .where(AggregateHost.host_id.in_(list(found)), Aggregate.number != but)
        .order_by(Aggregate.number)
    )
    for host_id, items in w.session.execute(query):
        if items.get(ZONE):
            found[host_id].append(items[ZONE])
    return found


def _give_zones(w: Work, there: Iterable[Host]) -> None:
    """Put hosts into the zones that their aggregates name now."""
    w.session.flush()
    listed = list(there)
    zones = _zones(w, listed)
    for host in listed:
        host.given_zone, host.updated_at = next(iter(zones[host.id]), None), w.now
        w.announce("host", host.name)
    w.session.flush()


def add_host(w: Work, number: int, name: str) -> Host:
    """The host, perhaps in another zone now. Raises ``NotFound``, and ``Conflict`` when it is there already or
    when another aggregate puts it into another zone."""
    members, host = get(w, number), hosts.by_name(w, name)
    if name in members.hosts:
        raise Conflict(f"Aggregate {number} already has host {name}.", code="aggregate.has_host")
    zone = members.aggregate.zone
    others = sorted(set(_zones(w, [host])[host.id]) - {zone}) if zone else []
    if others:
        raise Conflict(
            f"Cannot add host to aggregate {number}. Reason: One or more hosts already in availability zone(s) "
            f"{others}.", code="aggregate.zones_differ",
        )  # fmt: skip
    w.session.add(AggregateHost(aggregate_number=number, host_id=host.id))
    members.aggregate.updated_at = w.now
    _give_zones(w, [host])
    return host


def remove_host(w: Work, number: int, name: str) -> Host:
    """The host, perhaps in another zone now. Raises ``NotFound`` when it is not in the aggregate."""
    members = get(w, number)
    if name not in members.hosts:
        raise NotFound("host", name, message=f"Cannot remove host {name} in aggregate {number}")
    host = hosts.by_name(w, name)
    w.changed(
        sa.delete(AggregateHost).where(AggregateHost.aggregate_number == number, AggregateHost.host_id == host.id)
    )
    members.aggregate.updated_at = w.now
    _give_zones(w, [host])
    return host


def remove(w: Work, number: int) -> None:
    """Raises ``Refused`` while hosts are in it."""
    members = get(w, number)
    if members.hosts:
        raise Refused(f"Cannot delete aggregate {number}. Reason: Host aggregate is not empty.",
                      code="aggregate.in_use")  # fmt: skip
    w.session.delete(members.aggregate)
    w.session.flush()


def metadata_of_hosts(w: Work) -> dict[str, tuple[dict[str, str], ...]]:
    """Host id -> the metadata of each of its aggregates, in one query."""
    found: dict[str, tuple[dict[str, str], ...]] = {}
    query = (
        sa.select(AggregateHost.host_id, Aggregate.metadata_items)
        .join(Aggregate, Aggregate.number == AggregateHost.aggregate_number)
        .order_by(Aggregate.number)
    )
    for host_id, items in w.session.execute(query):
        found[host_id] = (*found.get(host_id, ()), items)
    return found
