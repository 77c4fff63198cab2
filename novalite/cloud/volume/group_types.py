"""Types of groups of volumes, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from novalite.cloud.volume.records import GroupType, VolumeGroup
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

SORT_KEYS: Mapping[str, Any] = {
    "id": GroupType.id, "name": GroupType.name, "created_at": GroupType.created_at, "is_public": GroupType.is_public,
}  # fmt: skip


def _visible(w: Work) -> sa.ColumnElement[bool]:
    return sa.true() if w.ctx.is_admin else GroupType.is_public.is_(True)


def get(w: Work, wanted: str) -> GroupType:
    """By id or name. Raises ``NotFound`` for those the caller does not see."""
    row = GroupType
    found = w.session.scalar(sa.select(row).where(sa.or_(row.id == wanted, row.name == wanted), _visible(w)).limit(1))
    if found is None:
        raise NotFound("group type", wanted, message=f"Group type {wanted[:255]} could not be found.")
    return found


def list_visible(w: Work, page: Page, *, is_public: bool | None) -> list[GroupType]:
    query = sa.select(GroupType).where(_visible(w))
    if is_public is not None and w.ctx.is_admin:
        query = query.where(GroupType.is_public.is_(is_public))
    return page_of(w, query, GroupType, page, SORT_KEYS, default=("created_at",), descending=True,
                   visible=_visible(w))  # fmt: skip


def create(
    w: Work, name: str, *, description: str | None, is_public: bool, group_specs: Mapping[str, str]
) -> GroupType:
    """Raises ``Conflict`` for a taken name."""
    _refuse_taken(w, name, "")
    made = GroupType(id=new_id(), name=name, description=description, is_public=is_public,
                     group_specs=dict(group_specs), created_at=w.now)  # fmt: skip
    w.session.add(made)
    w.session.flush()
    return made


def _refuse_taken(w: Work, name: str, own_id: str) -> None:
    if w.session.scalar(sa.select(GroupType.id).where(GroupType.name == name, GroupType.id != own_id)) is not None:
        raise Conflict(f"Group Type {name} already exists.", code="group_type.exists")


def update(w: Work, type_id: str, values: Mapping[str, Any]) -> GroupType:
    """Set ``name``, ``description``, ``is_public`` or ``group_specs``."""
    found = get(w, type_id)
    if "name" in values:
        _refuse_taken(w, values["name"], found.id)
    for name, value in values.items():
        setattr(found, name, value)
    found.updated_at = w.now
    w.session.flush()
    return found


def delete(w: Work, type_id: str) -> None:
    """Raises ``Invalid`` while groups have it."""
    found = get(w, type_id)
    if w.session.scalar(sa.select(VolumeGroup.id).where(VolumeGroup.group_type_id == found.id).limit(1)) is not None:
        raise Invalid(f"Group type {type_id} is in use.", field="id", code="group_type.in_use")
    w.session.delete(found)
