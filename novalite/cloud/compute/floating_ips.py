"""Floating addresses as Compute spoke of them: of servers, and taken from pools by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from novalite.cloud.compute.servers import change, get
from novalite.cloud.network import floating_ips
from novalite.cloud.network.records import FloatingIp, Network, Port
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound, OverQuota


@dataclass(frozen=True)
class Led:
    """A floating address with the name of its pool, and the server it leads to (empty: to none)."""

    floating: FloatingIp
    pool: str
    server_id: str
    host: str = ""


def of_ports(w: Work, server_ids: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """(port id, fixed address) -> floating addresses that lead there, for all cards of these servers in one query."""
    wanted = list(server_ids)
    if not wanted:
        return {}
    query = (
        sa.select(FloatingIp.port_id, FloatingIp.fixed_ip_address, FloatingIp.ip_address)
        .join(Port, Port.id == FloatingIp.port_id)
        .where(Port.device_id.in_(wanted))
        .order_by(FloatingIp.ip_address)
    )
    found: dict[tuple[str, str], list[str]] = {}
    for port_id, fixed, address in w.session.execute(query):
        found.setdefault((str(port_id), str(fixed)), []).append(address)
    return found


def list_own(w: Work) -> list[Led]:
    """The project's."""
    return _led(w, floating_ips.list_visible(w, everyones=False))


def list_all(w: Work) -> list[Led]:
    """Those of all projects, for administrators."""
    return _led(w, floating_ips.list_visible(w))


def show(w: Work, floating_id: str) -> Led:
    """Raises ``NotFound``."""
    with _named(floating_id):
        return _led(w, [floating_ips.get(w, floating_id)])[0]


def pools(w: Work) -> list[str]:
    """Names of the networks that floating addresses come from."""
    return [network.name or network.id for network in floating_ips.pools(w)]


def allocate(w: Work, pool: str | None) -> Led:
    """Take an address. Raises ``NotFound`` when there is no such pool, or nothing left in it; ``OverQuota``."""
    where = f" in pool {pool}." if pool else "."
    try:
        return _led(w, [floating_ips.allocate(w, pool)])[0]
    except OverQuota as error:
        raise OverQuota(error.resource, limit=error.limit, used=error.used, asked=error.asked,
                        message=f"IP allocation over quota{where}") from error  # fmt: skip
    except Conflict as error:
        message = f"No more floating IPs{where if pool else ' available.'}"
        raise NotFound("floating ip", pool or "", message=message) from error


def release(w: Work, floating_id: str) -> None:
    """Raises ``NotFound``."""
    with _named(floating_id):
        floating_ips.release(w, floating_id)


@contextmanager
def _named(floating_id: str) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise NotFound("floating ip", floating_id, message=f"Floating IP not found for ID {floating_id}") from error


def associate(w: Work, server_id: str, address: str, fixed_address: str | None) -> None:
    """Lead an address to a server, away from where it led. Raises ``NotFound`` for the server and the address,
    ``Invalid`` for everything that stands in the way."""
    server = get(w, server_id)
    try:
        floating_ips.by_address(w, address)
    except NotFound as error:
        raise NotFound("floating ip", address, message="floating IP not found") from error
    try:
        floating_ips.associate(w, address, server.id, fixed_address)
    except (Conflict, NotFound) as error:
        message = f"Unable to associate floating IP {address} with instance {server.id}. Error: {error.message}"
        raise Invalid(message, code=error.code, field="address") from error
    change(w, server.id, {})


def disassociate(w: Work, server_id: str, address: str) -> None:
    """Raises ``NotFound`` for the server and the address, ``Conflict`` when it does not lead there."""
    server = get(w, server_id)
    floating_ips.disassociate(w, address, server.id)
    change(w, server.id, {})


def _led(w: Work, found: list[FloatingIp]) -> list[Led]:
    port_ids, network_ids = {one.port_id for one in found if one.port_id}, {one.network_id for one in found}
    ports = {port.id: port for port in w.session.scalars(sa.select(Port).where(Port.id.in_(port_ids)))}
    pools = {each.id: each for each in w.session.scalars(sa.select(Network).where(Network.id.in_(network_ids)))}

    def led(one: FloatingIp) -> Led:
        port, network = ports.get(one.port_id or ""), pools[one.network_id]
        return Led(one, network.name or network.id, port.device_id if port else "", port.host if port else "")

    return [led(one) for one in found]
