"""Ports of floating addresses that lead to ports of guests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from novalite.cloud.network import floating_ips
from novalite.cloud.network.forward_records import FloatingForward
from novalite.cloud.network.records import FloatingIp
from novalite.cloud.network.routing import ROUTER_TOPIC
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class NewForward:
    """``external`` and ``internal`` are first and last ports, as many of each. ``address`` None: the port's first IPv4
    address."""

    port_id: str
    protocol: str
    external: tuple[int, int]
    internal: tuple[int, int]
    address: str | None = None
    description: str = ""


def _bad(reason: str, field: str) -> Invalid:
    return Invalid(f"Bad port_forwarding request: {reason}.", code="bad_request", field=field)


def list_of(w: Work, floating_id: str) -> list[FloatingForward]:
    """Those of one floating address of the caller, oldest first."""
    floating_ips.get(w, floating_id)
    query = sa.select(FloatingForward).where(FloatingForward.floating_id == floating_id)
    return list(w.session.scalars(query.order_by(FloatingForward.created_at, FloatingForward.id)))


def get(w: Work, floating_id: str, forward_id: str) -> FloatingForward:
    floating_ips.get(w, floating_id)
    query = sa.select(FloatingForward).where(
        FloatingForward.floating_id == floating_id, FloatingForward.id == forward_id
    )
    found = w.session.scalar(query)
    if found is None:
        raise NotFound("port forwarding", forward_id, message=f"Port Forwarding {forward_id} could not be found.")
    return found


def create(w: Work, floating_id: str, new: NewForward) -> FloatingForward:
    """Raises ``Invalid`` for ranges and addresses that do not fit, ``NotFound`` for the port and for no router between
    them, ``Conflict`` for an address or ports in use."""
    floating = floating_ips.get(w, floating_id)
    made = FloatingForward(id=new_id(), floating_id=floating_id, created_at=w.now)
    _fill(w, floating, made, new)
    w.session.add(made)
    w.session.flush()
    _follow(w, floating)
    return made


def update(w: Work, floating_id: str, forward_id: str, changes: Mapping[str, Any]) -> FloatingForward:
    """``changes`` are fields of ``NewForward``. Raises as ``create``."""
    floating, forward = floating_ips.get(w, floating_id), get(w, floating_id, forward_id)
    given = dict(changes)
    if given.get("port_id", forward.port_id) != forward.port_id:
        given.setdefault("address", None)
    before = NewForward(
        forward.port_id, forward.protocol, _range(forward), internal(forward), forward.fixed_ip_address,
        forward.description,
    )  # fmt: skip
    with w.session.no_autoflush:
        _fill(w, floating, forward, replace(before, **given))
    w.session.flush()
    _follow(w, floating)
    return forward


def _range(forward: FloatingForward) -> tuple[int, int]:
    return forward.external_first, forward.external_last


def internal(forward: FloatingForward) -> tuple[int, int]:
    """First and last port of the guest."""
    return forward.internal_first, forward.internal_first + forward.external_last - forward.external_first


def _fill(w: Work, floating: FloatingIp, forward: FloatingForward, new: NewForward) -> None:
    _check_ranges(new)
    if floating.port_id is not None:
        raise Conflict(
            f"Floating IP {floating.id} is associated with port {floating.port_id}: its ports cannot be forwarded.",
            code="floating_ip.in_use",
        )
    port, fixed = floating_ips.target(w, new.port_id, new.address, error=_bad)
    bound = sa.exists().where(FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address == fixed.ip_address)
    if w.session.scalar(sa.select(bound)):
        raise Conflict(
            f"Cannot create port forwarding to floating IP {floating.ip_address} ({floating.id}) with port {port.id} "
            f"using fixed IP {fixed.ip_address}, as that port already has a binding floating IP.",
            code="port.has_binding_floating_ip",
        )
    router_id = floating_ips.router_between(w, floating, port, fixed)
    _refuse_other_router(w, floating, forward.id, router_id)
    _refuse_taken(w, floating, forward.id, new)
    forward.port_id, forward.protocol, forward.router_id = port.id, new.protocol, router_id
    forward.fixed_ip_address, forward.internal_first = fixed.ip_address, new.internal[0]
    forward.external_first, forward.external_last = new.external
    forward.description = new.description


def _refuse_other_router(w: Work, floating: FloatingIp, forward_id: str, router_id: str) -> None:
    row = FloatingForward
    other = sa.exists().where(row.floating_id == floating.id, row.id != forward_id, row.router_id != router_id)
    if w.session.scalar(sa.select(other)):
        raise _bad(f"Floating IP {floating.id} forwards ports by another router than {router_id}", "internal_port_id")


def _check_ranges(new: NewForward) -> None:
    for (first, last), field in ((new.external, "external_port_range"), (new.internal, "internal_port_range")):
        if not 1 <= first <= last <= 65535:
            raise _bad(f"{field} {first}:{last} is no range of ports from 1 to 65535", field)
    inside, outside = (last - first for first, last in (new.internal, new.external))
    if inside != outside:
        raise _bad("The internal and the external port range have different sizes", "internal_port_range")


def _refuse_taken(w: Work, floating: FloatingIp, forward_id: str, new: NewForward) -> None:
    row = FloatingForward
    first, last = new.external
    other = w.session.scalar(
        sa.select(row).where(
            row.floating_id == floating.id, row.protocol == new.protocol, row.id != forward_id,
            row.external_first <= last, row.external_last >= first,
        )
    )  # fmt: skip
    if other is not None:
        raise Conflict(
            f"A duplicate port forwarding entry with same attributes already exists, conflicting values are "
            f"{{'floatingip_id': '{floating.id}', 'external_port_range': '{first}:{last}', "
            f"'protocol': '{new.protocol}'}}", code="bad_request")  # fmt: skip
    low, high = new.internal
    same = w.session.scalar(
        sa.select(row).where(
            row.port_id == new.port_id, row.protocol == new.protocol, row.id != forward_id,
            row.floating_id == floating.id, row.internal_first <= high,
            row.internal_first + row.external_last - row.external_first >= low,
        )
    )  # fmt: skip
    if same is not None and new.address in (None, same.fixed_ip_address):
        raise Conflict(
            f"A duplicate port forwarding entry with same attributes already exists, conflicting values are "
            f"{{'internal_port_id': '{new.port_id}', 'internal_port_range': '{low}:{high}', "
            f"'protocol': '{new.protocol}'}}", code="bad_request")  # fmt: skip


def delete(w: Work, floating_id: str, forward_id: str) -> None:
    floating, forward = floating_ips.get(w, floating_id), get(w, floating_id, forward_id)
    w.session.delete(forward)
    w.session.flush()
    w.announce(ROUTER_TOPIC, forward.router_id, floating.project_id)
    _follow(w, floating)


def _follow(w: Work, floating: FloatingIp) -> None:
    """The floating address belongs to the router that forwards its ports, while it does."""
    query = sa.select(FloatingForward.router_id).where(FloatingForward.floating_id == floating.id).limit(1)
    floating.router_id = w.session.scalar(query)
    floating.updated_at, floating.revision = w.now, floating.revision + 1
    w.session.flush()
    if floating.router_id:
        w.announce(ROUTER_TOPIC, floating.router_id, floating.project_id)


def forget_ports(w: Work, port_ids: Sequence[str], addresses: Sequence[str] | None = None) -> None:
    """Ports are going, or these addresses of them: nothing leads there any more."""
    row = FloatingForward
    query = sa.select(row).where(row.port_id.in_(port_ids))
    if addresses is not None:
        query = query.where(row.fixed_ip_address.in_(addresses))
    for forward in w.session.scalars(query).all():
        floating = w.session.get_one(FloatingIp, forward.floating_id)
        w.session.delete(forward)
        w.session.flush()
        w.announce(ROUTER_TOPIC, forward.router_id, floating.project_id)
        _follow(w, floating)
