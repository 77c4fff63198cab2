"""Objects, properties and tags of a namespace of metadata definitions: one by one, or all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.image import metadefs
from novalite.cloud.image.metadef_records import MetadefItem
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

KINDS = ("object", "property", "tag")


def list_items(w: Work, namespace: str, kind: str) -> list[MetadefItem]:
    """By name."""
    number = metadefs.get(w, namespace).number
    query = sa.select(MetadefItem).where(MetadefItem.namespace_number == number, MetadefItem.kind == kind)
    return list(w.session.scalars(query.order_by(MetadefItem.name)))


def get(w: Work, namespace: str, kind: str, name: str) -> MetadefItem:
    """Raises ``NotFound``."""
    number = metadefs.get(w, namespace).number
    found = w.session.get(MetadefItem, (number, kind, name))
    if found is None:
        raise NotFound(
            f"metadata definition {kind}", name,
            message=f"The metadata definition {kind} with name={name[:80]} was not found in namespace={namespace}.",
        )  # fmt: skip
    return found


def add(w: Work, namespace: str, kind: str, bodies: Mapping[str, Mapping[str, Any]]) -> list[MetadefItem]:
    """New ones by name. Raises ``Conflict`` when one of the names is taken, ``Invalid`` when there are too many."""
    number = metadefs.get(w, namespace).number
    taken = {item.name for item in list_items(w, namespace, kind)}
    doubles = taken & bodies.keys()
    if doubles:
        raise Conflict(
            f"A metadata definition {kind} with name={min(doubles)} already exists in namespace={namespace}.",
            code="metadef.exists",
        )  # fmt: skip
    if len(taken) + len(bodies) > metadefs.MOST_ITEMS:
        raise Invalid(f"A namespace may have at most {metadefs.MOST_ITEMS} of each kind.", field="name")
    made = [
        MetadefItem(
            namespace_number=number, kind=kind, name=name, body=dict(body), created_at=w.now, updated_at=w.now
        )
        for name, body in bodies.items()
    ]  # fmt: skip
    w.session.add_all(made)
    w.session.flush()
    return made


def update(w: Work, namespace: str, kind: str, name: str, new_name: str, body: Mapping[str, Any]) -> MetadefItem:
    """Replaces it; it may have another name then. Raises ``NotFound``, ``Conflict``."""
    held = get(w, namespace, kind, name)
    if new_name != name:
        created_at = held.created_at
        w.session.delete(held)
        w.session.flush()
        [held] = add(w, namespace, kind, {new_name: body})
        held.created_at = created_at
    held.body, held.updated_at = dict(body), w.now
    w.session.flush()
    return held


def delete(w: Work, namespace: str, kind: str, name: str) -> None:
    """Raises ``NotFound``, ``Forbidden`` when the namespace is protected."""
    metadefs.require_unprotected(metadefs.get(w, namespace))
    w.session.delete(get(w, namespace, kind, name))


def delete_all(w: Work, namespace: str, kind: str) -> None:
    """Raises ``Forbidden`` when the namespace is protected."""
    found = metadefs.get(w, namespace)
    metadefs.require_unprotected(found)
    rows = (MetadefItem.namespace_number == found.number, MetadefItem.kind == kind)
    w.changed(sa.delete(MetadefItem).where(*rows))
    w.session.expire_all()


def replace_tags(w: Work, namespace: str, names: Iterable[str], *, append: bool) -> list[MetadefItem]:
    """Exactly these tags, or these too. Raises ``Conflict`` when one is named twice, or is there already."""
    wanted = list(names)
    if len(set(wanted)) != len(wanted):
        raise Conflict("A tag is named twice.", code="metadef.exists")
    if not append:
        found = metadefs.get(w, namespace)
        rows = (MetadefItem.namespace_number == found.number, MetadefItem.kind == "tag")
        w.changed(sa.delete(MetadefItem).where(*rows))
        w.session.expire_all()
    return add(w, namespace, "tag", {name: {} for name in wanted})
