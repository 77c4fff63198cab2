"""The network that a project gets without making one: with a subnet, and a router that leads outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from novalite.cloud.network import networks, router_ports, routers, subnet_pools, subnets
from novalite.cloud.network.addresses import free_range
from novalite.cloud.network.networks import NetworkRequest, NewNetwork
from novalite.cloud.network.records import Network, Router, Subnet
from novalite.cloud.network.router_gateways import Gateway
from novalite.cloud.network.subnet_pool_records import AutoTopology
from novalite.db.work import Work
from novalite.errors import Conflict

NETWORK, SUBNET, ROUTER = "auto_allocated_network", "auto_allocated_subnet_v4", "auto_allocated_router"


def _failure(reason: str) -> Conflict:
    return Conflict(f"Deployment error: {reason}.", code="auto_allocation.failure")


def _outside(w: Work) -> Network | None:
    query = networks.query_visible(w).where(Network.is_external, Network.subnets.any())
    return w.session.scalar(query.order_by(Network.is_default.desc(), Network.created_at, Network.id).limit(1))


def outside(w: Work) -> Network:
    """The external network that such routers lead to: the default one, else the oldest. Raises ``Conflict``."""
    found = _outside(w)
    if found is None:
        raise _failure("No default router:external network")
    return found


def choose(w: Work, requested: str | Sequence[NetworkRequest] | None) -> list[NetworkRequest]:
    """As ``networks.choose``; for ``auto`` a project without a network gets one, where there is a way outside."""
    if requested == "auto" and w.session.scalar(networks.usable(w).limit(1)) is None and _outside(w) is not None:
        return [NetworkRequest(network_id=ensure(w, w.ctx.project_id))]
    return networks.choose(w, requested)


def find(w: Work, project_id: str) -> str | None:
    """The id of the network that was made for the project, while it is there."""
    made = w.session.get(AutoTopology, project_id)
    if made is None or w.session.get(Network, made.network_id) is None:
        return None
    return made.network_id


def ensure(w: Work, project_id: str, *, machine_uses: Iterable[str] = ()) -> str:
    """The id of the project's network, made now when there is none: with a range of the default subnet pool, or one
    that nobody here uses. Raises ``Conflict`` without an external network, ``OverQuota``."""
    found = find(w, project_id)
    if found is not None:
        return found
    public = outside(w)
    w.changed(sa.delete(AutoTopology).where(AutoTopology.project_id == project_id))
    network = networks.create(w, NewNetwork(NETWORK, project_id=project_id))
    _add_subnet(w, network, project_id, machine_uses)
    router = routers.create(w, name=ROUTER, gateway=Gateway(public.id), project_id=project_id)
    for subnet in w.session.scalars(sa.select(Subnet.id).where(Subnet.network_id == network.id)).all():
        router_ports.add_subnet(w, router, subnet)
    try:
        with w.session.begin_nested():
            w.session.add(AutoTopology(project_id=project_id, network_id=network.id, router_id=router.id))
            w.session.flush()
    except IntegrityError:
        raise Conflict("Another request makes the project's network.", code="state.race", hint="Try again.") from None
    return network.id


def _add_subnet(w: Work, network: Network, project_id: str, machine_uses: Iterable[str]) -> None:
    pool = subnet_pools.default(w, 4)
    if pool is not None:
        cidr = subnet_pools.allocate(w, pool.id, project_id=project_id)
    else:
        cidr = free_range([*machine_uses, *w.session.scalars(sa.select(Subnet.cidr))])
    subnet = subnets.create(w, network, subnets.NewSubnet(cidr=cidr, name=SUBNET))
    subnet.subnetpool_id = None if pool is None else pool.id
    w.session.flush()


def remove(w: Work, project_id: str) -> None:
    """Take it all away; success when there is none. Raises ``Conflict`` while something uses it."""
    made = w.session.get(AutoTopology, project_id)
    if made is None:
        return
    if w.session.get(Router, made.router_id) is not None:
        router = routers.get(w, made.router_id)
        mine = sa.select(Subnet.id).where(Subnet.network_id == made.network_id)
        for subnet_id in w.session.scalars(mine).all():
            router_ports.remove(w, router, subnet_id=subnet_id)
        routers.delete(w, made.router_id)
    if w.session.get(Network, made.network_id) is not None:
        networks.delete(w, made.network_id)
    w.session.delete(made)
    w.session.flush()
