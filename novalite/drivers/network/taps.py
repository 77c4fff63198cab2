"""Ports' taps in the machine's namespace, each led into its network's by a pair of links that pass frames on.

What comes out of the tap goes into the pair and the other way round, by redirection where a frame enters, so that
neither the machine's own stack nor its packet filters see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from novalite.drivers.network import links, namespaces, redirects
from novalite.drivers.network.base import (
    NetworkSpec,
    PortSpec,
    RateSpec,
    bridge_name,
    link_name,
    network_namespace,
    tap_name,
)
from novalite.errors import DriverError

_LATENCY = "50ms"
_SHORTEST_BURST_SECONDS = 0.02


def _mark(appliance_id: str, port: PortSpec) -> str:
    return links.alias(appliance_id, "port", port.network_id, port.id)


def ensure(
    appliance_id: str, spec: NetworkSpec, ports: Iterable[PortSpec], *, limited: Iterable[str] = ()
) -> frozenset[str]:
    """All these ports' taps, ready for guests or with them. ``limited`` are ids of ports that may have a limit from
    before. Ids of those whose tap a guest uses that takes another number of queues than it should: they are for a later
    call. Raises ``DriverError`` when a link of such a name is somebody else's."""
    wanted = list(ports)
    if not wanted:
        return frozenset()
    namespace = network_namespace(spec.id)
    near = links.details(name for port in wanted for name in (tap_name(port.id), link_name(port.id)))
    far = links.present((tap_name(port.id) for port in wanted), namespace)
    _clear(appliance_id, wanted, near, far)
    here, there = [], []
    for port in wanted:
        here += _tap_lines(appliance_id, port, spec, near.get(tap_name(port.id)))
        here += _pair_lines(appliance_id, port, spec, link_name(port.id) in near)
        there.append(f"link set dev {tap_name(port.id)} mtu {spec.mtu} master {bridge_name(spec.id)} up")
    namespaces.batch("ensure_port", "", here)
    namespaces.batch("ensure_port", namespace, there)
    redirects.ensure(pair for port in wanted for pair in _redirected(port))
    had = set(limited)
    lines = [line for port in wanted for line in _limit_lines(port, spec, had_limit=port.id in had)]
    namespaces.batch("ensure_port", "", lines, program="tc")
    return frozenset(port.id for port in wanted if _has_other_queues(near.get(tap_name(port.id)), port))


def _clear(appliance_id: str, wanted: list[PortSpec], near: dict[str, dict[str, Any]], far: set[str]) -> None:
    """Take away, here and in ``near``, what has to be made anew."""
    gone = []
    for port in wanted:
        tap, pair, mark = tap_name(port.id), link_name(port.id), _mark(appliance_id, port)
        if tap in near and not _is_ours(appliance_id, near[tap], mark):
            raise links.foreign(tap)
        if pair in near and near[pair].get("ifalias") != mark:
            raise links.foreign(pair)
        if pair in near and tap not in far:
            gone.append(pair)
        if tap in near and _has_other_queues(near[tap], port) and "NO-CARRIER" in near[tap]["flags"]:
            gone.append(tap)
    if gone:
        links.delete(gone)
    for name in gone:
        del near[name]


def _is_ours(appliance_id: str, link: dict[str, Any], mark: str) -> bool:
    """Also the tap of a guest that was started by a release before namespaces, on a bridge of this appliance."""
    if link.get("ifalias") == mark:
        return True
    bridge = link.get("master", "")
    if "ifalias" in link or link.get("linkinfo", {}).get("info_kind") != "tun" or not bridge:
        return False
    return str(links.details([bridge])[bridge].get("ifalias", "")).startswith(links.alias(appliance_id, ""))


def _has_other_queues(link: dict[str, Any] | None, port: PortSpec) -> bool:
    return link is not None and bool(link.get("linkinfo", {}).get("info_data", {}).get("multi_queue")) != port.queues


def _tap_lines(appliance_id: str, port: PortSpec, spec: NetworkSpec, link: dict[str, Any] | None) -> list[str]:
    tap, lines = tap_name(port.id), []
    if link is None:
        lines.append(f"tuntap add dev {tap} mode tap" + (" multi_queue" if port.queues else ""))
    elif "master" in link:
        lines.append(f"link set dev {tap} nomaster")
    lines.append(f'link set dev {tap} alias "{_mark(appliance_id, port)}" mtu {spec.mtu} addrgenmode none up')
    return lines


def _pair_lines(appliance_id: str, port: PortSpec, spec: NetworkSpec, is_there: bool) -> list[str]:
    pair, lines = link_name(port.id), []
    if not is_there:
        namespace = network_namespace(spec.id)
        lines.append(f"link add dev {pair} type veth peer name {tap_name(port.id)} netns {namespace}")
    lines.append(f'link set dev {pair} alias "{_mark(appliance_id, port)}" mtu {spec.mtu} addrgenmode none up')
    return lines


def _redirected(port: PortSpec) -> tuple[tuple[str, str], tuple[str, str]]:
    tap, pair = tap_name(port.id), link_name(port.id)
    return (tap, pair), (pair, tap)


def _limit_lines(port: PortSpec, spec: NetworkSpec, *, had_limit: bool) -> list[str]:
    tap, pair, rate = tap_name(port.id), link_name(port.id), port.rate
    lines = []
    for dev, kbps, burst, unlimited in (
        (tap, rate.in_kbps, rate.in_burst_kb, "pfifo limit 1000"),
        (pair, rate.out_kbps, rate.out_burst_kb, "noqueue"),
    ):
        if kbps:
            lines.append(f"qdisc replace dev {dev} root tbf {_bucket(kbps, burst, spec.mtu)}")
        elif had_limit:
            lines.append(f"qdisc replace dev {dev} root {unlimited}")
    return lines


def _bucket(kbps: int, burst_kb: int, mtu: int) -> str:
    """The words for ``tbf``: a burst holds at least two frames, and what the rate brings between two looks of the
    kernel's clock."""
    burst_bytes = max(burst_kb * 1000 // 8, int(kbps * 125 * _SHORTEST_BURST_SECONDS), 2 * (mtu + 22))
    return f"rate {kbps}kbit burst {burst_bytes}b latency {_LATENCY}"


def has_limit(rate: RateSpec) -> bool:
    return bool(rate.in_kbps or rate.out_kbps)


def stands(port_id: str, near: Set[str], far: Set[str]) -> bool:
    """Whether the port's links are among the names in the machine's and the network's namespace."""
    return tap_name(port_id) in near and link_name(port_id) in near and tap_name(port_id) in far


def stand(port: PortSpec) -> bool:
    """Whether the port's links are where they should be, by a look at these alone."""
    tap, namespace = tap_name(port.id), network_namespace(port.network_id)
    near, far = links.present([tap, link_name(port.id)]), links.present([tap], namespace)
    return stands(port.id, near, far)


def known(appliance_id: str) -> dict[str, tuple[str, str]]:
    """Name -> (network id, port id) of all links of this appliance's ports in the machine's namespace."""
    found: Mapping[str, list[str]] = links.marked(links.alias(appliance_id, "port"))
    return {name: (words[0], words[1]) for name, words in found.items() if len(words) == 2}


def remove(appliance_id: str, port_id: str) -> None:
    """The port's links gone, when they are ours."""
    names = [link_name(port_id), tap_name(port_id)]
    beginning = links.alias(appliance_id, "port", "")
    ours = [name for name, link in links.details(names).items() if link.get("ifalias", "").startswith(beginning)]
    links.delete(sorted(ours, reverse=True))


def remove_others(appliance_id: str, network_id: str, kept: Iterable[str]) -> None:
    """The links of all ports of the network but ``kept`` gone."""
    staying = set(kept)
    links.delete(name for name, (of, id_) in known(appliance_id).items() if of == network_id and id_ not in staying)


def absent(op: str, network_id: str) -> DriverError:
    """The answer to what needs a network that is not here."""
    return DriverError(
        op,
        f"network {network_id} is not set up on this host",
        code="network.absent",
        retryable=True,
        hint="Set the network up first.",
    )
