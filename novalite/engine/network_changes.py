"""Brings what people change of networks, ports, security groups and routers to the machine, within moments of the
commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

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
_PAUSES_SECONDS = 2.0, 60.0


class NetworkChanges:
    """``note`` may be called from any thread; it only leaves a note. What a restart loses is made whole by restoring
    networks from the records. ``told`` is called when networks have come, changed or gone on the machine."""

    def __init__(self, database: Database, driver: NetworkDriver, told: Callable[[], None] = lambda: None) -> None:
        self._database, self._driver, self._told = database, driver, told
        self._noted: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._acts: tuple[tuple[str, Callable[[set[str]], set[str]]], ...] = (
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
            self._changed.set()

    def _keep(self, kind: str, ids: set[str]) -> None:
        with self._lock:
            self._noted.setdefault(kind, set()).update(ids)

    def close(self) -> None:
        """Wake the component: it looks whether its end has come."""
        self._changed.set()

    def loop(self, stop: threading.Event) -> None:
        """The component, until ``stop``, of which ``close`` tells. What a driver refuses is tried again after a pause,
        which grows while nothing helps, and with the next change."""
        pause, done = _PAUSES_SECONDS[0], not self._noted
        while not stop.is_set():
            changed = self._changed.wait(None if done else pause)
            if not stop.is_set() and (changed or not done):
                done = self.apply()
                pause = _PAUSES_SECONDS[0] if done else min(pause * 2, _PAUSES_SECONDS[1])

    def apply(self) -> bool:
        """Do what was noted; false when something has to be done again. What cannot be done for one keeps nothing from
        the others."""
        self._changed.clear()
        left: dict[str, set[str]] = {}
        for kind, act in self._acts:
            with self._lock:
                ids = self._noted.pop(kind, set())
            if ids:
                left[kind] = self._tried(kind, partial(act, ids), ids)
        for kind, again in left.items():
            if again:
                self._keep(kind, again)
        return not any(left.values())

    def _tried(self, kind: str, act: Callable[[], set[str] | None], ids: set[str]) -> set[str]:
        """Those of ``ids`` for which ``act`` has to be done again: what it returns, or all when it fails."""
        try:
            return act() or set()
        except NovaLiteError as error:
            _log.error("a change of networks did not reach the machine", kind=kind, ids=sorted(ids)[:5],
                       error=str(error))  # fmt: skip
            return ids

    def _groups(self, ids: set[str]) -> set[str]:
        with self._database.read(internal()) as w:
            found = security_groups.specs(w, ids)
        self._driver.ensure_groups(found)
        for group_id in ids - {group.id for group in found}:
            self._driver.remove_group(group_id)
        return set()

    def _networks(self, ids: set[str]) -> set[str]:
        """Also the routers on them: the way outside goes by gateways of subnets."""
        with self._database.read(internal()) as w:
            found = {spec.id: spec for spec in networks.specs(w, ids)}
            routers = routing.on_networks(w, ids)
        failed: set[str] = set()
        for network_id in sorted(ids):
            spec = found.get(network_id)
            act = (
                partial(self._driver.ensure_network, spec) if spec else partial(self._driver.remove_network, network_id)
            )
            failed |= self._tried("network", act, {network_id})
        self._told()
        if routers:
            self._keep("routers", set(routers))  # they come after networks
        return failed

    def _ports(self, ids: set[str]) -> set[str]:
        """Ports that are plugged in; others are told of when they are."""
        failed: set[str] = set()
        for port in self._plugged(ids):
            failed |= self._tried("port", partial(self._port, port), {port.id})
        with self._database.read(internal()) as w:
            led_to = host_forwards.lead_to(w, ids)
        if led_to:
            self._keep("forwards", ids)  # they come after ports
        return failed

    def _port(self, port: PortSpec) -> None:
        self._driver.ensure_port(port)
        if not self._plugged({port.id}):
            self._driver.remove_port(port.network_id, port.id)

    def _plugged(self, ids: set[str]) -> tuple[PortSpec, ...]:
        with self._database.read(internal()) as w:
            return port_views.plugged(w, ids)

    def _routers(self, ids: set[str]) -> set[str]:
        with self._database.read(internal()) as w:
            found = {router.id: router for router in routing.specs(w, ids)}
        failed: set[str] = set()
        for router_id in sorted(ids):
            router = found.get(router_id)
            act = (
                partial(self._driver.ensure_routers, (router,))
                if router
                else partial(self._driver.remove_router, router_id)
            )
            failed |= self._tried("router", act, {router_id})
        return failed

    def _forwards(self, ids: set[str]) -> set[str]:
        with self._database.read(internal()) as w:
            wanted = host_forwards.specs(w)
        self._driver.ensure_forwards(wanted)
        return set()
