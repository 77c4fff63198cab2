"""Compute hosts: what they report, whether they take servers, and the room promised on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from novalite.db.records import Base, Id, new_id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound


class Host(Base):
    """``report`` is the driver's last ``HostReport`` as plain values; ``*_used`` is what is promised to
    servers, never what is measured. ``number`` is the integer id old clients know. ``zone`` is the one its
    aggregates give it, else the one of the settings."""

    __tablename__ = "hosts"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(Id, unique=True, default=new_id)
    service_id: Mapped[str] = mapped_column(Id, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    default_zone: Mapped[str] = mapped_column(default="nova")
    given_zone: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]
    forced_down: Mapped[bool] = mapped_column(default=False)
    last_seen_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(sa.Text, default="")
    boot_id: Mapped[str] = mapped_column(default="")
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    vcpus: Mapped[int] = mapped_column(default=0)
    memory_mib: Mapped[int] = mapped_column(default=0)
    disk_gib: Mapped[int] = mapped_column(default=0)
    reserved_memory_mib: Mapped[int] = mapped_column(default=0)
    reserved_disk_gib: Mapped[int] = mapped_column(default=0)
    cpu_ratio: Mapped[float] = mapped_column(default=16.0)
    ram_ratio: Mapped[float] = mapped_column(default=1.0)
    disk_ratio: Mapped[float] = mapped_column(default=1.0)
    vcpus_used: Mapped[int] = mapped_column(default=0)
    memory_mib_used: Mapped[int] = mapped_column(default=0)
    disk_gib_used: Mapped[int] = mapped_column(default=0)
    server_count: Mapped[int] = mapped_column(default=0)
    generation: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @hybrid_property
    def zone(self) -> str:
        return self.given_zone or self.default_zone

    @zone.inplace.expression
    @classmethod
    def _zone_column(cls) -> sa.ColumnElement[str]:
        return sa.func.coalesce(cls.given_zone, cls.default_zone)


class Allocation(Base):
    """The room one server holds on one host; ``group_id`` lets affinity rules count. Room that is held for a
    server while it moves, beside its own, stands under the move's id and names the server in ``aside_for``."""

    __tablename__ = "allocations"
    __table_args__ = (
        sa.Index("ix_allocations_host_id", "host_id"),
        sa.Index("ix_allocations_group_id", "group_id"),
        sa.Index("ix_allocations_aside_for", "aside_for"),
    )

    server_id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(sa.ForeignKey("hosts.id"))
    group_id: Mapped[str | None] = mapped_column(Id)
    vcpus: Mapped[int]
    memory_mib: Mapped[int]
    disk_gib: Mapped[int]
    aside_for: Mapped[str | None] = mapped_column(Id)


class AggregateHost(Base):
    """Which hosts an aggregate (``aggregates.py``) groups."""

    __tablename__ = "aggregate_hosts"

    aggregate_number: Mapped[int] = mapped_column(sa.ForeignKey("aggregates.number"), primary_key=True)
    host_id: Mapped[str] = mapped_column(sa.ForeignKey("hosts.id"), primary_key=True, index=True)


@dataclass(frozen=True)
class Room:
    """What a server needs: vCPUs, MiB, GiB."""

    vcpus: int
    memory_mib: int
    disk_gib: int


@dataclass(frozen=True)
class Ratios:
    """How much may be promised for what is there, and what the host keeps (MiB, GiB)."""

    cpu: float = 16.0
    ram: float = 1.0
    disk: float = 1.0
    reserved_memory_mib: int = 0
    reserved_disk_gib: int = 0


@dataclass(frozen=True)
class DiskRoom:
    """What a host measures of its disk, in GiB: ``free``, ``reserved`` of it, ``written`` by servers already of what
    they were promised. ``ratio`` of what is left may be promised."""

    free: float
    reserved: int
    written: float
    ratio: float

    @property
    def left(self) -> float:
        return max(0.0, self.free - self.reserved) * self.ratio

    @property
    def most_promised(self) -> float:
        """What may be promised in all."""
        return self.written + self.left

    @property
    def is_short(self) -> bool:
        return self.free < self.reserved

    def __str__(self) -> str:
        return f"{self.free:.1f} GiB of disk are free, {self.reserved} GiB are to be kept free"


def disk_room(host: Host) -> DiskRoom | None:
    """None when the host tells nothing about it."""
    free = host.report.get("disk_free_mib", -1)
    if free < 0:
        return None
    written = host.report.get("disk_written_mib", 0)
    return DiskRoom(free / 1024, host.reserved_disk_gib, written / 1024, host.disk_ratio)


def problem(host: Host) -> str:
    """What operators must know of: it does not answer, or its disk is nearly full. Empty when all is well."""
    room = disk_room(host)
    return host.problem or (str(room) if room is not None and room.is_short else "")


def is_up(host: Host, now: datetime, down_after_seconds: int) -> bool:
    """Whether the host has reported lately and is not forced down."""
    if host.forced_down or host.last_seen_at is None:
        return False
    return host.last_seen_at >= now - timedelta(seconds=down_after_seconds)


def register(w: Work, name: str, *, zone: str, ratios: Ratios) -> Host:
    """The record of a host, made when it is new; ratios and zone follow the settings. Repeatable."""
    host = w.session.scalar(sa.select(Host).where(Host.name == name))
    if host is None:
        host = Host(id=new_id(), service_id=new_id(), name=name, created_at=w.now, updated_at=w.now, report={})
        w.session.add(host)
    host.default_zone = zone
    host.cpu_ratio, host.ram_ratio, host.disk_ratio = ratios.cpu, ratios.ram, ratios.disk
    host.reserved_memory_mib, host.reserved_disk_gib = ratios.reserved_memory_mib, ratios.reserved_disk_gib
    w.session.flush()
    return host


def record_report(w: Work, name: str, report: dict[str, Any]) -> bool:
    """Store what a host said; returns whether the machine has restarted since the last report."""
    host = by_name(w, name)
    restarted = bool(host.boot_id) and bool(report.get("boot_id")) and host.boot_id != report["boot_id"]
    w.changed(
        sa.update(Host)
        .where(Host.name == name)
        .values(
            report=report,
            vcpus=report["vcpus"],
            memory_mib=report["memory_mib"],
            disk_gib=report["disk_gib"],
            boot_id=report.get("boot_id", ""),
            last_seen_at=w.now,
            updated_at=w.now,
            problem="",
        )
    )
    w.announce("host", name)
    return restarted


def record_problem(w: Work, name: str, problem: str) -> None:
    """A host did not answer: keep why, leave ``last_seen_at`` as it was."""
    w.changed(sa.update(Host).where(Host.name == name).values(problem=problem[:1000], updated_at=w.now))
    w.announce("host", name)


def by_name(w: Work, name: str) -> Host:
    host = w.session.scalar(sa.select(Host).where(Host.name == name))
    if host is None:
        raise NotFound("host", name, message=f"Compute host {name} could not be found.")
    return host


def get(w: Work, host_id: str) -> Host:
    """By UUID, or by the integer id that old clients use."""
    test = Host.number == int(host_id) if host_id.isdecimal() and len(host_id) < 10 else Host.id == host_id
    host = w.session.scalar(sa.select(Host).where(test))
    if host is None:
        raise NotFound("host", host_id, message=f"Compute host {host_id} could not be found.")
    return host


def everyone(w: Work) -> list[Host]:
    """All hosts by name."""
    return list(w.session.scalars(sa.select(Host).order_by(Host.number)))


def set_enabled(w: Work, name: str, enabled: bool, *, reason: str | None = None) -> Host:
    """Let a host take new servers or not; running ones stay."""
    host = by_name(w, name)
    host.enabled, host.disabled_reason, host.updated_at = enabled, None if enabled else reason, w.now
    w.announce("host", name)
    return host


def force_down(w: Work, name: str, forced: bool) -> Host:
    host = by_name(w, name)
    host.forced_down, host.updated_at = forced, w.now
    w.announce("host", name)
    return host


def remove(w: Work, name: str) -> None:
    """Forget a host that holds no server. Raises ``Conflict`` otherwise."""
    host = by_name(w, name)
    if w.session.scalar(sa.select(Allocation.server_id).where(Allocation.host_id == host.id).limit(1)):
        raise Conflict(
            f"Unable to delete host {name}: it holds {host.server_count} servers.",
            hint="Delete or move them first.",
        )
    w.session.execute(sa.delete(AggregateHost).where(AggregateHost.host_id == host.id))
    w.session.delete(host)


def claim(
    w: Work,
    *,
    host_id: str,
    server_id: str,
    room: Room,
    group_id: str | None = None,
    max_in_group: int | None = None,
) -> bool:
    """Promise ``room`` on a host to a server in one atomic statement; False when it does not fit (any more).

    Disk must be there by what is promised and by what is measured: what other programs have taken cannot be promised.
    ``max_in_group`` bounds how many servers of the group the host may hold, this one included; the update
    has locked the host's row by then, so the count is exact. Repeating a claim that holds succeeds.
    """
    held = w.session.get(Allocation, server_id)
    if held is not None:
        return held.host_id == host_id
    disk = _disk_room_of(w, host_id) if room.disk_gib else None
    if disk is not None and room.disk_gib > disk.left:
        return False
    hit = w.changed(
        sa.update(Host)
        .where(
            Host.id == host_id,
            Host.enabled.is_(True),
            Host.forced_down.is_(False),
            Host.vcpus_used + room.vcpus <= Host.vcpus * Host.cpu_ratio,
            Host.memory_mib_used + room.memory_mib <= (Host.memory_mib - Host.reserved_memory_mib) * Host.ram_ratio,
            Host.disk_gib_used + room.disk_gib <= (Host.disk_gib - Host.reserved_disk_gib) * Host.disk_ratio,
            *([] if disk is None else [Host.disk_gib_used + room.disk_gib <= disk.most_promised]),
        )
        .values(
            vcpus_used=Host.vcpus_used + room.vcpus,
            memory_mib_used=Host.memory_mib_used + room.memory_mib,
            disk_gib_used=Host.disk_gib_used + room.disk_gib,
            server_count=Host.server_count + 1,
            generation=Host.generation + 1,
        )
    )
    if not hit:
        return False
    if group_id and max_in_group is not None and _in_group(w, host_id, group_id) >= max_in_group:
        _give_back(w, host_id, room)
        return False
    w.session.add(
        Allocation(
            server_id=server_id,
            host_id=host_id,
            group_id=group_id,
            vcpus=room.vcpus,
            memory_mib=room.memory_mib,
            disk_gib=room.disk_gib,
        )
    )
    w.session.flush()
    return True


def _disk_room_of(w: Work, host_id: str) -> DiskRoom | None:
    host = w.session.scalar(sa.select(Host).where(Host.id == host_id))
    return None if host is None else disk_room(host)


def _in_group(w: Work, host_id: str, group_id: str) -> int:
    query = sa.select(sa.func.count()).where(
        Allocation.host_id == host_id, Allocation.group_id == group_id, Allocation.aside_for.is_(None)
    )
    return int(w.session.scalar(query) or 0)


def _give_back(w: Work, host_id: str, room: Room, servers: int = 1) -> None:
    w.changed(
        sa.update(Host)
        .where(Host.id == host_id)
        .values(
            vcpus_used=Host.vcpus_used - room.vcpus,
            memory_mib_used=Host.memory_mib_used - room.memory_mib,
            disk_gib_used=Host.disk_gib_used - room.disk_gib,
            server_count=Host.server_count - servers,
            generation=Host.generation + 1,
        )
    )


def release(w: Work, server_id: str) -> None:
    """Give a server's room back (or what stands under a move's id); nothing when it holds none. Safe under
    races: the delete decides."""
    held = w.session.get(Allocation, server_id)
    if held is None:
        return
    if w.changed(sa.delete(Allocation).where(Allocation.server_id == server_id)):
        room = Room(held.vcpus, held.memory_mib, held.disk_gib)
        _give_back(w, held.host_id, room, servers=0 if held.aside_for else 1)
    w.session.expunge(held)


def allocations(w: Work) -> list[Allocation]:
    return list(w.session.scalars(sa.select(Allocation)))


def group_members(w: Work, group_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """group id -> host name -> number of its servers there."""
    members: dict[str, dict[str, int]] = {}
    rows = w.session.execute(
        sa.select(Allocation.group_id, Host.name, sa.func.count())
        .join(Host, Host.id == Allocation.host_id)
        .where(Allocation.group_id.in_(list(group_ids)), Allocation.aside_for.is_(None))
        .group_by(Allocation.group_id, Host.name)
    )
    for group_id, host, number in rows:
        members.setdefault(str(group_id), {})[host] = number
    return members


def recount(w: Work) -> list[str]:
    """Compare the sums of allocations with what hosts say is used; mends differences and names the hosts."""
    sums = {
        row[0]: tuple(int(value or 0) for value in row[1:])
        for row in w.session.execute(
            sa.select(
                Allocation.host_id,
                sa.func.sum(Allocation.vcpus),
                sa.func.sum(Allocation.memory_mib),
                sa.func.sum(Allocation.disk_gib),
                sa.func.sum(sa.case((Allocation.aside_for.is_(None), 1), else_=0)),
            ).group_by(Allocation.host_id)
        )
    }
    mended = []
    for host in everyone(w):
        want = sums.get(host.id, (0, 0, 0, 0))
        if (host.vcpus_used, host.memory_mib_used, host.disk_gib_used, host.server_count) != want:
            host.vcpus_used, host.memory_mib_used, host.disk_gib_used, host.server_count = want
            mended.append(host.name)
    return mended
