"""A router's static routes: ranges that are reached by a host on one of the router's subnets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

import sqlalchemy as sa

from novalite.cloud.network import ranges
from novalite.cloud.network.records import FixedIp, Port, Router, Subnet
from novalite.cloud.network.routing import GATEWAY, INTERFACE, ROUTER_TOPIC
from novalite.db.work import Work
from novalite.errors import Invalid

MOST = 30
Route = dict[str, str]


def replace(w: Work, router: Router, wanted: Sequence[Mapping[str, str]]) -> None:
    """The router has exactly these. Raises ``Invalid`` for one whose next hop is not on a subnet of the router's or is
    the router itself, and for one that stands there twice."""
    routes = [_read(route) for route in wanted]
    for route in routes:
        if routes.count(route) > 1:
            raise Invalid(f"Invalid input for routes. Reason: Duplicate hostroute '{route}'.", field="routes")
    _set(w, router, routes)


def add(w: Work, router: Router, more: Sequence[Mapping[str, str]]) -> None:
    """It has these too; those it has already count once. Raises ``Invalid`` as ``replace``."""
    routes = [*router.routes]
    for route in map(_read, more):
        if route not in routes:
            routes.append(route)
    _set(w, router, routes)


def remove(w: Work, router: Router, gone: Sequence[Mapping[str, str]]) -> None:
    """It does not have these; those it never had do not matter."""
    unwanted = [_read(route) for route in gone]
    router.routes = [route for route in router.routes if route not in unwanted]
    w.announce(ROUTER_TOPIC, router.id, router.project_id)


def _set(w: Work, router: Router, routes: list[Route]) -> None:
    if len(routes) > MOST:
        raise Invalid(
            f"Unable to complete operation for {router.id}. The number of routes exceeds the maximum {MOST}.",
            code="routes.exhausted", field="routes")  # fmt: skip
    cidrs, own = _reach(w, router)
    for route in routes:
        if route in router.routes:
            continue
        hop = ip_address(route["nexthop"])
        if not any(hop in ip_network(cidr) for cidr in cidrs):
            raise _invalid(routes, "the nexthop is not connected with router")
        if route["nexthop"] in own:
            raise _invalid(routes, "the nexthop is used by router")
    router.routes = routes
    w.announce(ROUTER_TOPIC, router.id, router.project_id)


def _read(route: Mapping[str, str]) -> Route:
    try:
        range_, hop = ranges.read_range(route["destination"]), ranges.read_address(route["nexthop"])
    except ValueError as error:
        raise Invalid(f"Invalid input for routes. Reason: {error}.", field="routes") from None
    if range_.version != hop.version:
        raise Invalid(f"Invalid input for routes. Reason: {range_} is not reached by {hop}: they differ in IP version.",
                      field="routes")  # fmt: skip
    return {"destination": str(range_), "nexthop": str(hop)}


def _invalid(routes: Sequence[Route], reason: str) -> Invalid:
    return Invalid(f"Invalid format for routes: {routes}, {reason}", code="invalid_routes", field="routes")


def _reach(w: Work, router: Router) -> tuple[set[str], set[str]]:
    """The ranges that the router is on, and its addresses there."""
    query = (
        sa.select(Subnet.cidr, FixedIp.ip_address)
        .join(FixedIp, FixedIp.subnet_id == Subnet.id)
        .join(Port, Port.id == FixedIp.port_id)
        .where(Port.device_id == router.id, Port.device_owner.in_((INTERFACE, GATEWAY)))
    )
    rows = w.session.execute(query).all()
    return {row.cidr for row in rows}, {row.ip_address for row in rows}
