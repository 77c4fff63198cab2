"""What a project has in the network room, counted."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.network.records import Network, Port, SecurityGroup, SecurityGroupRule, Subnet
from novalite.db.work import Work

_COUNTED = {
    "network": Network,
    "subnet": Subnet,
    "port": Port,
    "security_group": SecurityGroup,
    "security_group_rule": SecurityGroupRule,
}


def of_project(w: Work, project_id: str) -> dict[str, int]:
    """Resource -> how many the project has, in one query."""
    counts = [
        sa.select(sa.func.count()).where(record.project_id == project_id).scalar_subquery()  # type: ignore[attr-defined]
        for record in _COUNTED.values()
    ]
    row = w.session.execute(sa.select(*counts)).one()
    return dict(zip(_COUNTED, map(int, row), strict=True))
