"""What a project has in the network room, counted."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.network.rbac_records import RbacPolicy
from novalite.cloud.network.records import FloatingIp, Network, Port, Router, SecurityGroup, SecurityGroupRule, Subnet
from novalite.cloud.network.subnet_pool_records import SubnetPool
from novalite.db.work import Work

COUNTED = {
    "network": Network,
    "subnet": Subnet,
    "port": Port,
    "router": Router,
    "floatingip": FloatingIp,
    "security_group": SecurityGroup,
    "security_group_rule": SecurityGroupRule,
    "subnetpool": SubnetPool,
    "rbac_policy": RbacPolicy,
}


def of_project(w: Work, project_id: str, *resources: str) -> dict[str, int]:
    """Resource -> how many the project has, in one query; ``resources`` empty: all."""
    wanted = resources or tuple(COUNTED)
    counts = [
        sa.select(sa.func.count()).where(COUNTED[name].project_id == project_id).scalar_subquery()  # type: ignore[attr-defined]
        for name in wanted
    ]
    row = w.session.execute(sa.select(*counts)).one()
    return dict(zip(wanted, map(int, row), strict=True))
