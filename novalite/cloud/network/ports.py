"""Ports: made with their MAC and address at once, bound to servers, seen by Compute in one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from novalite.cloud.network import led_ports, security_groups, service_ports
from novalite.cloud.network.new_ports import NewPort, create, create_many, loaded, with_parts
from novalite.cloud.network.port_views import (
    DHCP,
    ROUTED,
    PortView,
    of_device,
    of_devices,
    of_server,
    specs,
)
from novalite.cloud.network.records import FixedIp, Network, Port, PortSecurityGroup
from novalite.db.work import Work
from novalite.errors import Conflict, NotFound

__all__ = [
    "NewPort",
    "PortView",
    "ask_wiring",
    "bind",
    "create",
    "create_many",
    "delete",
    "get",
    "list_visible",
    "of_device",
    "of_devices",
    "of_server",
    "query_visible",
    "remove_of_device",
    "set_host",
    "specs",
    "unbind",
    "update",
]


def query_visible(w: Work) -> sa.Select[Port]:
    """Ports of the caller's project and of its networks, with addresses and groups; an administrator sees all."""
    query = with_parts(sa.select(Port))
    if w.ctx.is_admin:
        return query
    mine = sa.select(Network.id).where(Network.project_id == w.ctx.project_id)
    return query.where(sa.or_(Port.project_id == w.ctx.project_id, Port.network_id.in_(mine)))


def list_visible(
    w: Work, *, columns: Mapping[str, Sequence[str]], fixed_ips: Mapping[str, Sequence[str]]
) -> list[Port]:
    """The caller's ports, oldest first. ``columns`` maps a column to the values it may have, ``fixed_ips`` the same
    for ``ip_address``, ``ip_address_substr`` (a part of it) and ``subnet_id`` of an address."""
    query = query_visible(w).order_by(Port.created_at, Port.id)
    for name, values in columns.items():
        query = query.where(getattr(Port, name).in_(values))
    if fixed_ips:
        wanted = [_address_test(name, values) for name, values in fixed_ips.items()]
        query = query.where(sa.exists().where(FixedIp.port_id == Port.id, *wanted))
    return list(w.session.scalars(query))


def _address_test(name: str, values: Sequence[str]) -> sa.ColumnElement[bool]:
    if name == "ip_address_substr":
        return sa.or_(*(FixedIp.ip_address.contains(text, autoescape=True) for text in values))
    test: sa.ColumnElement[bool] = getattr(FixedIp, name).in_(values)
    return test


def get(w: Work, port_id: str) -> Port:
    """A port of the caller, with its addresses and groups."""
    port = w.session.scalar(query_visible(w).where(Port.id == port_id), execution_options={"populate_existing": True})
    if port is None:
        raise NotFound("port", port_id)
    return port


def bind(
    w: Work,
    port_id: str,
    device_id: str,
    device_owner: str,
    host: str = "",
    *,
    dns_name: str = "",
    tag: str = "",
    position: int = 0,
) -> None:
    """Give a port to a device, as its card number ``position``; repeating it is allowed. ``dns_name`` empty: the
    port's own. Raises ``Conflict`` when another device has it."""
    values = {
        "device_id": device_id, "device_owner": device_owner, "host": host, "dns_name": dns_name or Port.dns_name,
        "tag": tag, "position": position, "updated_at": w.now, "revision": Port.revision + 1,
    }  # fmt: skip
    free = sa.update(Port).where(Port.id == port_id, Port.device_id.in_(("", device_id)))
    hit = w.changed(free.values(values))
    if not hit:
        get(w, port_id)
        raise Conflict(f"Port {port_id} is still in use.", code="port.in_use")
    w.announce("port", port_id)


def set_host(w: Work, device_id: str, host: str) -> None:
    """Record where the ports of a device are plugged in; empty: nowhere."""
    w.changed(sa.update(Port).where(Port.device_id == device_id).values(host=host, updated_at=w.now))


def ask_wiring(w: Work, device_id: str, wiring: Mapping[str, Any]) -> None:
    """Record what a server's flavor asks of its ports (``Port.wiring``). Repeatable."""
    for port in w.session.scalars(sa.select(Port).where(Port.device_id == device_id)):
        if port.wiring != wiring:
            port.wiring = dict(wiring)
    w.session.flush()


def unbind(w: Work, port_id: str) -> None:
    """Take a port away from its device; it keeps its addresses, but for one that was seen on a LAN. An absent port is a
    success."""
    w.changed(
        sa.update(Port)
        .where(Port.id == port_id)
        .values(device_id="", device_owner="", host="", updated_at=w.now, revision=Port.revision + 1)
    )
    seen = sa.exists().where(Port.id == port_id, Port.ip_allocation == "deferred")
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id == port_id, seen))
    w.announce("port", port_id)


def update(w: Work, port_id: str, changes: Mapping[str, Any], *, groups: Sequence[str] | None = None) -> Port:
    """Set columns of a port, and its security groups (names or ids). Raises ``Conflict`` for a port without port
    security that is to be in groups."""
    port = get(w, port_id)
    for name, value in changes.items():
        setattr(port, name, value)
    port.updated_at, port.revision = w.now, port.revision + 1
    if groups is not None:
        _join(w, port, groups)
    w.session.flush()
    found = loaded(w, [port_id])[0]
    if found.groups and not found.port_security:
        raise Conflict(
            "Port has security group associated. Cannot disable port security or IP address until security group is "
            "removed.",
            code="port_security.port_has_security_group",
        )
    w.announce("port", port_id, port.project_id)
    w.announce(security_groups.PORT_TOPIC, port_id, port.project_id)
    return found


def _join(w: Work, port: Port, groups: Sequence[str]) -> None:
    ids = security_groups.resolve(w, groups, port.project_id) if groups else []
    w.changed(sa.delete(PortSecurityGroup).where(PortSecurityGroup.port_id == port.id))
    w.session.add_all(PortSecurityGroup(port_id=port.id, group_id=group_id) for group_id in ids)


def delete(w: Work, port_id: str) -> Port:
    """Delete a port of the caller and give its address back. Raises ``Conflict`` while a server or router has it."""
    port = get(w, port_id)
    if port.device_owner == DHCP:
        service_ports.renew(w, port.network_id)
        return port
    if port.device_owner in ROUTED:
        raise Conflict(
            f"Port {port_id} cannot be deleted directly via the port API: has device owner {port.device_owner}.",
            code="service_port.in_use")  # fmt: skip
    if port.device_id:
        raise Conflict(
            f"Port {port_id} cannot be deleted directly: device {port.device_id} has it.", code="port.in_use",
            hint="Delete the server, or detach the port from it.")  # fmt: skip
    _delete(w, [port_id])
    return port


def _delete(w: Work, ids: Sequence[str]) -> None:
    if not ids:
        return
    led_ports.forget(w, ids)
    w.changed(sa.delete(FixedIp).where(FixedIp.port_id.in_(ids)))
    w.changed(sa.delete(PortSecurityGroup).where(PortSecurityGroup.port_id.in_(ids)))
    w.changed(sa.delete(Port).where(Port.id.in_(ids)))
    gone = set(ids)
    for record in list(w.session.identity_map.values()):
        if isinstance(record, Port) and record.id in gone:
            w.session.expunge(record)
    for port_id in ids:
        w.announce("port", port_id)


def remove_of_device(w: Work, device_id: str) -> list[str]:
    """Delete the ports that Compute made for the device and free the user's own; the ids of all of them."""
    rows = w.session.execute(sa.select(Port.id, Port.is_compute_made).where(Port.device_id == device_id)).all()
    _delete(w, [row.id for row in rows if row.is_compute_made])
    for row in rows:
        if not row.is_compute_made:
            unbind(w, row.id)
    return [row.id for row in rows]
