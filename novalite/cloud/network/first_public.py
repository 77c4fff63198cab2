"""The external network of the first start: floating addresses on the machine, and the router that leads to them."""

from __future__ import annotations

from novalite.cloud.network import networks, router_gateways, router_ports, routers, subnets
from novalite.db.work import Work

ROUTER = "router"


def ensure(w: Work, private_id: str, *, name: str, cidr: str) -> str:
    """The id of the new external network, whose addresses the machine has. The first network leads outside through
    a router from now on."""
    private = networks.get(w, private_id)
    public = networks.create(
        w, networks.NewNetwork(name, mtu=private.mtu, project_id=private.project_id, external=True)
    )
    public.is_default = True
    subnets.create(w, public, subnets.NewSubnet(cidr=cidr, name=name))
    gateway = router_gateways.Gateway(public.id)
    router = routers.create(w, name=ROUTER, gateway=gateway, project_id=private.project_id)
    private.nat = False
    router_ports.add_subnet(w, router, private.subnets[0].id)
    w.session.flush()
    return public.id
