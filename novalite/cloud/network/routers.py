"""Routers: names, administrative state, and the way outside. What they join is in ``router_ports``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import quota, router_gateways, router_routes
from novalite.cloud.network.records import Port, Router
from novalite.cloud.network.router_gateways import Gateway
from novalite.cloud.network.routing import INTERFACE, ROUTER_TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound


def query_visible(w: Work) -> sa.Select[Router]:
    """The caller's routers with their ports; an administrator sees all."""
    query = sa.select(Router).options(selectinload(Router.ports).selectinload(Port.fixed_ips))
    return query if w.ctx.is_admin else query.where(Router.project_id == w.ctx.project_id)


def list_visible(w: Work) -> list[Router]:
    """The caller's routers with their ports, oldest first."""
    return list(w.session.scalars(query_visible(w).order_by(Router.created_at, Router.id)))


def get(w: Work, router_id: str) -> Router:
    """One router as it is in the database now, with its ports."""
    query = query_visible(w).where(Router.id == router_id)
    router = w.session.scalar(query, execution_options={"populate_existing": True})
    if router is None:
        raise NotFound("router", router_id)
    return router


def create(
    w: Work,
    *,
    name: str = "",
    description: str = "",
    admin_state_up: bool = True,
    gateway: Gateway | None = None,
    project_id: str = "",
) -> Router:
    """A router that joins nothing yet. Raises ``OverQuota``, and what a gateway may raise."""
    owner = project_id or w.ctx.project_id
    quota.require(w, owner, "router")
    router = Router(
        id=new_id(),
        project_id=owner,
        name=name,
        description=description,
        admin_state_up=admin_state_up,
        created_at=w.now,
        updated_at=w.now,
    )
    w.session.add(router)
    w.session.flush()
    router_gateways.lead(w, router, gateway)
    w.session.flush()
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return get(w, router.id)


def update(w: Work, router_id: str, changes: Mapping[str, Any], **more: Gateway | None) -> Router:
    """Set columns (name, description, admin_state_up) and ``routes``; ``gateway``, when given, replaces the way
    outside. Raises what a gateway and routes may raise."""
    router, rest = get(w, router_id), dict(changes)
    routes = rest.pop("routes", None)
    for name, value in rest.items():
        setattr(router, name, value)
    if "gateway" in more:
        router_gateways.lead(w, router, more["gateway"])
    if routes is not None:
        router_routes.replace(w, router, routes)
    return _changed(w, router)


def add_routes(w: Work, router_id: str, routes: Sequence[Mapping[str, str]]) -> Router:
    """One unit sees all routes: two callers that add at once lose none."""
    router = hold(w, router_id)
    router_routes.add(w, router, routes)
    return _changed(w, router)


def remove_routes(w: Work, router_id: str, routes: Sequence[Mapping[str, str]]) -> Router:
    router = hold(w, router_id)
    router_routes.remove(w, router, routes)
    return _changed(w, router)


def hold(w: Work, router_id: str) -> Router:
    """The router, which no other unit changes before this one ends, as the caller may."""
    w.changed(sa.update(Router).where(Router.id == router_id).values(updated_at=w.now))
    return get(w, router_id)


def _changed(w: Work, router: Router) -> Router:
    router.updated_at, router.revision = w.now, router.revision + 1
    w.session.flush()
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return get(w, router.id)


def delete(w: Work, router_id: str) -> None:
    """Delete a router and its gateway. Raises ``Conflict`` while it has interfaces."""
    router = get(w, router_id)
    if any(port.device_owner == INTERFACE for port in router.ports):
        raise Conflict(f"Router {router_id} still has ports", code="router.in_use")
    router_gateways.clear(w, router)
    w.session.flush()
    w.session.expunge(router)
    w.changed(sa.delete(Router).where(Router.id == router_id))
    w.announce(ROUTER_TOPIC, router_id, router.project_id)
