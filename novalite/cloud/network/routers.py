"""Routers: names, administrative state, and the way outside. What they join is in ``router_ports``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload

from novalite.cloud.network import quota, router_ports
from novalite.cloud.network.records import Port, Router
from novalite.cloud.network.routing import INTERFACE, ROUTER_TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound


@dataclass(frozen=True)
class Gateway:
    """A way outside: by an external network, from ``ip_address`` of it when given."""

    network_id: str
    enable_snat: bool | None = None
    ip_address: str | None = None


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
    _lead(w, router, gateway)
    w.session.flush()
    return get(w, router.id)


def update(w: Work, router_id: str, changes: Mapping[str, Any], **more: Gateway | None) -> Router:
    """Set columns (name, description, admin_state_up); ``gateway``, when given, replaces the way outside."""
    router = get(w, router_id)
    for name, value in changes.items():
        setattr(router, name, value)
    if "gateway" in more:
        _lead(w, router, more["gateway"])
    router.updated_at, router.revision = w.now, router.revision + 1
    w.session.flush()
    w.announce(ROUTER_TOPIC, router.id, router.project_id)
    return get(w, router.id)


def _lead(w: Work, router: Router, gateway: Gateway | None) -> None:
    if gateway is None:
        router_ports.clear_gateway(w, router)
        return
    router_ports.set_gateway(w, router, gateway.network_id, ip_address=gateway.ip_address)
    if gateway.enable_snat is not None:
        router.enable_snat = gateway.enable_snat


def delete(w: Work, router_id: str) -> None:
    """Delete a router and its gateway. Raises ``Conflict`` while it has interfaces."""
    router = get(w, router_id)
    if any(port.device_owner == INTERFACE for port in router.ports):
        raise Conflict(f"Router {router_id} still has ports", code="router.in_use")
    router_ports.clear_gateway(w, router)
    w.session.flush()
    w.session.expunge(router)
    w.changed(sa.delete(Router).where(Router.id == router_id))
    w.announce(ROUTER_TOPIC, router_id, router.project_id)
