"""Address groups: ranges under one name, for rules of security groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import grants, ranges
from novalite.cloud.network.address_group_records import AddressGroup
from novalite.cloud.network.default_rule_records import DefaultRule
from novalite.cloud.network.records import SecurityGroupRule
from novalite.cloud.network.security_groups import TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, Invalid, NotFound

KIND = "address_group"


def query_visible(w: Work) -> sa.Select[AddressGroup]:
    """The caller's address groups and those shared with it; an administrator sees all."""
    query = sa.select(AddressGroup).where(grants.visible(w, AddressGroup))
    return query.options(selectinload(AddressGroup.grants))


def list_visible(w: Work) -> list[AddressGroup]:
    return list(w.session.scalars(query_visible(w).order_by(AddressGroup.created_at, AddressGroup.id)))


def get(w: Work, group_id: str) -> AddressGroup:
    """One address group that the caller may see."""
    query = query_visible(w).where(AddressGroup.id == group_id)
    found = w.session.scalar(query, execution_options={"populate_existing": True})
    if found is None:
        raise NotFound("address group", group_id, message=f"Address group {group_id} could not be found.")
    return found


def get_own(w: Work, group_id: str) -> AddressGroup:
    """One that the caller may change."""
    found = get(w, group_id)
    if not w.ctx.is_admin and found.project_id != w.ctx.project_id:
        raise Forbidden("Policy doesn't allow update_address_group to be performed.", rule="update_address_group")
    return found


def create(
    w: Work, *, name: str = "", description: str = "", addresses: Iterable[str] = (), project_id: str = ""
) -> AddressGroup:
    """Raises ``Invalid`` for what is no range or address."""
    made = AddressGroup(
        id=new_id(),
        project_id=project_id or w.ctx.project_id,
        name=name,
        description=description,
        addresses=_ranges(addresses),
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(made)
    w.session.flush()
    return get(w, made.id)


def _ranges(addresses: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(map(_range, addresses)))


def _range(text: str) -> str:
    try:
        return str(ranges.read_range(text))
    except ValueError:
        raise Invalid(
            f"Invalid input for addresses. Reason: '{text[:80]}' is not a valid IP subnet.", field="addresses"
        ) from None


def update(w: Work, group_id: str, changes: dict[str, Any]) -> AddressGroup:
    """Set ``name`` and ``description``."""
    group = get_own(w, group_id)
    for name, value in changes.items():
        setattr(group, name, value)
    return _changed(w, group)


def _changed(w: Work, group: AddressGroup) -> AddressGroup:
    group.updated_at, group.revision = w.now, group.revision + 1
    w.session.flush()
    return group


def add_addresses(w: Work, group_id: str, addresses: Sequence[str]) -> AddressGroup:
    """Guests that run are reached from them within moments. Raises ``Invalid`` for addresses that it has."""
    group, more = get_own(w, group_id), _ranges(addresses)
    present = [text for text in more if text in set(group.addresses)]
    if present:
        raise Invalid(
            f"Addresses {', '.join(present)} already exist in the address group {group_id}.",
            code="addresses.already_exist", field="addresses")  # fmt: skip
    group.addresses = [*group.addresses, *more]
    _tell(w, group_id)
    return _changed(w, group)


def remove_addresses(w: Work, group_id: str, addresses: Sequence[str]) -> AddressGroup:
    """Raises ``NotFound`` for addresses that it does not have."""
    group, gone = get_own(w, group_id), set(_ranges(addresses))
    missing = sorted(gone - set(group.addresses))
    if missing:
        raise NotFound(
            "addresses", group_id,
            message=f"Addresses {', '.join(missing)} not found in the address group {group_id}.")  # fmt: skip
    group.addresses = [text for text in group.addresses if text not in gone]
    _tell(w, group_id)
    return _changed(w, group)


def _tell(w: Work, group_id: str) -> None:
    naming = SecurityGroupRule.remote_address_group_id == group_id
    for other in w.session.scalars(sa.select(SecurityGroupRule.group_id).where(naming).distinct()):
        w.announce(TOPIC, other)


def delete(w: Work, group_id: str) -> None:
    """Raises ``Conflict`` while rules name it."""
    group = get_own(w, group_id)
    named = (
        sa.exists().where(record.remote_address_group_id == group_id) for record in (SecurityGroupRule, DefaultRule)
    )
    if w.session.scalar(sa.select(sa.or_(*named))):
        raise Conflict(f"Address group {group_id} is in use on one or more security group rules.",
                       code="address_group.in_use")  # fmt: skip
    grants.forget(w, group_id)
    w.session.delete(group)
    w.session.flush()
