"""The packet filter of one appliance: keeps what was loaded, and changes only what differs.

A change is one transaction. When it fails, because somebody else has changed the tables, all is loaded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from novalite import logs
from novalite.drivers.network import nftables, parts
from novalite.drivers.network.base import GroupSpec, NetworkSpec, PortSpec, RoutingSpec, RuleSpec
from novalite.drivers.network.groups import elements, remote_groups
from novalite.drivers.network.nftables import Part
from novalite.errors import DriverError

_log = logs.get("network")


class PacketRules:
    """Not thread-safe: the driver holds its lock. ``sure`` is false until the kernel is known to hold all."""

    def __init__(self, appliance_id: str) -> None:
        self._appliance_id = appliance_id
        self.sure = False
        self.groups: dict[str, GroupSpec] = {}
        self.routing = RoutingSpec()
        self._ports: dict[str, PortSpec] = {}
        self._users: dict[str, set[str]] = {}  # group id -> ids of its ports
        self._profiles: dict[str, tuple[str, ...]] = {}  # key -> its groups
        self._counts: dict[str, int] = {}  # key -> ports under it
        self._loaded: dict[tuple[str, str], Part] = {}  # (kind, id) -> what the kernel holds

    def load(self, networks: Mapping[str, NetworkSpec], ports: Iterable[PortSpec]) -> None:
        """Both tables whole, in one transaction that no packet sees half done."""
        self._ports, self._users, self._profiles, self._counts = {}, {}, {}, {}
        for port in ports:
            self._enter(port)
        wanted = {("port", port.id): parts.of_port(port) for port in self._ports.values()}
        wanted |= {("network", spec.id): parts.of_network(spec) for spec in networks.values()}
        wanted |= {("profile", key): self._profile(key) for key in self._profiles}
        wanted["routing", ""] = parts.of_routing(self.routing, networks)
        text = nftables.skeleton(self._appliance_id)
        text += "".join(parts.declaration(self._appliance_id, key) for key in self._profiles)
        nftables.load("ensure_network", text + nftables.change(self._appliance_id, [], wanted.values()))
        self._loaded, self.sure = wanted, True

    def _enter(self, port: PortSpec) -> None:
        self._ports[port.id] = port
        if port.groups is None:
            return
        for group_id in port.groups:
            self._users.setdefault(group_id, set()).add(port.id)
        key = parts.profile_key(port.groups)
        self._profiles[key] = port.groups
        self._counts[key] = self._counts.get(key, 0) + 1

    def _leave(self, port: PortSpec) -> None:
        self._ports.pop(port.id, None)
        if port.groups is None:
            return
        for group_id in port.groups:
            self._users.get(group_id, set()).discard(port.id)
        key = parts.profile_key(port.groups)
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key], self._profiles[key]

    def _rules(self, group_ids: Iterable[str]) -> list[RuleSpec]:
        return [rule for id_ in group_ids if id_ in self.groups for rule in self.groups[id_].rules]

    def _members(self, group_id: str) -> list[str]:
        users = self._users.get(group_id, ())
        return [address for port_id in users for address in self._ports[port_id].addresses]

    def _profile(self, key: str) -> Part:
        rules = self._rules(self._profiles[key])
        inbound = elements((rule for rule in rules if rule.inbound), self._members)
        outbound = elements((rule for rule in rules if not rule.inbound), self._members)
        return parts.of_profile(key, inbound, outbound)

    def _naming(self, group_ids: set[str]) -> set[str]:
        """Combinations whose rules let in or out the members of any of these groups."""
        rules = {id_: group.rules for id_, group in self.groups.items()}
        return {key for key, own in self._profiles.items() if group_ids & remote_groups(rules, own)}

    def change_port(self, before: PortSpec | None, after: PortSpec | None) -> None:
        """One port as it is to be, and what its groups' members are for others. Raises ``DriverError``."""
        known = set(self._profiles)
        if before is not None and before.id in self._ports:
            self._leave(self._ports[before.id])
        if after is not None:
            self._enter(after)
        port_id = (after or before or _NOBODY).id
        changed: dict[tuple[str, str], Part] = {("port", port_id): parts.of_port(after) if after else {}}
        new, old = set(self._profiles) - known, known - set(self._profiles)
        groups = {group_id for port in (before, after) if port for group_id in port.groups or ()}
        for key in new | self._naming(groups):
            changed["profile", key] = self._profile(key)
        self._apply("ensure_port", changed, new=new, old=old)

    def change_groups(self, wanted: Iterable[GroupSpec], gone: Iterable[str] = ()) -> None:
        """These groups as they are to be. Raises ``DriverError``."""
        touched = set()
        for group in wanted:
            if self.groups.get(group.id) != group:
                self.groups[group.id] = group
                touched.add(group.id)
        for group_id in gone:
            if self.groups.pop(group_id, None):
                touched.add(group_id)
        if touched and self.sure:
            keys = {key for key, own in self._profiles.items() if touched & set(own)}
            self._apply("ensure_groups", {("profile", key): self._profile(key) for key in keys})

    def change_routing(self, routing: RoutingSpec, networks: Mapping[str, NetworkSpec]) -> None:
        """All routers and floating addresses as they are to be. Raises ``DriverError``."""
        self.routing = routing
        if self.sure:
            self._apply("ensure_routing", {("routing", ""): parts.of_routing(routing, networks)})

    def _apply(
        self, op: str, changed: dict[tuple[str, str], Part], *, new: set[str] | None = None, old: set[str] | None = None
    ) -> None:
        """Bring the difference to the kernel. ``new`` and ``old`` are combinations that come and go."""
        if not self.sure:
            return
        before = [self._loaded.get(key, {}) for key in changed]
        stale: list[Part] = [self._loaded.pop(("profile", key), {}) for key in old or ()]
        text = "".join(parts.declaration(self._appliance_id, key) for key in sorted(new or ()))
        text += nftables.change(self._appliance_id, [*before, *stale], changed.values())
        text += "".join(parts.withdrawal(self._appliance_id, key) for key in sorted(old or ()))
        self._loaded |= changed
        try:
            nftables.load(op, text)
        except DriverError as error:
            _log.warning("packet filter rules were changed by others; all are loaded again", error=error.detail)
            self.sure = False

    def forget(self) -> None:
        """The tables are gone, or not known to be there."""
        self.sure = False


_NOBODY = PortSpec("", "", "", "")
