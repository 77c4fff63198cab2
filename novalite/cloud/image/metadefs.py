"""Namespaces of metadata definitions, and the types of resource they are meant for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from novalite.cloud.image.metadef_records import MetadefAssociation, MetadefItem, MetadefNamespace
from novalite.db.paging import Page, page_of
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

RESOURCE_TYPES = (
    "OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server"
)  # fmt: skip
"""Those that the services here have. Others are known once a namespace is associated with them."""
SORT_KEYS: Mapping[str, Any] = {
    "namespace": MetadefNamespace.namespace, "created_at": MetadefNamespace.created_at,
    "updated_at": MetadefNamespace.updated_at,
}  # fmt: skip
MOST_ITEMS = 1000
_CHANGEABLE = ("namespace", "owner", "visibility", "protected", "display_name", "description")


@dataclass(frozen=True)
class Whole:
    """A namespace with what belongs to it, by kind."""

    namespace: MetadefNamespace
    associations: Sequence[MetadefAssociation]
    items: Mapping[str, Sequence[MetadefItem]]


def _visible(w: Work) -> sa.ColumnElement[bool]:
    if w.ctx.is_admin:
        return sa.true()
    return sa.or_(MetadefNamespace.visibility == "public", MetadefNamespace.owner == w.ctx.project_id)


def list_visible(
    w: Work, page: Page, *, visibility: str = "", resource_types: Iterable[str] = ()
) -> list[MetadefNamespace]:
    """A page of namespaces, newest first."""
    query = sa.select(MetadefNamespace).where(_visible(w))
    if visibility:
        query = query.where(MetadefNamespace.visibility == visibility)
    wanted = tuple(resource_types)
    if wanted:
        meant = sa.exists().where(
            MetadefAssociation.namespace_number == MetadefNamespace.number, MetadefAssociation.name.in_(wanted)
        )
        query = query.where(meant)
    return page_of(
        w, query, MetadefNamespace, page, SORT_KEYS, default=("created_at",), descending=True, visible=_visible(w),
        identity=MetadefNamespace.namespace,
    )  # fmt: skip


def get(w: Work, name: str) -> MetadefNamespace:
    """Raises ``NotFound``, also for what another project keeps for itself."""
    found = w.session.scalar(sa.select(MetadefNamespace).where(MetadefNamespace.namespace == name, _visible(w)))
    if found is None:
        raise NotFound("metadata definition namespace", name,
                       message=f"Metadata definition namespace={name[:80]} was not found.")  # fmt: skip
    return found


def require_unprotected(namespace: MetadefNamespace) -> None:
    """Raises ``Forbidden``."""
    if namespace.protected:
        raise Forbidden(f"Metadata definition namespace {namespace.namespace} is protected and cannot be deleted.",
                        code="metadef.protected")  # fmt: skip


def whole(w: Work, namespace: MetadefNamespace) -> Whole:
    """Two queries."""
    rows = w.session.scalars(
        sa.select(MetadefItem).where(MetadefItem.namespace_number == namespace.number).order_by(MetadefItem.name)
    )
    items: dict[str, list[MetadefItem]] = {}
    for row in rows:
        items.setdefault(row.kind, []).append(row)
    return Whole(namespace, associations(w, [namespace])[namespace.number], items)


def associations(w: Work, namespaces: Iterable[MetadefNamespace]) -> dict[int, list[MetadefAssociation]]:
    """By number of the namespace, an entry for each; one query."""
    found: dict[int, list[MetadefAssociation]] = {one.number: [] for one in namespaces}
    rows = w.session.scalars(
        sa.select(MetadefAssociation)
        .where(MetadefAssociation.namespace_number.in_(found))
        .order_by(MetadefAssociation.name)
    )
    for row in rows:
        found[row.namespace_number].append(row)
    return found


def create(w: Work, name: str, values: Mapping[str, Any]) -> MetadefNamespace:
    """Raises ``Conflict`` when the name is taken."""
    _require_free(w, name)
    given = {key: value for key, value in values.items() if key in _CHANGEABLE and key != "namespace"}
    given.setdefault("owner", w.ctx.project_id)
    made = MetadefNamespace(namespace=name, created_at=w.now, updated_at=w.now, **given)
    w.session.add(made)
    w.session.flush()
    return made


def update(w: Work, name: str, values: Mapping[str, Any]) -> MetadefNamespace:
    """Replaces everything that can be changed; what is not given has its default again, but for the owner."""
    found = get(w, name)
    wanted = {"visibility": "private", "protected": False, "display_name": None, "description": None, **values}
    if wanted.get("namespace", name) != name:
        _require_free(w, wanted["namespace"])
    for key in _CHANGEABLE:
        if key in wanted:
            setattr(found, key, wanted[key])
    found.updated_at = w.now
    w.session.flush()
    return found


def delete(w: Work, name: str) -> None:
    """With everything in it. Raises ``NotFound``, ``Forbidden`` when it is protected."""
    found = get(w, name)
    require_unprotected(found)
    for record in (MetadefItem, MetadefAssociation):
        w.changed(sa.delete(record).where(record.namespace_number == found.number))
    w.session.delete(found)


def _require_free(w: Work, name: str) -> None:
    if w.session.scalar(sa.select(MetadefNamespace.number).where(MetadefNamespace.namespace == name)) is not None:
        raise Conflict(f"The metadata definition namespace={name} already exists.", code="metadef.exists")


def resource_types(w: Work) -> list[str]:
    """Every type that is known."""
    found = w.session.scalars(sa.select(MetadefAssociation.name).distinct())
    return sorted({*RESOURCE_TYPES, *found})


def associate(w: Work, name: str, resource_type: str, **more: str | None) -> MetadefAssociation:
    """Raises ``Conflict`` when it is associated already, ``Invalid`` when there are too many."""
    namespace = get(w, name)
    held = associations(w, [namespace])[namespace.number]
    if any(one.name == resource_type for one in held):
        raise Conflict(
            f"The metadata definition resource-type association of resource-type={resource_type} to "
            f"namespace={name} already exists.", code="metadef.exists",
        )  # fmt: skip
    if len(held) >= MOST_ITEMS:
        raise Invalid(f"A namespace may have at most {MOST_ITEMS} associations.", field="name")
    made = MetadefAssociation(
        namespace_number=namespace.number, name=resource_type, created_at=w.now, updated_at=w.now, **more
    )
    w.session.add(made)
    w.session.flush()
    return made


def dissociate(w: Work, name: str, resource_type: str) -> None:
    """Raises ``NotFound``, ``Forbidden`` when the namespace is protected."""
    namespace = get(w, name)
    require_unprotected(namespace)
    held = w.session.get(MetadefAssociation, (namespace.number, resource_type))
    if held is None:
        raise NotFound("resource type association", resource_type)
    w.session.delete(held)
