"""Quotas of the network room: counted from the records, and held so that parallel requests cannot exceed them."""

from __future__ import annotations

import sqlalchemy as sa

from novalite.cloud.identity import quotas
from novalite.cloud.identity.records import Project
from novalite.cloud.network import usage
from novalite.db.work import Work
from novalite.errors import OverQuota

RESOURCES = tuple(usage.COUNTED)
"""Resources with a quota, by Neutron's names."""


def require(w: Work, project_id: str, resource: str, count: int = 1) -> None:
    """Room for ``count`` more of ``resource`` until the unit ends. Raises ``OverQuota``. What belongs to no project
    (gateways, floating addresses' ports) is not counted."""
    limit = quotas.limits(w, project_id)[resource]
    if limit < 0 or not project_id:
        return
    quotas.hold(w, project_id)
    used = usage.of_project(w, project_id, resource)[resource]
    if used + count > limit:
        raise OverQuota(
            resource, limit=limit, used=used, asked=count, message=f"Quota exceeded for resources: ['{resource}']."
        )


def overrides(w: Work) -> dict[str, dict[str, int]]:
    """Project id -> limits, for projects with limits of their own."""
    own = sa.select(quotas.QuotaLimit.project_id).where(quotas.QuotaLimit.resource.in_(RESOURCES)).distinct()
    ids = w.session.scalars(sa.select(Project.id).where(Project.id.in_(own)).order_by(Project.id)).all()
    return {project_id: quotas.limits(w, project_id) for project_id in ids}


def reset(w: Work, project_id: str) -> None:
    """Forget the project's own limits of these resources."""
    quotas.reset(w, project_id, resources=RESOURCES)
