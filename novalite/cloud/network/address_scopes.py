"""Address scopes: within one, the ranges of subnet pools do not overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import grants
from novalite.cloud.network.records import Network
from novalite.cloud.network.subnet_pool_records import AddressScope, SubnetPool
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Forbidden, NotFound

KIND = "address_scope"


def query_visible(w: Work) -> sa.Select[AddressScope]:
    """The caller's address scopes and those shared with it; an administrator sees all."""
    query = sa.select(AddressScope).where(grants.visible(w, AddressScope))
    return query.options(selectinload(AddressScope.grants))


def list_visible(w: Work) -> list[AddressScope]:
    return list(w.session.scalars(query_visible(w).order_by(AddressScope.created_at, AddressScope.id)))


def get(w: Work, scope_id: str) -> AddressScope:
    query = query_visible(w).where(AddressScope.id == scope_id)
    found = w.session.scalar(query, execution_options={"populate_existing": True})
    if found is None:
        raise NotFound("address scope", scope_id, message=f"Address scope {scope_id} could not be found.")
    return found


def get_own(w: Work, scope_id: str) -> AddressScope:
    """One that the caller may change."""
    found = get(w, scope_id)
    if not w.ctx.is_admin and found.project_id != w.ctx.project_id:
        raise Forbidden("Policy doesn't allow update_address_scope to be performed.", rule="update_address_scope")
    return found


def create(w: Work, *, name: str, ip_version: int, shared: bool = False, project_id: str = "") -> AddressScope:
    owner = project_id or w.ctx.project_id
    made = AddressScope(id=new_id(), project_id=owner, name=name, ip_version=ip_version, created_at=w.now)
    w.session.add(made)
    w.session.flush()
    if shared:
        grants.open_to_all(w, KIND, made.id, owner)
    return get(w, made.id)


def update(w: Work, scope_id: str, changes: Mapping[str, Any]) -> AddressScope:
    """Set ``name``, and ``shared``, which stays once it is. Raises ``Conflict``."""
    scope = get_own(w, scope_id)
    scope.name = changes.get("name", scope.name)
    if "shared" in changes:
        if grants.is_shared(scope.grants, w.ctx) and not changes["shared"]:
            raise Conflict(
                f"Unable to update address scope {scope_id} : Shared address scope can't be unshared",
                code="address_scope.update_error",
            )
        if changes["shared"]:
            grants.open_to_all(w, KIND, scope_id, scope.project_id)
    w.session.flush()
    return get(w, scope_id)


def delete(w: Work, scope_id: str) -> None:
    """Raises ``Conflict`` while pools are in it."""
    scope = get_own(w, scope_id)
    if w.session.scalar(sa.select(sa.exists().where(SubnetPool.address_scope_id == scope_id))):
        raise Conflict(
            f"Unable to complete operation on address scope {scope_id}. There are one or more subnet pools in use on "
            "the address scope",
            code="address_scope.in_use",
        )
    grants.forget(w, scope_id)
    w.session.delete(scope)
    w.session.flush()


def of_network(network: Network, ip_version: int) -> str | None:
    """The scope that the network's subnets of this IP version are in, by their pools (loaded)."""
    for subnet in network.subnets:
        if subnet.ip_version == ip_version and subnet.subnetpool is not None:
            return subnet.subnetpool.address_scope_id
    return None
