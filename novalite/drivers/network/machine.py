"""The machine's own side of networks: uplinks, what may cross there and as whom, ports of the machine that lead to
guests, and routes to what is behind routers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import msgspec

from novalite import logs
from novalite.drivers.network import (
    conntrack,
    docker,
    host_routes,
    kernel_state,
    machine_rules,
    namespaces,
    radvd,
    uplinks,
)
from novalite.drivers.network.base import HostForwardSpec, LanSpec, NetworkSpec, PortSpec, RouterSpec, uplink_name
from novalite.drivers.network.commands import files, run
from novalite.drivers.network.forwarding import Forwarding
from novalite.drivers.network.lan import Lan
from novalite.drivers.network.lan_listener import LanListener
from novalite.drivers.network.links import names as link_names
from novalite.drivers.network.nft_sets import Sets, difference, removal, replacement
from novalite.drivers.network.routing_checks import host_forward
from novalite.errors import DriverError

_log = logs.get("network")


@dataclass
class _Filter:
    """What the table holds (None: not known), how it was listed then, and at which generation that was seen."""

    held: Sets | None = None
    listed: str = ""
    generation: int = 0


@dataclass
class _Wanted:
    """What was last asked for by ``ensure``."""

    networks: dict[str, NetworkSpec] = field(default_factory=dict)
    routes: dict[str, tuple[str, str]] = field(default_factory=dict)
    forwards: tuple[HostForwardSpec, ...] = ()


class Machine:
    """One for an appliance. ``directory`` is for what must be set back, ``lan_directory`` for what is being moved to a
    LAN's bridge; ``on_learned`` is called with the network, from another thread, when ``learned`` has news. Raises
    ``DriverError``; methods may be called from several threads at once."""

    def __init__(
        self,
        appliance_id: str,
        directory: Path,
        lan_directory: Path,
        on_learned: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._appliance_id, self._directory = appliance_id, directory
        self._lan = Lan(appliance_id, lan_directory)
        self._advertiser = radvd.Advertiser(directory)
        self._listener = LanListener(directory / "learned.json", on_learned)
        self._table = machine_rules.table(appliance_id)
        self._forwarding = Forwarding(directory / "forwarding")
        self._lock = threading.RLock()
        self._uplinks: dict[str, NetworkSpec] = {}
        self._filter, self._wanted = _Filter(), _Wanted()

    def ensure_uplink(self, spec: NetworkSpec) -> None:
        """The network's uplink as its spec says, or none; the network's namespace and bridge stand. What may cross it
        is for ``ensure``, which is to be called next."""
        with files("ensure_network"), self._lock:
            if spec.uplink is None:
                self.remove_uplink(spec.id)
                return
            uplinks.ensure(self._appliance_id, spec)
            self._uplinks[spec.id] = spec
            self._directory.mkdir(parents=True, exist_ok=True)
            if spec.lan_addresses:
                self._listener.listen(spec.id)
            else:
                self._listener.forget(spec.id)

    def remove_uplink(self, network_id: str) -> None:
        """The uplink gone; an absent one is a success."""
        with self._lock:
            if network_id not in self._uplinks and uplink_name(network_id) not in link_names():
                return
            docker.forget(uplink_name(network_id))
            uplinks.remove(self._appliance_id, network_id)
            self._uplinks.pop(network_id, None)
            self._listener.forget(network_id)

    def attach_lan(self, interface: str, *, wait_seconds: float) -> LanSpec:
        """As ``NetworkDriver.attach_lan``."""
        made = self._lan.attach(interface, wait_seconds=wait_seconds)
        self._reopen()
        return made

    def detach_lan(self, interface: str) -> None:
        """As ``NetworkDriver.detach_lan``."""
        self._lan.detach(interface)
        self._reopen()

    def _reopen(self) -> None:
        """The machine's routes lead to another link now."""
        with files("ensure_network"), self._lock:
            if self._wanted.networks or self._wanted.forwards:
                self._open(list(self._wanted.networks.values()), self._wanted.forwards)

    def learned(self, ports: Iterable[PortSpec]) -> tuple[tuple[str, str], ...]:
        """(port id, address) of those of these ports that were seen to get an address of the LAN."""
        return self._listener.learned(ports)

    def close(self) -> None:
        """Let go of threads; everything made stays."""
        self._listener.close()

    def ensure(
        self,
        networks: Mapping[str, NetworkSpec],
        routers: Iterable[RouterSpec],
        forwards: Iterable[HostForwardSpec],
    ) -> None:
        """What may cross the uplinks of these networks, as whom; exactly these forwards; routes to what is behind
        these routers. All in place of what was."""
        told = tuple(host_forward(item) for item in forwards)
        with files("ensure_network"), self._lock:
            own = machine_rules.host_networks(networks.values())
            if not own and not told:
                self._remove_all()
                return
            self._directory.mkdir(parents=True, exist_ok=True)
            before = self._forwards_before()
            self._load(machine_rules.elements(own, told, self._forwarding.opened()))
            conntrack.forget("ensure_forwards", "", machine_rules.ended(before, told))
            self._keep_forwards(told)
            self._open(own, told)
            self._load(machine_rules.elements(own, told, self._forwarding.opened()))
            self._route(networks, routers)
            self._advertiser.ensure("ensure_network", "", radvd.machine_configuration(own))
            self._wanted.networks, self._wanted.forwards = {spec.id: spec for spec in own}, told

    def _load(self, sets: Sets) -> None:
        known = self._filter
        if known.held is not None and self._filtered():
            if known.held == sets:
                return
            text = difference(self._table, known.held, sets)
        else:
            text = replacement(self._table, machine_rules.BODY, sets)
        known.held = None
        namespaces.nft("ensure_network", "", text)
        known.generation = kernel_state.generation("")
        known.held, known.listed = sets, self._listing()

    def _listing(self) -> str:
        """The table as a text that is the same for the same contents; empty when there is none."""
        try:
            text = run("check", ["nft", "--stateless", "list", "table", *self._table.split()])
        except DriverError as error:
            if "No such file" in error.detail:
                return ""
            raise
        return " ".join(sorted(text.replace(",", " ").split()))

    def _stands(self) -> bool:
        """Whether the table is as we left it. Others change other tables, which only asks for a closer look."""
        now = kernel_state.generation("")
        if now == self._filter.generation:
            return True
        if self._listing() != self._filter.listed:
            return False
        self._filter.generation = now
        return True

    def known_forwards(self) -> tuple[HostForwardSpec, ...]:
        """What was told last, by an earlier process too."""
        return tuple(self._forwards_before())

    def _forwards_before(self) -> list[HostForwardSpec]:
        file = self._directory / "forwards.json"
        try:
            return msgspec.json.decode(file.read_bytes(), type=list[HostForwardSpec]) if file.exists() else []
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("a file is unreadable and will be made again", file=str(file), error=str(error))
            return []

    def _keep_forwards(self, forwards: tuple[HostForwardSpec, ...]) -> None:
        file = self._directory / "forwards.json"
        temporary = file.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(forwards))
        temporary.replace(file)

    def _open(self, own: list[NetworkSpec], forwards: tuple[HostForwardSpec, ...]) -> None:
        """The kernel routes, and Docker lets us."""
        present = uplinks.own(self._appliance_id)
        names = [uplink_name(spec.id) for spec in own if uplink_name(spec.id) in present]
        self._forwarding.ensure(names, ipv6=_routes_ipv6(own))
        loopback = "1" if forwards else "0"
        namespaces.switches("ensure_network", "", {f"ipv4/conf/{name}/route_localnet": loopback for name in names})
        for name in names:
            docker.let_through(name)
        for bridge in self._bridges():
            docker.let_through(bridge, bridged=True)

    def _bridges(self) -> set[str]:
        """Bridges of the machine that our uplinks are ports of."""
        links = namespaces.links("")
        return {
            str(links[name]["master"]) for name in uplinks.own(self._appliance_id, links) if "master" in links[name]
        }

    def _route(self, networks: Mapping[str, NetworkSpec], routers: Iterable[RouterSpec]) -> None:
        links = uplinks.own(self._appliance_id)
        routes = host_routes.wanted(routers, networks, host_routes.in_use())
        host_routes.set_routes(routes, links)
        self._wanted.routes = {range_: hop for range_, hop in routes.items() if hop[1] in links}

    def _remove_all(self) -> None:
        namespaces.nft("remove_network", "", removal(self._table))
        conntrack.forget("ensure_forwards", "", machine_rules.ended(self._forwards_before(), ()))
        (self._directory / "forwards.json").unlink(missing_ok=True)
        for bridge in self._bridges():
            docker.let_through(bridge, bridged=True)
        self._forwarding.restore()
        self._advertiser.ensure("remove_network", "", "")
        self._filter, self._wanted = _Filter(), _Wanted()

    def missing(self) -> tuple[str, ...]:
        """Ids of networks whose uplink, or what lets packets cross it, somebody else took away; ``ensure_uplink`` for
        each and one ``ensure`` repair it."""
        with self._lock:
            if not self._uplinks:
                return ()
            links = uplinks.own(self._appliance_id)
            torn = {id_ for id_ in self._uplinks if uplink_name(id_) not in links}
            hosts = set(self._wanted.networks)
            if (hosts or self._wanted.forwards) and not (self._filtered() and self._routed()):
                torn |= hosts or set(self._uplinks)
            if hosts and self._advertiser.is_wanted and not self._advertiser.runs_in(""):
                torn |= hosts
            present = {name: False for name in links if links[name] in hosts}
            if hosts and not self._forwarding.stands(present, ipv6=_routes_ipv6(self._wanted.networks.values())):
                torn |= hosts
            if hosts and not self._guards(self._forwarding.opened()):
                torn |= hosts
            if not docker.lets_through(present | dict.fromkeys(self._bridges(), True)):
                torn |= set(self._uplinks)
            return tuple(sorted(torn))

    def _guards(self, opened: frozenset[str]) -> bool:
        held = self._filter.held
        return held is not None and held["opened"] == machine_rules.elements((), (), opened)["opened"]

    def _filtered(self) -> bool:
        return self._filter.held is not None and self._stands()

    def descriptors(self) -> list[int | None]:
        """Of the machine's own radvd, if it is to run, as those of routers are."""
        return [self._advertiser.pidfd()] if self._advertiser.is_wanted else []

    def _routed(self) -> bool:
        """Whether our addresses and our IPv4 routes are there."""
        state = kernel_state.look("")
        if state is None:
            return False
        own = {
            subnet.gateway_ip
            for spec in self._wanted.networks.values()
            for subnet in spec.subnets
            if subnet.version == 4 and subnet.gateway_ip
        }
        hops = {f"{link} {_as_listed(range_)} {_as_listed(hop)}"
                for range_, (hop, link) in self._wanted.routes.items() if ":" not in range_}  # fmt: skip
        seen = {" ".join(route.split()[:3]) for route in state.routes}
        return own <= state.addresses and hops <= seen

    def problems(self) -> tuple[str, ...]:
        """Sentences for people about what keeps guests from the outside."""
        with self._lock:
            if not self._uplinks:
                return ()
            links = uplinks.own(self._appliance_id)
            found = [f"Network {id_} has lost its uplink." for id_ in self._uplinks if uplink_name(id_) not in links]
            if (self._wanted.networks or self._wanted.forwards) and not self._filtered():
                found.append("The packet filter table of the uplinks is missing or was changed.")
            return (*found, *docker.problems(), *uplinks.strays())


def _routes_ipv6(own: Iterable[NetworkSpec]) -> bool:
    return any(subnet.version == 6 for spec in own for subnet in spec.subnets)


def _as_listed(address: str) -> str:
    """As /proc/net/route writes it."""
    packed = ip_address(address.partition("/")[0]).packed
    return f"{int.from_bytes(packed, sys.byteorder):08X}"
