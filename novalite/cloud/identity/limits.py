"""Limits: what a project or a domain may have of a registered limit's resource instead of the default.

A project's limit of one of the appliance's own resources is its quota. Those of domains are kept and enforced by
nobody, as in Keystone's flat model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from novalite.cloud.identity import quotas, registered_limits
from novalite.cloud.identity.quotas import QuotaLimit
from novalite.cloud.identity.records import Domain, Project
from novalite.cloud.identity.registered_limits import Known, RegisteredLimit
from novalite.db.work import Work
from novalite.errors import Forbidden, Invalid, NotFound


@dataclass(frozen=True)
class NewLimit:
    """Of a project or of a domain."""

    service_id: str
    resource_name: str
    resource_limit: int
    project_id: str | None = None
    domain_id: str | None = None
    region_id: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Limit:
    """Either ``project_id`` or ``domain_id`` is None; -1 is no limit."""

    id: str
    project_id: str | None
    domain_id: str | None
    service_id: str
    region_id: str | None
    resource_name: str
    resource_limit: int
    description: str | None


def _query() -> sa.Select[QuotaLimit, RegisteredLimit]:
    both = sa.select(QuotaLimit, RegisteredLimit)
    return both.join(RegisteredLimit, RegisteredLimit.resource == QuotaLimit.resource).where(quotas.overridden())


def _shown(row: QuotaLimit, of: RegisteredLimit) -> Limit:
    project_id, domain_id = quotas.owner(row)
    return Limit(
        row.id, project_id, domain_id, of.service_id, of.region_id, of.resource_name, row.value, row.description
    )  # fmt: skip


@dataclass(frozen=True)
class Sight:
    """What somebody may see: everything, a project's limits, or a domain's with those of its projects."""

    everything: bool = False
    project_id: str = ""
    domain_id: str = ""

    def of_limits(self) -> sa.ColumnElement[bool]:
        if self.everything:
            return sa.true()
        if not self.domain_id:
            return QuotaLimit.project_id == self.project_id
        projects = sa.select(Project.id).where(Project.domain_id == self.domain_id)
        return sa.or_(
            QuotaLimit.project_id == quotas.of_domain(self.domain_id), QuotaLimit.project_id.in_(projects)
        )  # fmt: skip


def find(w: Work, wanted: Mapping[str, str], sight: Sight) -> list[Limit]:
    """Those in sight that are as ``wanted``: service_id, region_id, resource_name, project_id, domain_id."""
    query = _query().where(sight.of_limits())
    for name, value in wanted.items():
        if name == "project_id":
            query = query.where(QuotaLimit.project_id == value)
        elif name == "domain_id":
            query = query.where(QuotaLimit.project_id == quotas.of_domain(value))
        else:
            query = query.where(getattr(RegisteredLimit, name) == value)
    ordered = query.order_by(QuotaLimit.project_id, RegisteredLimit.service_id, QuotaLimit.resource)
    return [_shown(row, of) for row, of in w.session.execute(ordered)]


def seen(w: Work, id: str, sight: Sight) -> Limit | None:
    """The limit if it is in sight."""
    found = w.session.execute(_query().where(QuotaLimit.id == id, sight.of_limits())).one_or_none()
    return _shown(*found) if found else None


def get(w: Work, id: str) -> Limit:
    """Raises ``NotFound``."""
    found = seen(w, id, Sight(everything=True))
    if found is None:
        raise NotFound("limit", id, message=f"Could not find limit for {id}.")
    return found


def create(w: Work, new: Sequence[NewLimit], known: Known) -> list[Limit]:
    """All or none. Raises ``Invalid`` for what is not there, ``Forbidden`` for what is not registered, ``Conflict`` for
    what has a limit of it already."""
    owners = _owners(w, new)
    for one in new:
        registered_limits.refuse_unknown(known, one.service_id, one.region_id, "limit")
    resources = [
        registered_limits.resource_of(known, one.service_id, one.region_id, one.resource_name) for one in new
    ]  # fmt: skip
    registered = {
        each.resource: each
        for each in w.session.scalars(sa.select(RegisteredLimit).where(RegisteredLimit.resource.in_(resources)))
    }
    if not registered.keys() >= set(resources):
        raise Forbidden("Unable to create a limit that has no corresponding registered limit.")
    _refuse_doubles(w, owners, resources)
    made = [
        QuotaLimit(project_id=owner, resource=resource, value=one.resource_limit, description=one.description)
        for owner, resource, one in zip(owners, resources, new, strict=True)
    ]
    w.session.add_all(made)
    w.session.flush()
    return [_shown(row, registered[row.resource]) for row in made]


def _owners(w: Work, new: Sequence[NewLimit]) -> list[str]:
    """Under what each is kept. A domain may be named as if it were a project."""
    named = {name for one in new for name in (one.project_id, one.domain_id) if name is not None}
    projects = set(w.session.scalars(sa.select(Project.id).where(Project.id.in_(named))))
    domains = set(w.session.scalars(sa.select(Domain.id).where(Domain.id.in_(named))))
    found = []
    for one in new:
        if one.project_id is None and one.domain_id is None:
            raise Invalid("A limit is of a project or of a domain: project_id and domain_id are both null.",
                          field="project_id")  # fmt: skip
        if one.project_id in projects:
            found.append(str(one.project_id))
        elif (one.project_id or one.domain_id) in domains:
            found.append(quotas.of_domain(str(one.project_id or one.domain_id)))
        else:
            raise registered_limits.missing("domain_id" if one.project_id is None else "project_id", "limit")
    return found


def _refuse_doubles(w: Work, owners: Sequence[str], resources: Sequence[str]) -> None:
    wanted = set(zip(owners, resources, strict=True))
    rows = sa.select(QuotaLimit.project_id, QuotaLimit.resource).where(
        QuotaLimit.project_id.in_(set(owners)), QuotaLimit.resource.in_(set(resources))
    )
    if len(wanted) < len(owners) or any((owner, resource) in wanted for owner, resource in w.session.execute(rows)):
        raise registered_limits.duplicate("limit")


def update(w: Work, id: str, values: Mapping[str, Any]) -> Limit:
    """Change ``resource_limit`` and ``description``. Raises ``NotFound``."""
    get(w, id)
    row = w.session.scalars(sa.select(QuotaLimit).where(QuotaLimit.id == id)).one()
    row.value = values.get("resource_limit", row.value)
    row.description = values.get("description", row.description)
    w.session.flush()
    return get(w, id)


def remove(w: Work, id: str) -> None:
    """The default counts again. Raises ``NotFound``."""
    get(w, id)
    w.changed(sa.delete(QuotaLimit).where(QuotaLimit.id == id))
