"""Routers: a namespace for each, with cards on networks, translation, routes, and router advertisements."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from novalite import logs
from novalite.drivers.network import arp, cards, conntrack, kernel_state, links, namespaces, radvd, router_rules
from novalite.drivers.network.base import (
    NetworkSpec,
    RouterSpec,
    bridge_name,
    network_namespace,
    router_namespace,
)
from novalite.drivers.network.cards import Card
from novalite.drivers.network.commands import files
from novalite.drivers.network.nft_sets import Sets, difference, replacement
from novalite.drivers.network.routing_checks import router as checked
from novalite.errors import DriverError

_OP = "ensure_routers"
_log = logs.get("network")


@dataclass
class _Known:
    """One router: ``done`` is what it was when the last change had come through, ``held`` what its packet filter
    holds, ``state`` what its namespace looked like then; None: not known. ``plugged`` are its cards that stood
    then, with their networks."""

    spec: RouterSpec
    directory: Path
    done: RouterSpec
    held: Sets | None = None
    generation: int = 0
    state: kernel_state.State | None = None
    plugged: tuple[tuple[Card, NetworkSpec], ...] = ()
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def namespace(self) -> str:
        return router_namespace(self.spec.id)

    @property
    def advertiser(self) -> radvd.Advertiser:
        return radvd.Advertiser(self.directory)


class Routers:
    """All routers of an appliance. ``directory`` is for what they were, kept until the machine restarts; a new
    process knows them from there. Raises ``DriverError``; methods may be called from several threads at once."""

    def __init__(self, appliance_id: str, directory: Path) -> None:
        self._appliance_id, self._directory = appliance_id, directory
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()
        for file in directory.glob("*/router.json"):
            self._load(file)

    def _load(self, file: Path) -> None:
        try:
            spec = checked(msgspec.json.decode(file.read_bytes(), type=RouterSpec))
        except (OSError, msgspec.MsgspecError, DriverError) as error:
            _log.warning("what was kept of a router is of no use", file=str(file), error=str(error))
            return
        self._known[spec.id] = _Known(spec, file.parent, spec)

    def known(self) -> dict[str, RouterSpec]:
        """What the routers are to be, by id."""
        with self._lock:
            return {id_: known.spec for id_, known in self._known.items()}

    def ensure(self, routers: Iterable[RouterSpec], networks: Mapping[str, NetworkSpec], *, only: bool = False) -> None:
        """These routers are as told, repaired where something is missing; with ``only`` there are no others. A card on
        a network that is not in ``networks``, or does not stand, is left out. One that fails stops no other."""
        specs = [checked(spec) for spec in routers]
        errors: list[DriverError] = []
        if only:
            kept = {spec.id for spec in specs}
            for id_ in [id_ for id_ in self.known() if id_ not in kept]:
                self._try(errors, partial(self.remove, id_))
        for spec in specs:
            self._try(errors, partial(self._ensure, spec, networks))
        if errors:
            raise errors[0]

    def _try(self, errors: list[DriverError], act: Callable[[], None]) -> None:
        try:
            act()
        except DriverError as error:
            _log.warning("a router could not be changed", error=str(error))
            errors.append(error)

    def network_changed(self, spec: NetworkSpec, networks: Mapping[str, NetworkSpec]) -> None:
        """The network was made, made again, or changed: routers on it are plugged in again."""
        concerned = [router for router in self.known().values() if spec.id in _networks(router)]
        self.ensure(concerned, {**networks, spec.id: spec})

    def _ensure(self, spec: RouterSpec, networks: Mapping[str, NetworkSpec]) -> None:
        with files(_OP):
            with self._lock:
                known = self._known.setdefault(spec.id, _Known(spec, self._directory / spec.id, RouterSpec(spec.id)))
            with known.lock:
                with self._lock:
                    self._known[spec.id] = known  # it may have been removed while this waited
                if known.done == spec and known.plugged == _pairs(spec, networks) and not self._is_torn(known):
                    return
                known.directory.mkdir(parents=True, exist_ok=True)
                known.spec = spec
                known.state = None
                self._apply(known, networks)
                self._keep(known)
                known.state = kernel_state.look(known.namespace)

    def _apply(self, known: _Known, networks: Mapping[str, NetworkSpec]) -> None:
        """Addresses go before, and come after, the rules that speak of them: so the router itself never answers
        for a guest."""
        spec, namespace = known.spec, known.namespace
        if namespaces.ensure(namespace):
            known.held = None
        namespaces.switches(_OP, namespace, cards.SWITCHES)
        plugged = cards.plug(namespace, cards.wanted(spec, networks))
        gone, come, new = cards.address_changes(namespace, plugged)
        namespaces.batch(_OP, namespace, gone)
        self._filter(known)
        namespaces.batch(_OP, namespace, come)
        cards.set_routes(namespace, cards.wanted_routes(spec, plugged))
        cards.lead_metadata_back(namespace, plugged)
        conntrack.forget(_OP, namespace, router_rules.ended(known.done, spec))
        known.plugged = tuple((card, networks[card.network_id]) for card in plugged)
        known.advertiser.ensure(_OP, namespace, radvd.configuration(spec, networks))
        for card in plugged:
            arp.announce(namespace, card.name, card.mac, new.get(card.name, ()))

    def _filter(self, known: _Known) -> None:
        sets, before = router_rules.elements(known.spec), known.held
        if before is not None and known.generation == kernel_state.generation(known.namespace):
            text = difference(router_rules.TABLE, before, sets)
        else:
            text = replacement(router_rules.TABLE, router_rules.BODY, sets)
        known.held = None
        namespaces.nft(_OP, known.namespace, text)
        known.held, known.generation = sets, kernel_state.generation(known.namespace)

    def _keep(self, known: _Known) -> None:
        """Written last: what a change ends is ended again when this process does not come so far."""
        if known.done != known.spec or not (known.directory / "router.json").exists():
            file = known.directory / "router.json"
            temporary = file.with_suffix(".new")
            temporary.write_bytes(msgspec.json.encode(known.spec))
            temporary.replace(file)
            known.done = known.spec

    def remove(self, router_id: str) -> None:
        """The router gone with all its parts; an absent one is a success."""
        with self._lock:
            known = self._known.get(router_id)
        if known is None:
            return
        with files("remove_router"), known.lock:
            known.advertiser.stop("remove_router")
            if namespaces.exists(known.namespace):
                names = [name for name in namespaces.links(known.namespace) if name.startswith("nlc")]
                links.delete(names, known.namespace)
                namespaces.remove(known.namespace)
            shutil.rmtree(known.directory, ignore_errors=True)
            with self._lock:
                self._known.pop(router_id, None)

    def missing(self) -> tuple[str, ...]:
        """Ids of routers that somebody else has changed, or whose radvd has ended; ``ensure`` repairs them."""
        with self._lock:
            known = list(self._known.values())
        return tuple(one.spec.id for one in known if self._is_torn(one))

    def _is_torn(self, known: _Known) -> bool:
        with known.lock:
            if known.spec.id not in self.known():
                return False
            if known.state is None or kernel_state.look(known.namespace) != known.state:
                return True
            for network_id in {card.network_id for card, _ in known.plugged}:
                names = [card.name for card, _ in known.plugged if card.network_id == network_id]
                if not kernel_state.are_ports(network_namespace(network_id), names, bridge_name(network_id)):
                    return True
            advertiser = known.advertiser
            return advertiser.is_wanted and not advertiser.runs_in(known.namespace)

    def dead(self) -> tuple[str, ...]:
        """Ids of routers whose radvd has ended: those for which ``descriptors`` has None."""
        with self._lock:
            found = [known for known in self._known.values() if known.advertiser.is_wanted]
        return tuple(known.spec.id for known in found if known.advertiser.pid() is None)

    def descriptors(self) -> list[int | None]:
        """One for each radvd, as ``Alarm.wait`` takes them: readable when it ends, None when it has ended."""
        with self._lock:
            found = [known.advertiser for known in self._known.values()]
        return [advertiser.pidfd() for advertiser in found if advertiser.is_wanted]


def _pairs(spec: RouterSpec, networks: Mapping[str, NetworkSpec]) -> tuple[tuple[Card, NetworkSpec], ...]:
    return tuple((card, networks[card.network_id]) for card in cards.wanted(spec, networks))


def _networks(spec: RouterSpec) -> set[str]:
    return {port.network_id for port in (*spec.interfaces, *([spec.gateway] if spec.gateway else []))}
