"""Quotas: how much of each resource a project may have. Use is counted from the resources themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from novalite import settings
from novalite.cloud.identity.records import Key, new_key
from novalite.db.records import Base
from novalite.db.work import Work
from novalite.errors import Invalid

DEFAULTS = ""
"""The project id under which the appliance's own defaults stand."""
DEFAULT_CLASS = "default"
"""The quota class that overrides the appliance's defaults for every project."""
LARGEST = 2**31 - 1
_CLASS = "class:"
_DOMAIN = "domain:"
_LONGEST_NAME = 64 - len(_CLASS)
_RENAMED = {
    "ram_mib": "ram",
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "floating_ips": "floatingip",
    "security_groups": "security_group",
    "security_group_rules": "security_group_rule",
    "subnet_pools": "subnetpool",
    "rbac_policies": "rbac_policy",
    "volume_groups": "groups",
    "images": "image_count_total",
    "image_size_mib": "image_size_total",
    "image_stage_mib": "image_stage_total",
    "images_uploading": "image_count_uploading",
}
"""What settings call otherwise: those of networks and images have Neutron's and Glance's names, so that they are not
Compute's."""


class QuotaLimit(Base):
    """``value`` is in the resource's own unit (MiB for ram); -1 is no limit. ``id`` and ``description`` are what the
    unified limits of Identity tell of it."""

    __tablename__ = "quota_limits"
    __table_args__ = (sa.UniqueConstraint("id"),)

    project_id: Mapped[str] = mapped_column(Key, primary_key=True)
    resource: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    value: Mapped[int]
    id: Mapped[str] = mapped_column(Key, default=new_key)
    description: Mapped[str | None] = mapped_column(sa.Text)


class UserQuotaLimit(Base):
    """What one user may have of a project's share; without a row the project's limit counts alone."""

    __tablename__ = "user_quota_limits"

    project_id: Mapped[str] = mapped_column(Key, primary_key=True)
    user_id: Mapped[str] = mapped_column(Key, primary_key=True)
    resource: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    value: Mapped[int]


class QuotaHold(Base):
    """One row per project, only to be locked."""

    __tablename__ = "quota_holds"

    project_id: Mapped[str] = mapped_column(Key, primary_key=True)
    times: Mapped[int] = mapped_column(sa.BigInteger, default=0)


def _from_settings(options: settings.Quota) -> dict[str, int]:
    return {_RENAMED.get(name, name): getattr(options, name) for name in options.__struct_fields__}


RESOURCES = tuple(_from_settings(settings.Quota()))


def configure(w: Work, options: settings.Quota) -> None:
    """Write the settings' defaults down, at start; overrides of projects stay."""
    w.changed(sa.delete(QuotaLimit).where(QuotaLimit.project_id == DEFAULTS))
    w.session.add_all(
        QuotaLimit(project_id=DEFAULTS, resource=name, value=value) for name, value in _from_settings(options).items()
    )
    w.session.flush()


def _stored(w: Work, *project_ids: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {project_id: {} for project_id in project_ids}
    for row in w.session.scalars(sa.select(QuotaLimit).where(QuotaLimit.project_id.in_(project_ids))):
        found[row.project_id][row.resource] = row.value
    return found


def defaults(w: Work) -> dict[str, int]:
    """Resource -> limit for projects without an override."""
    return class_limits(w, DEFAULT_CLASS)


def class_limits(w: Work, name: str) -> dict[str, int]:
    """Resource -> limit of a quota class; one without limits of its own has the defaults."""
    key = _CLASS + name[:_LONGEST_NAME]
    stored = _stored(w, DEFAULTS, key)
    return {**_from_settings(settings.Quota()), **stored[DEFAULTS], **stored[key]}


def set_class_limits(w: Work, name: str, wanted: Mapping[str, int], *, also: Iterable[str] = ()) -> dict[str, int]:
    """Set limits of a quota class; that of ``DEFAULT_CLASS`` counts for every project without its own.
    Raises ``Invalid`` as ``set_limits``, and for names of more than 58 characters."""
    if len(name) > _LONGEST_NAME:
        raise Invalid(f"The name of a quota class may have {_LONGEST_NAME} characters.", field="id")
    _store(w, _CLASS + name, wanted, also)
    return class_limits(w, name)


def limits(w: Work, project_id: str) -> dict[str, int]:
    """Resource -> limit for this project; -1 is no limit."""
    every = _CLASS + DEFAULT_CLASS
    stored = _stored(w, DEFAULTS, every, project_id)
    return {**_from_settings(settings.Quota()), **stored[DEFAULTS], **stored[every], **stored[project_id]}


def set_limits(w: Work, project_id: str, wanted: Mapping[str, int], *, also: Iterable[str] = ()) -> dict[str, int]:
    """Override limits. Raises ``Invalid`` for resources that are neither known nor among ``also``, values below -1, and
    what can be no project's id."""
    if not project_id or ":" in project_id:
        raise Invalid(f"{project_id[:100]} is not the id of a project.", field="project_id")
    _store(w, project_id, wanted, also)
    return limits(w, project_id)


def user_limits(w: Work, project_id: str, user_id: str) -> dict[str, int]:
    """Resource -> limit of one user's own in the project; only those that were set."""
    row = UserQuotaLimit
    query = sa.select(row.resource, row.value).where(row.project_id == project_id, row.user_id == user_id)
    return {found.resource: found.value for found in w.session.execute(query)}


def set_user_limits(w: Work, project_id: str, user_id: str, wanted: Mapping[str, int]) -> None:
    """Raises ``Invalid`` as ``set_limits``, and for what is more than the project's own limit."""
    most = limits(w, project_id)
    for resource, value in wanted.items():
        _refuse_unfit(resource, value)
        limit = most.get(resource, -1)
        if limit >= 0 and not 0 <= value <= limit:
            raise Invalid(f"Quota limit {value} for {resource} must be less than or equal to {limit}.",
                          field=resource)  # fmt: skip
        w.session.merge(UserQuotaLimit(project_id=project_id, user_id=user_id, resource=resource, value=value))
    w.session.flush()


def reset_user(w: Work, project_id: str, user_id: str) -> None:
    """Forget the user's own limits: those of the project count alone."""
    row = UserQuotaLimit
    w.changed(sa.delete(row).where(row.project_id == project_id, row.user_id == user_id))


def reset_users(w: Work, project_id: str) -> None:
    """Forget what all users of the project have as their own."""
    w.changed(sa.delete(UserQuotaLimit).where(UserQuotaLimit.project_id == project_id))


def _refuse_unfit(resource: str, value: int, also: Iterable[str] = ()) -> None:
    if resource not in RESOURCES and resource not in also:
        raise Invalid(f"There is no quota for {resource}.", field=resource)
    if not -1 <= value <= LARGEST:
        raise Invalid(f"Quota limit {value} for {resource} must be in the range of -1 and {LARGEST}.", field=resource)


def _store(w: Work, key: str, wanted: Mapping[str, int], also: Iterable[str] = ()) -> None:
    for resource, value in wanted.items():
        _refuse_unfit(resource, value, also)
    rows = sa.select(QuotaLimit).where(QuotaLimit.project_id == key, QuotaLimit.resource.in_(wanted))
    there = {row.resource: row for row in w.session.scalars(rows)}
    for resource, value in wanted.items():
        if resource in there:
            there[resource].value = value
        else:
            w.session.add(QuotaLimit(project_id=key, resource=resource, value=value))
    w.session.flush()


def of_domain(domain_id: str) -> str:
    """Under which the limits of a domain stand."""
    return _DOMAIN + domain_id


def owner(row: QuotaLimit) -> tuple[str | None, str | None]:
    """Whose a limit is: a project's id, or a domain's."""
    domain = row.project_id.startswith(_DOMAIN)
    return (None, row.project_id.removeprefix(_DOMAIN)) if domain else (row.project_id, None)


def overridden() -> sa.ColumnElement[bool]:
    """Of ``QuotaLimit``: what projects and domains have as their own."""
    return sa.and_(QuotaLimit.project_id != DEFAULTS, ~QuotaLimit.project_id.startswith(_CLASS, autoescape=True))


def forget_defaults(w: Work, resources: Iterable[str]) -> None:
    """Those of the settings count again."""
    reset(w, _CLASS + DEFAULT_CLASS, resources=resources)


def reset(w: Work, project_id: str, *, resources: Iterable[str] | None = None) -> None:
    """Forget the project's overrides: all of them, or those of ``resources``."""
    which = sa.true() if resources is None else QuotaLimit.resource.in_(tuple(resources))
    w.changed(sa.delete(QuotaLimit).where(QuotaLimit.project_id == project_id, which))


def rename(w: Work, names: Mapping[str, str]) -> None:
    """Limits go by the new names of their resources; an empty name ends them."""
    for old, new in names.items():
        w.changed(
            sa.update(QuotaLimit).where(QuotaLimit.resource == old).values(resource=new)
            if new
            else sa.delete(QuotaLimit).where(QuotaLimit.resource == old)
        )


def hold(w: Work, project_id: str) -> None:
    """Keep other units from holding the same project until this one ends: what is counted after it stays true."""
    row = QuotaHold.project_id == project_id
    lock = sa.update(QuotaHold).where(row).values(times=QuotaHold.times + 1)
    if w.changed(lock):
        return
    try:
        with w.session.begin_nested():
            w.session.add(QuotaHold(project_id=project_id))
            w.session.flush()
    except IntegrityError:
        w.changed(lock)
