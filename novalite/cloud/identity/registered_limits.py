"""Registered limits: what projects may have of a resource by default, as Identity's unified limits tell it.

Those of the appliance's own services are the quotas under another name: the default is that of the quota class
``default``. Every other name is kept for its service, and enforced by nobody here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from novalite.cloud.identity import catalogue, quotas
from novalite.cloud.identity.quotas import QuotaLimit
from novalite.cloud.identity.records import Key, new_key
from novalite.db.records import Base
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound


def _same(names: str) -> dict[str, str]:
    return {name: name for name in names.split()}


OWN: Mapping[str, Mapping[str, str]] = {
    catalogue.COMPUTE.id: {
        "servers": "instances",
        "class:VCPU": "cores",
        "class:MEMORY_MB": "ram",
        "server_metadata_items": "metadata_items",
        "server_key_pairs": "key_pairs",
        "server_groups": "server_groups",
        "server_group_members": "server_group_members",
        "server_injected_files": "injected_files",
        "server_injected_file_content_bytes": "injected_file_content_bytes",
        "server_injected_file_path_bytes": "injected_file_path_bytes",
    },
    catalogue.IMAGE.id: _same("image_size_total image_stage_total image_count_total image_count_uploading"),
    catalogue.NETWORK.id: _same(
        "network subnet port router floatingip security_group security_group_rule subnetpool rbac_policy"
    ),
    catalogue.BLOCK_STORAGE.id: _same(
        "volumes snapshots gigabytes per_volume_gigabytes backups backup_gigabytes groups"
    ),
}
"""Id of a service -> what it calls its resources with unified limits -> the quota."""


class RegisteredLimit(Base):
    """``resource`` is the name under which its values stand among the quotas: the default as the default class's, and
    the limits of projects and domains. Without a region it is for all."""

    __tablename__ = "registered_limits"
    __table_args__ = (sa.UniqueConstraint("resource"), sa.Index("ix_registered_limits_service_id", "service_id"))

    id: Mapped[str] = mapped_column(Key, primary_key=True)
    service_id: Mapped[str] = mapped_column(Key)
    region_id: Mapped[str | None]
    resource_name: Mapped[str]
    resource: Mapped[str] = mapped_column(sa.String(300))
    description: Mapped[str | None] = mapped_column(sa.Text)


@dataclass(frozen=True)
class Known:
    """The ids of what limits may be about; ``region`` is the appliance's own."""

    services: Collection[str]
    regions: Collection[str]
    region: str


@dataclass(frozen=True)
class NewRegisteredLimit:
    service_id: str
    resource_name: str
    default_limit: int
    region_id: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Default:
    """A registered limit with its value; -1 is no limit."""

    id: str
    service_id: str
    region_id: str | None
    resource_name: str
    default_limit: int
    description: str | None


def resource_of(known: Known, service_id: str, region_id: str | None, name: str) -> str:
    """The quota behind a name. The appliance's own region is the only one its quotas are for, named or not; what
    nobody enforces has a name that no quota has."""
    own = OWN.get(service_id, {}).get(name, "")
    if own and region_id in (None, known.region):
        return own
    return f"registered:{hashlib.sha256(json.dumps([service_id, region_id, name]).encode()).hexdigest()}"


def ensure(w: Work) -> None:
    """At start: those of the appliance's own quotas that are not there."""
    there = set(w.session.scalars(sa.select(RegisteredLimit.resource)))
    w.session.add_all(
        RegisteredLimit(id=new_key(), service_id=service_id, resource_name=name, resource=resource)
        for service_id, names in OWN.items()
        for name, resource in names.items()
        if resource not in there
    )
    w.session.flush()


def find(w: Work, **wanted: str) -> list[Default]:
    """Those whose service_id, region_id and resource_name are as ``wanted``."""
    query = sa.select(RegisteredLimit).filter_by(**wanted)
    found = query.order_by(RegisteredLimit.service_id, RegisteredLimit.resource_name, RegisteredLimit.id)
    return _shown(w, w.session.scalars(found).all())


def _shown(w: Work, rows: Sequence[RegisteredLimit]) -> list[Default]:
    values = quotas.defaults(w) if rows else {}
    return [
        Default(one.id, one.service_id, one.region_id, one.resource_name, values[one.resource], one.description)
        for one in rows
    ]


def _record(w: Work, id: str) -> RegisteredLimit:
    found = w.session.get(RegisteredLimit, id)
    if found is None:
        raise NotFound("registered limit", id, message=f"Could not find registered limit for {id}.")
    return found


def get(w: Work, id: str) -> Default:
    """Raises ``NotFound``."""
    return _shown(w, [_record(w, id)])[0]


def create(w: Work, new: Sequence[NewRegisteredLimit], known: Known) -> list[Default]:
    """All or none. Raises ``Invalid`` for services and regions that are not there, ``Conflict`` for what is registered
    already."""
    for one in new:
        refuse_unknown(known, one.service_id, one.region_id, "registered_limit")
    made = [
        RegisteredLimit(
            id=new_key(), service_id=one.service_id, region_id=one.region_id, resource_name=one.resource_name,
            resource=resource_of(known, one.service_id, one.region_id, one.resource_name), description=one.description,
        )
        for one in new
    ]  # fmt: skip
    values = {row.resource: one.default_limit for row, one in zip(made, new, strict=True)}
    taken = sa.select(RegisteredLimit.id).where(RegisteredLimit.resource.in_(values)).limit(1)
    if len(values) < len(made) or w.session.scalar(taken):
        raise duplicate("registered_limit")
    w.session.add_all(made)
    quotas.set_class_limits(w, quotas.DEFAULT_CLASS, values, also=values)
    return _shown(w, made)


def update(w: Work, id: str, values: Mapping[str, Any], known: Known) -> Default:
    """Change ``service_id``, ``region_id``, ``resource_name``, ``default_limit``, ``description``.

    Raises ``NotFound``, ``Invalid``, ``Forbidden`` while projects or domains have limits of it, and ``Conflict`` when
    what it would be for is registered already, be it by itself.
    """
    refuse_unknown(known, values.get("service_id"), values.get("region_id"), "registered_limit")
    row = _record(w, id)
    _refuse_used(w, row)
    default = values.get("default_limit", _shown(w, [row])[0].default_limit)
    if values.keys() & {"service_id", "region_id", "resource_name"}:
        _rename(w, row, values, known)
    if "description" in values:
        row.description = values["description"]
    if "default_limit" in values or row.resource not in quotas.RESOURCES:
        quotas.set_class_limits(w, quotas.DEFAULT_CLASS, {row.resource: default}, also=(row.resource,))
    w.session.flush()
    return get(w, id)


def _rename(w: Work, row: RegisteredLimit, values: Mapping[str, Any], known: Known) -> None:
    place = {name: values.get(name, getattr(row, name)) for name in ("service_id", "region_id", "resource_name")}
    resource = resource_of(known, place["service_id"], place["region_id"], place["resource_name"])
    others = sa.select(RegisteredLimit.id).where(RegisteredLimit.resource == resource, RegisteredLimit.id != row.id)
    unchanged = all(getattr(row, name) == value for name, value in place.items())
    if unchanged or w.session.scalar(others):
        raise duplicate("registered_limit")
    if resource != row.resource:
        quotas.forget_defaults(w, (row.resource,))
    for name, value in {**place, "resource": resource}.items():
        setattr(row, name, value)


def remove(w: Work, id: str) -> None:
    """What is a quota has the settings' default again. Raises ``NotFound``, and ``Forbidden`` while projects or domains
    have limits of it."""
    row = _record(w, id)
    _refuse_used(w, row)
    quotas.forget_defaults(w, (row.resource,))
    w.session.delete(row)
    w.session.flush()


def forget_service(w: Work, service_id: str) -> None:
    """A service that others registered goes: with its limits, and those that projects and domains have of them."""
    resources = sa.select(RegisteredLimit.resource).where(RegisteredLimit.service_id == service_id)
    w.changed(sa.delete(QuotaLimit).where(QuotaLimit.resource.in_(resources)))
    w.changed(sa.delete(RegisteredLimit).where(RegisteredLimit.service_id == service_id))


def _refuse_used(w: Work, row: RegisteredLimit) -> None:
    limits = sa.select(QuotaLimit.id).where(QuotaLimit.resource == row.resource, quotas.overridden()).limit(1)
    if w.session.scalar(limits):
        raise Forbidden(f"Unable to update or delete registered limit {row.id} because there are project limits "
                        "associated with it.")  # fmt: skip


def refuse_unknown(known: Known, service_id: str | None, region_id: str | None, target: str) -> None:
    """Raises ``Invalid`` for a service or a region that is not there."""
    if service_id is not None and service_id not in known.services:
        raise missing("service_id", target)
    if region_id is not None and region_id not in known.regions:
        raise missing("region_id", target)


def missing(field: str, target: str) -> Invalid:
    """What is named is not there."""
    return Invalid(f"Expecting to find {field} in {target}: there is no {field.removesuffix('_id')} of that id.",
                   field=field)  # fmt: skip


def duplicate(kind: str) -> Conflict:
    """There is one already."""
    return Conflict(f"Conflict occurred attempting to store {kind} - Duplicate entry.")
