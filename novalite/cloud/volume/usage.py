"""What a project's volumes and snapshots use, counted from them, and whether more may be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from novalite.cloud.identity import quotas
from novalite.cloud.volume.records import Backup, Snapshot, Volume, VolumeGroup, VolumeType
from novalite.db.work import Work
from novalite.errors import OverQuota

GIB = 1 << 30
RESOURCES = (
    "volumes", "snapshots", "gigabytes", "per_volume_gigabytes", "backups", "backup_gigabytes", "groups"
)  # fmt: skip
"""The quotas of this room. Snapshots count as gigabytes too; ``per_volume_gigabytes`` is for each volume alone. Of
what protections make only the gigabytes count, as far as they are really held."""


TYPED = ("volumes", "snapshots", "gigabytes")
"""Of these each type of volume may have a limit of its own: ``volumes_NAME``."""


def of_type(resource: str, type_name: str) -> str:
    """The name of a type's own quota."""
    return f"{resource}_{type_name}"


def typed_resources(w: Work) -> tuple[str, ...]:
    """The quotas of all types, by name."""
    names = w.session.scalars(sa.select(VolumeType.name).order_by(VolumeType.name)).all()
    return tuple(of_type(resource, name) for name in names for resource in TYPED)


def limits(w: Work, project_id: str) -> dict[str, int]:
    """Resource -> limit of this room's quotas, those of types included; -1 is no limit."""
    return only_ours(w, quotas.limits(w, project_id))


def only_ours(w: Work, everything: Mapping[str, int]) -> dict[str, int]:
    """This room's part of a project's, or a class's, limits; what types have no limit of is -1."""
    return {name: everything.get(name, -1) for name in (*RESOURCES, *typed_resources(w))}


def used(w: Work, project_id: str) -> dict[str, int]:
    """Resource -> what is used now (gigabytes in GiB)."""
    return used_by(w, (project_id,))[project_id]


def used_with_types(w: Work, project_id: str) -> dict[str, int]:
    """The same, with what volumes and snapshots of each type use; two queries more."""
    found = used(w, project_id)
    for name, (volumes, snapshots, gib) in _by_type(w, project_id).items():
        for resource, number in zip(TYPED, (volumes, snapshots, gib), strict=True):
            found[of_type(resource, name)] = number
    return found


def _by_type(w: Work, project_id: str) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    own = sa.select(VolumeType.name, sa.func.count(), sa.func.sum(_grown())).join(
        Volume, Volume.type_id == VolumeType.id
    )  # fmt: skip
    for name, number, gib in w.session.execute(own.where(Volume.project_id == project_id).group_by(VolumeType.name)):
        found[name] = (int(number), 0, int(gib or 0))
    kept = (
        sa.select(VolumeType.name, sa.func.count(), sa.func.sum(Snapshot.size_gib))
        .join(Volume, Volume.type_id == VolumeType.id).join(Snapshot, Snapshot.volume_id == Volume.id)
    )  # fmt: skip
    for name, number, gib in w.session.execute(kept.where(Snapshot.project_id == project_id).group_by(VolumeType.name)):
        volumes, _, before = found.get(name, (0, 0, 0))
        found[name] = (volumes, int(number), before + int(gib or 0))
    return found


def _grown() -> sa.ColumnElement[int]:
    """The size that counts: of a volume that grows already the new one."""
    return sa.case((Volume.target_gib > Volume.size_gib, Volume.target_gib), else_=Volume.size_gib)


def used_by(w: Work, project_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """The same for several projects, in five queries."""
    none = {"volumes": 0, "snapshots": 0, "gigabytes": 0, "backups": 0, "backup_gigabytes": 0, "groups": 0}
    found = {project_id: dict(none) for project_id in project_ids}
    for name, record, size in (("volumes", Volume, _grown()), ("snapshots", Snapshot, Snapshot.size_gib)):
        query = sa.select(record.project_id, sa.func.count(), sa.func.sum(size))
        for project_id, number, gib in w.session.execute(
            query.where(record.project_id.in_(found)).group_by(record.project_id)
        ):
            found[project_id][name] = int(number)
            found[project_id]["gigabytes"] += int(gib or 0)
    _count_backups_and_groups(w, found)
    return found


def _count_backups_and_groups(w: Work, found: dict[str, dict[str, int]]) -> None:
    backups = sa.select(Backup.project_id, sa.func.count(), sa.func.sum(Backup.size_gib))
    asked_for = Backup.project_id.in_(found), Backup.by_protection.is_(False)
    for project_id, number, gib in w.session.execute(backups.where(*asked_for).group_by(Backup.project_id)):
        found[project_id] |= {"backups": int(number), "backup_gigabytes": int(gib or 0)}
    for project_id, gib in _copies(w, found).items():
        found[project_id]["backup_gigabytes"] += gib
    groups = sa.select(VolumeGroup.project_id, sa.func.count())
    for project_id, number in w.session.execute(
        groups.where(VolumeGroup.project_id.in_(found)).group_by(VolumeGroup.project_id)
    ):
        found[project_id]["groups"] = int(number)


def _copies(w: Work, project_ids: Iterable[str]) -> dict[str, int]:
    """GiB that the backups of protections hold at most: of each volume its size once, and what its later copies added
    to the store. How many there are is for the protection to say."""
    age = sa.func.row_number().over(partition_by=Backup.volume_id, order_by=(Backup.created_at, Backup.id))
    mine = Backup.project_id.in_(project_ids), Backup.by_protection.is_(True)
    copy = sa.select(
        Backup.project_id, Backup.volume_id, Backup.size_gib, Backup.size_bytes, age.label("number")
    ).where(*mine).subquery()  # fmt: skip
    added = sa.case((copy.c.number > 1, copy.c.size_bytes), else_=0)
    of_volumes = sa.select(copy.c.project_id, sa.func.max(copy.c.size_gib), sa.func.sum(added)).group_by(
        copy.c.project_id, copy.c.volume_id
    )  # fmt: skip
    held: dict[str, int] = {}
    for project_id, size_gib, bytes_added in w.session.execute(of_volumes):
        held[project_id] = held.get(project_id, 0) + int(size_gib) * GIB + int(bytes_added)
    return {project_id: -(-size // GIB) for project_id, size in held.items()}


@dataclass(frozen=True)
class Kept:
    """What is kept for a project; without one: for all."""

    project_id: str = ""
    volumes: int = 0
    volume_gib: int = 0
    snapshots: int = 0
    snapshot_gib: int = 0


def kept(w: Work, backend: str) -> list[Kept]:
    """Everything that a backend keeps, in sum first, then by project; two queries."""
    of_volumes = _sums(w, sa.select(Volume.project_id, sa.func.count(), sa.func.sum(Volume.size_gib)), backend)
    of_snapshots = _sums(
        w, sa.select(Snapshot.project_id, sa.func.count(), sa.func.sum(Snapshot.size_gib))
        .join(Volume, Volume.id == Snapshot.volume_id), backend,
    )  # fmt: skip
    rows = [
        Kept(project_id, *of_volumes.get(project_id, (0, 0)), *of_snapshots.get(project_id, (0, 0)))
        for project_id in sorted(of_volumes.keys() | of_snapshots.keys())
    ]
    total = Kept(
        "", sum(one.volumes for one in rows), sum(one.volume_gib for one in rows),
        sum(one.snapshots for one in rows), sum(one.snapshot_gib for one in rows),
    )  # fmt: skip
    return [total, *rows]


def _sums(w: Work, query: sa.Select[str, int, int], backend: str) -> dict[str, tuple[int, int]]:
    rows = w.session.execute(query.where(Volume.backend == backend).group_by(query.selected_columns[0]))
    return {row[0]: (int(row[1]), int(row[2] or 0)) for row in rows}


def require(w: Work, project_id: str, *, kind: VolumeType | None = None, volume_gib: int = 0, **asked: int) -> None:
    """Hold the project's quota and raise ``OverQuota`` unless ``asked`` (resource -> how much more) fits, in that of
    the type ``kind`` too. ``volume_gib`` is the size one volume would have."""
    quotas.hold(w, project_id)
    limits, now = quotas.limits(w, project_id), used(w, project_id)
    _refuse_large(limits, volume_gib)
    for resource, more in asked.items():
        _refuse_over(resource, limits[resource], now[resource], more)
    if kind is not None:
        _require_of_type(w, project_id, kind, limits, asked)


def require_copy(w: Work, volume: Volume) -> None:
    """The same for a backup that a protection makes of the volume: it counts for what it adds to earlier ones, so only
    the first, and what the volume has grown since, must fit beforehand."""
    known = sa.select(sa.func.max(Backup.size_gib)).where(Backup.volume_id == volume.id, Backup.by_protection.is_(True))
    more = max(0, volume.size_gib - (w.session.scalar(known) or 0))
    require(w, volume.project_id, backup_gigabytes=more)


def require_of_type(w: Work, project_id: str, kind: VolumeType, **asked: int) -> None:
    """As ``require``, for what the project has already and only changes its type."""
    quotas.hold(w, project_id)
    _require_of_type(w, project_id, kind, quotas.limits(w, project_id), asked)


def _require_of_type(
    w: Work, project_id: str, kind: VolumeType, limits: Mapping[str, int], asked: Mapping[str, int]
) -> None:
    named = {of_type(resource, kind.name): more for resource, more in asked.items() if resource in TYPED}
    if not any(limits.get(name, -1) >= 0 for name in named):
        return
    now = dict(zip((of_type(each, kind.name) for each in TYPED), _by_type(w, project_id).get(kind.name, (0, 0, 0)),
                   strict=True))  # fmt: skip
    for name, more in named.items():
        _refuse_over(name, limits.get(name, -1), now[name], more)


def _refuse_over(resource: str, limit: int, used: int, more: int) -> None:
    if 0 <= limit < used + more:
        raise OverQuota(resource, limit=limit, used=used, asked=more)


def _refuse_large(limits: Mapping[str, int], volume_gib: int) -> None:
    limit = limits["per_volume_gigabytes"]
    if 0 <= limit < volume_gib:
        raise OverQuota(
            "per_volume_gigabytes", limit=limit, used=0, asked=volume_gib,
            message=f"Quota exceeded for per_volume_gigabytes: a volume may have {limit} GiB, {volume_gib} were asked "
            "for.",
        )  # fmt: skip
