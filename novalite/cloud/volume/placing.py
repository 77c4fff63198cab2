"""Which backend keeps a new volume: a pure choice from what its type asks for and what the backends tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from novalite.cloud.volume import services
from novalite.cloud.volume.records import Snapshot, Volume, VolumeType
from novalite.db.work import Work
from novalite.drivers.storage.base import VolumePool
from novalite.errors import Failed

BACKEND_NAME = "volume_backend_name"
_SCOPE = "capabilities:"
_GIB = 1 << 30


@dataclass(frozen=True)
class Wish:
    """``specs`` are the type's; ``near`` is the backend of what the volume is made of, and taken when it will do.
    ``needs_gib`` is what is written at once, ``size_gib`` what is promised."""

    size_gib: int
    specs: Mapping[str, str]
    near: str = ""
    needs_gib: int = 0
    shared: bool = False
    encrypted: bool = False


@dataclass(frozen=True)
class Room:
    """What a backend has, and what of it is promised. ``closed`` tells why it takes no more, empty when it does."""

    pool: VolumePool
    promised_gib: int
    closed: str = ""


def choose(
    wish: Wish, rooms: Mapping[str, Room], *, reserve_gib: float, oversubscription: float, away: Iterable[str] = ()
) -> str:
    """The name of the backend: the near one if it will do, else the first unless the type names some, else that with
    most free room. Raises ``Failed`` with code ``volume.no_room`` that tells of each why not, those that do not answer
    (``away``) included."""
    reasons = {
        name: _refusal(wish, name, room, reserve_gib, oversubscription if room.pool.thin else 1.0)
        for name, room in rooms.items()
    }  # fmt: skip
    fit = [name for name, reason in reasons.items() if not reason]
    if wish.near in fit:
        return wish.near
    if not fit:
        reasons |= dict.fromkeys(away, "it does not answer")
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise Failed(f"No backend can keep the volume. {told}.", code="volume.no_room")
    first = next(iter(rooms))
    if BACKEND_NAME not in wish.specs and first in fit:
        return first
    return max(fit, key=lambda name: rooms[name].pool.free)


def mismatch(wish: Wish, name: str, pool: VolumePool) -> str:
    """Why a backend is none for such a volume, whatever its room; empty when it is one."""
    wanted = wish.specs.get(BACKEND_NAME)
    if wanted and wanted not in (name, pool.backend):
        return f"the type asks for {wanted}"
    protocol = wish.specs.get("storage_protocol")
    if protocol and protocol.removeprefix("<in>").strip() != pool.protocol:
        return f"its volumes are reached by {pool.protocol}"
    if wish.shared and not pool.shares:
        return "its volumes go to one server only"
    if wish.encrypted and not pool.encrypts:
        return "it does not encrypt"
    return ""


def _refusal(wish: Wish, name: str, room: Room, reserve_gib: float, oversubscription: float) -> str:
    pool = room.pool
    reason = room.closed or mismatch(wish, name, pool)
    if reason:
        return reason
    if pool.free < (wish.needs_gib + reserve_gib) * _GIB:
        return f"{pool.free / _GIB:.1f} GiB are free, {wish.needs_gib + reserve_gib:g} are needed"
    most = pool.total / _GIB * oversubscription
    if room.promised_gib + wish.size_gib > most:
        return f"{room.promised_gib} of at most {most:.0f} GiB are promised"
    return ""


def rooms(w: Work, pools: Mapping[str, VolumePool]) -> dict[str, Room]:
    """What is promised of each, counted from the volumes, and which are switched off; two queries."""
    rows = w.session.execute(sa.select(Volume.backend, sa.func.sum(Volume.size_gib)).group_by(Volume.backend))
    promised = {backend: int(gib or 0) for backend, gib in rows}
    closed = services.closed(w)
    return {name: Room(pool, promised.get(name, 0), closed.get(services.backend_host(pool.name), ""))
            for name, pool in pools.items()}  # fmt: skip


def wish_of(w: Work, volume: Volume, needs_gib: int) -> Wish:
    kind = w.session.get(VolumeType, volume.type_id) if volume.type_id else None
    return Wish(volume.size_gib, specs_of(kind), backend_of_source(w, volume), needs_gib, volume.multiattach,
                volume.encryption_key_id is not None)  # fmt: skip


def specs_of(kind: VolumeType | None) -> dict[str, str]:
    """What a type asks for. As in Cinder both spellings ask the same."""
    return {key.removeprefix(_SCOPE): value for key, value in kind.extra_specs.items()} if kind else {}


def backend_of_source(w: Work, volume: Volume) -> str:
    """Where the volume or the snapshot is that this one is made of; empty for others."""
    origin = volume.source_volume_id
    if volume.snapshot_id:
        origin = w.session.scalar(sa.select(Snapshot.volume_id).where(Snapshot.id == volume.snapshot_id))
    found = w.session.get(Volume, origin) if origin else None
    return found.backend if found else ""
