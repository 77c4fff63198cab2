"""Brings what people change of networks, ports, security groups and routers to the machine, within moments of the
commit."""

from __future__ import annotations

import threading

from novalite import logs
from novalite.cloud.network import host_forwards, networks, port_views, routing, security_groups
from novalite.context import internal
from novalite.db.work import Database
from novalite.drivers.network.base import NetworkDriver, PortSpec
from novalite.errors import NovaLiteError

_log = logs.get("network")
_TOPICS = {
    networks.TOPIC: "networks",
    security_groups.TOPIC: "groups",
    security_groups.PORT_TOPIC: "ports",
    routing.ROUTER_TOPIC: "routers",
    host_forwards.TOPIC: "forwards",
}
_PAUSE_SECONDS = 2.0


class NetworkChanges:
    """``note`` may be called from any thread; it only leaves a note. What a restart loses is made whole by restoring
    networks from the records."""

    def __init__(self, database: Database, driver: NetworkDriver) -> None:
        self._database, self._driver = database, driver
        self._noted: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._acts = (
            ("groups", self._groups),
            ("networks", self._networks),
            ("ports", self._ports),
            ("routers", self._routers),
            ("forwards", self._forwards),
        )

    def note(self, topic: str, id: str) -> None:
        """Something was committed; topics that do not matter here are passed over."""
        kind = _TOPICS.get(topic)
        if kind is not None:
            self._keep(kind, {id})

    def _keep(self, kind: str, ids: set[str]) -> None:
        with self._lock:
            self._noted.setdefault(kind, set()).update(ids)
        self._changed.set()

    def loop(self, stop: threading.Event) -> None:
        """The component. What a driver refuses is tried again after a pause."""
        while not stop.is_set():
            if self._changed.wait(timeout=1.0) and not self.apply():
                stop.wait(_PAUSE_SECONDS)

    def apply(self) -> bool:
        """Do what was noted; false when something has to be done again."""
        with self._lock:
            noted, self._noted = self._noted, {}
            self._changed.clear()
        done = True
        for kind, act in self._acts:
            ids = noted.get(kind)
            if not ids:
                continue
            try:
                act(ids)
            except NovaLiteError as error:
                _log.error("a change of networks did not reach the machine", kind=kind, error=str(error))
                self._keep(kind, ids)
                done = False
        return done

    def _groups(self, ids: set[str]) -> None:
        with self._database.read(internal()) as w:
            found = security_groups.specs(w, ids)
        self._driver.ensure_groups(found)
        for group_id in ids - {group.id for group in found}:
            self._driver.remove_group(group_id)

    def _networks(self, ids: set[str]) -> None:
        """Also the routers on them: the way outside goes by gateways of subnets."""
        with self._database.read(internal()) as w:
            found = networks.specs(w, ids)
            routers = routing.on_networks(w, ids)
        for spec in found:
            self._driver.ensure_network(spec)
        for network_id in ids - {spec.id for spec in found}:
            self._driver.remove_network(network_id)
        self._routers(set(routers))

    def _ports(self, ids: set[str]) -> None:
        """Ports that are plugged in; others are told of when they are."""
        for port in self._plugged(ids):
            self._driver.ensure_port(port)
            if not self._plugged({port.id}):
                self._driver.remove_port(port.network_id, port.id)

    def _plugged(self, ids: set[str]) -> tuple[PortSpec, ...]:
        with self._database.read(internal()) as w:
            return port_views.plugged(w, ids)

    def _routers(self, ids: set[str]) -> None:
        if not ids:
            return
        with self._database.read(internal()) as w:
            found = routing.specs(w, ids)
        self._driver.ensure_routers(found)
        for router_id in ids - {router.id for router in found}:
            self._driver.remove_router(router_id)

    def _forwards(self, ids: set[str]) -> None:
        with self._database.read(internal()) as w:
            wanted = host_forwards.specs(w)
        self._driver.ensure_forwards(wanted)
