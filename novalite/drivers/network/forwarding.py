"""Lets the machine route between its uplinks and networks it is on, and remembers what was a change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from novalite import logs
from novalite.drivers.network import kernel_state, namespaces

_log = logs.get("network")
_SWITCHES = Path("/proc/sys/net")


def outer_links(version: int) -> tuple[str, ...]:
    """Links that the machine's routes of this IP version lead to, uplinks of networks aside: what guests send goes out
    there, and answers come in."""
    return tuple(sorted(name for name in kernel_state.route_links(version) if name != "lo" and name[:3] != "nlu"))


def _read(switch: str) -> str | None:
    try:
        return (_SWITCHES / switch).read_text().strip()
    except OSError:
        return None


def switches(links: Iterable[str], *, ipv6: bool) -> dict[str, str]:
    """What must be set so that packets that come in on these links are routed: no other link routes for it."""
    found = {f"ipv4/conf/{link}/forwarding": "1" for link in (*links, *outer_links(4))}
    if not ipv6 or _read("ipv6/conf/all/forwarding") in (None, "1"):
        return found
    outer = outer_links(6)
    if _read("ipv6/conf/all/force_forwarding") is not None:
        return found | {f"ipv6/conf/{link}/force_forwarding": "1" for link in (*links, *outer)}
    # One switch for all links; those that listen to a router go on doing so.
    listening = {f"ipv6/conf/{link}/accept_ra": "2" for link in outer if _read(f"ipv6/conf/{link}/accept_ra") == "1"}
    return found | listening | {"ipv6/conf/all/forwarding": "1"}


def _changes(links: Iterable[str], *, ipv6: bool) -> dict[str, str]:
    return {name: value for name, value in switches(links, ipv6=ipv6).items() if _read(name) not in (None, value)}


class Forwarding:
    """``record`` lists switches of links that are not ours, with what they were. Not thread-safe."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def ensure(self, links: Iterable[str], *, ipv6: bool) -> None:
        """Packets find their way between ``links``, which are ours, and all links that routes lead to."""
        links = tuple(links)
        changes = _changes(links, ipv6=ipv6)
        foreign = {s: _read(s) or "" for s in changes if not any(f"/conf/{link}/" in s for link in links)}
        if foreign:
            before = self._record.read_text() if self._record.exists() else ""
            known = {line.split()[0] for line in before.splitlines()}
            added = "".join(f"{switch} {old}\n" for switch, old in foreign.items() if switch not in known)
            temporary = self._record.with_suffix(".new")
            temporary.write_text(before + added)
            temporary.replace(self._record)
            _log.info("the machine now routes what comes in on its links", switches=sorted(foreign))
        namespaces.switches("ensure_network", "", changes)

    def stands(self, links: Iterable[str], *, ipv6: bool) -> bool:
        """Whether there is nothing for ``ensure`` to do: links and routes of the machine come and go."""
        return not _changes(links, ipv6=ipv6)

    def opened(self) -> frozenset[str]:
        """Links from which the machine routes IPv4 only because of us. None while it does so from all of them by
        somebody else's wish (Docker's, or the user's own)."""
        if not self._record.exists() or _read("ipv4/conf/all/forwarding") == "1":
            return frozenset()
        found = (line.split()[0].split("/") for line in self._record.read_text().splitlines())
        return frozenset(words[2] for words in found if words[0] == "ipv4" and words[3] == "forwarding")

    def restore(self) -> None:
        """As it was before, unless another appliance needs it."""
        if not self._record.exists() or _others_need_it():
            return
        for line in self._record.read_text().splitlines():
            switch, old = line.split()
            if _read(switch) is not None:
                namespaces.switches("remove_network", "", {switch: old})
        self._record.unlink()


def _others_need_it() -> bool:
    return any(
        name.startswith("nlu") and str(link.get("ifalias", "")).startswith("novalite ")
        for name, link in namespaces.links("").items()
    )
