"""What a project's volumes and snapshots use, counted from them, and whether more may be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from novalite.cloud.identity import quotas
from novalite.cloud.volume.records import Snapshot, Volume
from novalite.db.work import Work
from novalite.errors import OverQuota

RESOURCES = (
    "volumes", "snapshots", "gigabytes", "per_volume_gigabytes", "backups", "backup_gigabytes", "groups"
)  # fmt: skip
"""The quotas of this room. Snapshots count as gigabytes too; ``per_volume_gigabytes`` is for each volume alone. Backups
and groups cannot be made yet: of them nothing is used."""


def used(w: Work, project_id: str) -> dict[str, int]:
    """Resource -> what is used now (gigabytes in GiB)."""
    return used_by(w, (project_id,))[project_id]


def used_by(w: Work, project_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """The same for several projects, in two queries."""
    found = {project_id: {"volumes": 0, "snapshots": 0, "gigabytes": 0} for project_id in project_ids}
    grown = sa.case((Volume.target_gib > Volume.size_gib, Volume.target_gib), else_=Volume.size_gib)
    for name, record, size in (("volumes", Volume, grown), ("snapshots", Snapshot, Snapshot.size_gib)):
        query = sa.select(record.project_id, sa.func.count(), sa.func.sum(size))
        for project_id, number, gib in w.session.execute(
            query.where(record.project_id.in_(found)).group_by(record.project_id)
        ):
            found[project_id][name] = int(number)
            found[project_id]["gigabytes"] += int(gib or 0)
    return found


@dataclass(frozen=True)
class Kept:
    """What is kept for a project; without one: for all."""

    project_id: str = ""
    volumes: int = 0
    volume_gib: int = 0
    snapshots: int = 0
    snapshot_gib: int = 0


def kept(w: Work) -> list[Kept]:
    """Everything that is kept, in sum first, then by project; two queries."""
    of_volumes, of_snapshots = _sums(w, Volume), _sums(w, Snapshot)
    rows = [
        Kept(project_id, *of_volumes.get(project_id, (0, 0)), *of_snapshots.get(project_id, (0, 0)))
        for project_id in sorted(of_volumes.keys() | of_snapshots.keys())
    ]
    total = Kept(
        "", sum(one.volumes for one in rows), sum(one.volume_gib for one in rows),
        sum(one.snapshots for one in rows), sum(one.snapshot_gib for one in rows),
    )  # fmt: skip
    return [total, *rows]


def _sums(w: Work, record: type[Volume] | type[Snapshot]) -> dict[str, tuple[int, int]]:
    query = sa.select(record.project_id, sa.func.count(), sa.func.sum(record.size_gib)).group_by(record.project_id)
    return {project_id: (int(number), int(gib or 0)) for project_id, number, gib in w.session.execute(query)}


def require(w: Work, project_id: str, *, volume_gib: int = 0, **asked: int) -> None:
    """Hold the project's quota and raise ``OverQuota`` unless ``asked`` (resource -> how much more) fits.
    ``volume_gib`` is the size one volume would have."""
    quotas.hold(w, project_id)
    limits, now = quotas.limits(w, project_id), used(w, project_id)
    _refuse_large(limits, volume_gib)
    for resource, more in asked.items():
        limit = limits[resource]
        if 0 <= limit < now[resource] + more:
            raise OverQuota(resource, limit=limit, used=now[resource], asked=more)


def _refuse_large(limits: Mapping[str, int], volume_gib: int) -> None:
    limit = limits["per_volume_gigabytes"]
    if 0 <= limit < volume_gib:
        raise OverQuota(
            "per_volume_gigabytes", limit=limit, used=0, asked=volume_gib,
            message=f"Quota exceeded for per_volume_gigabytes: a volume may have {limit} GiB, {volume_gib} were asked "
            "for.",
        )  # fmt: skip
