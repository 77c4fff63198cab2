"""What servers use of a project's quota, and how many more fit."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.compute import migrations, states
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import quotas
from novalite.db.work import Work
from novalite.errors import OverQuota


def usage(w: Work, project_id: str, user_id: str = "") -> dict[str, int]:
    """What a project's servers (those of one user, where one is named) use now, counted from the servers
    themselves: instances, cores, ram (MiB). Those deleted softly do not count until they are restored; one that
    changes its size counts by the larger one."""
    aside = sa.and_(Server.vm_state == states.SOFT_DELETED, Server.task_state.is_distinct_from(states.RESTORING))
    whose = [Server.project_id == project_id, *([Server.user_id == user_id] if user_id else [])]
    row = w.session.execute(
        sa.select(sa.func.count(), sa.func.sum(Server.vcpus), sa.func.sum(Server.memory_mib)).where(
            *whose, Server.deleted_at.is_(None), ~aside
        )
    ).one()
    cores, ram = migrations.extra_use(w, Server, *whose)
    return {"instances": int(row[0]), "cores": int(row[1] or 0) + cores, "ram": int(row[2] or 0) + ram}


def fitting(w: Work, project_id: str, user_id: str, each: dict[str, int], *, least: int = 1, most: int = 1) -> int:
    """How many times ``each`` (instances, cores, ram) still fits what the project and the user may have, at most
    ``most``; nobody else asks for more of the project until the unit ends. Raises ``OverQuota`` below ``least``."""
    quotas.hold(w, project_id)
    shares = [(quotas.limits(w, project_id), usage(w, project_id))]
    own = quotas.user_limits(w, project_id, user_id)
    if own:
        shares.append((dict.fromkeys(each, -1) | own, usage(w, project_id, user_id)))
    count = most
    for limits, used in shares:
        for resource, amount in each.items():
            if limits[resource] >= 0 and amount > 0:
                count = min(count, max(0, limits[resource] - used[resource]) // amount)
        if count < least:
            over = [r for r, amount in each.items() if amount > 0 and 0 <= limits[r] < used[r] + amount * least]
            raise over_quota(over, limits, used, {r: amount * least for r, amount in each.items()})
    return count


def over_quota(names: list[str], limits: dict[str, int], used: dict[str, int], asked: dict[str, int]) -> OverQuota:
    """The refusal that names all of ``names`` at once."""
    names = sorted(names)
    listed = ", ".join(names)
    wanted, there, most = (", ".join(str(facts[name]) for name in names) for facts in (asked, used, limits))
    text = f"Quota exceeded for {listed}: Requested {wanted}, but already used {there} of {most} {listed}"
    first = names[0]
    return OverQuota(first, limit=limits[first], used=used[first], asked=asked[first], message=text)
