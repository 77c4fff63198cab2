"""The machine's networks from the records: all of them at start, some of them when something is missing, and what is
seen there back into the records."""

from __future__ import annotations

from collections.abc import Iterable

from novalite import logs
from novalite.cloud.network import host_forwards, lans, networks, port_views, routing, security_groups
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.network.base import HostForwardSpec, NetworkDriver, NetworkSpec, PortSpec
from novalite.errors import DriverError

_log = logs.get("networks")
_LAN_SECONDS = 10.0


def restore(database: Database, driver: NetworkDriver) -> list[str]:
    """Every network, port and router of the records, made or mended on this machine; what others there are of this
    appliance goes. A network that cannot be made does not keep the others from it; returns the ids of those."""
    with database.read(internal()) as w:
        wanted, ports = networks.specs(w), port_views.all_specs(w)
        groups, routers, interfaces = security_groups.specs(w), routing.specs(w), lans.interfaces(w)
        forwards = host_forwards.specs(w)
    for interface in interfaces:
        _attach(driver, interface)
    driver.ensure_groups(groups, only=True)  # before the ports that are in them
    lost = [spec.id for spec in wanted if not _made(driver, spec, ports.get(spec.id, ()))]
    for network_id in set(driver.check().networks) - {spec.id for spec in wanted}:
        driver.remove_network(network_id)
    driver.ensure_routers(routers, only=True)
    _forward(driver, forwards)
    return lost


def _forward(driver: NetworkDriver, forwards: tuple[HostForwardSpec, ...]) -> None:
    """A machine that allows one of them no longer must not keep everything from starting."""
    try:
        driver.ensure_forwards(forwards)
    except DriverError as error:
        _log.error("the machine's ports could not be forwarded", error=str(error))


def _attach(driver: NetworkDriver, interface: str) -> None:
    try:
        driver.attach_lan(interface, wait_seconds=_LAN_SECONDS)
    except DriverError as error:
        _log.error("a LAN could not be attached", interface=interface, error=str(error))


def repair(database: Database, driver: NetworkDriver, ids: Iterable[str]) -> list[str]:
    """These networks and routers, while ports come and go: what is missing of them is mended, the ports they know
    stay. Ids of networks that could not be mended."""
    wanted = list(ids)
    with database.read(internal()) as w:
        found = networks.specs(w, wanted)
        routers = routing.specs(w, {*wanted, *routing.on_networks(w, wanted)})
    lost = [spec.id for spec in found if not _made(driver, spec, None)]
    driver.ensure_routers(routers)
    return lost


def _made(driver: NetworkDriver, spec: NetworkSpec, ports: tuple[PortSpec, ...] | None) -> bool:
    try:
        driver.ensure_network(spec, ports)
    except DriverError as error:
        _log.error("a network could not be made", network_id=spec.id, name=spec.name, error=str(error))
        return False
    return True


def learn(database: Database, driver: NetworkDriver) -> list[str]:
    """Record the addresses that guests were seen to get on LANs; ids of the ports for which that is new."""
    with database.read(internal()) as w:
        if not lans.exist(w):
            return []
    seen = driver.check().learned
    if not seen:
        return []
    with database.write(internal()) as w:
        return lans.learned(w, seen)
