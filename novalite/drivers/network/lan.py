"""Puts the machine's interface to its LAN on a bridge, so that guests can be on the LAN too, without cutting the
machine off: what cuts it off is undone, by this process or, when it dies, by another."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from novalite import logs
from novalite.drivers.network import arp, lan_moves, lan_watchdog, namespaces
from novalite.drivers.network.base import LanSpec
from novalite.drivers.network.commands import files, run, run_json
from novalite.drivers.network.lan_moves import Holding
from novalite.drivers.network.uplinks import lan_bridge, mark
from novalite.errors import DriverError

_BEFORE_SECONDS = 3.0
_HANGING_SECONDS = 60.0
_COPIED = ("accept_ra", "addr_gen_mode", "autoconf", "disable_ipv6", "use_tempaddr")
_log = logs.get("network")


class Lan:
    """``directory``, which all appliances may share, keeps a journal while something is being moved. What an earlier
    process left half done is undone at once. Raises ``DriverError``; methods may be called from several threads at
    once."""

    def __init__(self, appliance_id: str, directory: Path) -> None:
        self._appliance_id, self._directory = appliance_id, directory
        self._lock = threading.Lock()
        for journal in directory.glob("lan-*.json"):
            self._recover(journal)

    def _recover(self, journal: Path) -> None:
        with _held(journal, wait=False) as is_ours:
            if is_ours:  # else a process is at work on it
                self._undo(journal)

    def _undo(self, journal: Path) -> None:
        try:
            told = json.loads(journal.read_text())
        except (OSError, ValueError):
            told = {}
        if told.get("boot") != _boot():
            journal.unlink(missing_ok=True)  # the machine has started since, with what its own configuration says
        elif lan_watchdog.undo(journal):
            _log.warning("a half-made change of the LAN bridge was undone", interface=told.get("interface", ""))

    def attach(self, interface: str, *, wait_seconds: float) -> LanSpec:
        """The interface a port of a bridge of ours that has its addresses and routes."""
        with files("attach_lan"), self._lock, _held(self._journal(interface), wait=True):
            bridge, links = lan_bridge(interface), namespaces.links("")
            link = _existing("attach_lan", interface, links)
            if link.get("master") == bridge:
                return _described(interface, bridge)
            _refuse(interface, bridge, links)
            held = _holding(interface, link)
            lines = lan_moves.to_bridge(held, interface, bridge)
            back = lan_moves.to_interface(held, interface, bridge)
            with self._guarded("attach_lan", interface, back, held.gateway, wait_seconds) as guarded:
                namespaces.batch(
                    "attach_lan", "", lan_moves.new_bridge(held, bridge, mark(self._appliance_id, interface))
                )
                _copy_switches(interface, bridge)
                guarded.move(lines)
                guarded.ask(bridge)
            _log.info("the machine's addresses are on a bridge now", interface=interface, bridge=bridge)
            return _described(interface, bridge)

    def detach(self, interface: str, *, wait_seconds: float = 10.0) -> None:
        """The addresses on the interface itself again, and the bridge gone."""
        with files("detach_lan"), self._lock, _held(self._journal(interface), wait=True):
            bridge, links = lan_bridge(interface), namespaces.links("")
            link = links.get(interface)
            if link is None or link.get("master") != bridge:
                return
            guests = [name for name, one in links.items() if one.get("master") == bridge and name != interface]
            if guests:
                raise DriverError(
                    "detach_lan",
                    f"networks are on the LAN by {bridge}: {', '.join(sorted(guests))}",
                    code="network.interface_in_use",
                    hint="Delete the networks that use the interface first.",
                )
            held = _holding(bridge, links[bridge])
            anew = lan_moves.new_bridge(held, bridge, mark(self._appliance_id, interface))
            back = [*anew, *lan_moves.to_bridge(held, interface, bridge)]
            with self._guarded("detach_lan", interface, back, held.gateway, wait_seconds, link=bridge) as guarded:
                guarded.move(lan_moves.to_interface(held, interface, bridge))
                guarded.ask(interface)
            _log.info("the machine's addresses are on the interface again", interface=interface)

    def _journal(self, interface: str) -> Path:
        if not interface or "/" in interface or len(interface) > 15:
            raise DriverError("attach_lan", f"{interface[:40]!r} is no interface", code="network.no_interface")
        return self._directory / f"lan-{interface}.json"

    @contextmanager
    def _guarded(
        self, op: str, interface: str, back: Sequence[str], gateway: str, wait_seconds: float, *, link: str = ""
    ) -> Iterator[_Guarded]:
        """While the block runs, a journal and a process beside this one see to it that ``back`` is carried out if the
        block does not end well."""
        link = link or interface
        answered = bool(gateway) and arp.answers(link, gateway, min(_BEFORE_SECONDS, wait_seconds))
        journal = self._journal(interface)
        _write(journal, {"boot": _boot(), "interface": interface, "undo": list(back)})
        watchdog = _watchdog(op, journal, wait_seconds + _HANGING_SECONDS)
        try:
            try:
                yield _Guarded(op, gateway if answered else "", wait_seconds, watchdog)
            except BaseException:
                lan_watchdog.undo(journal)
                raise
            journal.unlink()
        finally:
            watchdog.communicate("done\n", timeout=_HANGING_SECONDS)


class _Guarded:
    """What may be done while the watchdog watches."""

    def __init__(self, op: str, gateway: str, seconds: float, watchdog: subprocess.Popen[str]) -> None:
        self._op, self._gateway, self._seconds, self._watchdog = op, gateway, seconds, watchdog

    def move(self, lines: Sequence[str]) -> None:
        """``ip`` holds the watchdog's pipe too: when this process dies, nothing is undone before it has ended."""
        keep = [self._watchdog.stdin.fileno()] if self._watchdog.stdin else []
        run(self._op, ["ip", "-batch", "-"], text="".join(f"{line}\n" for line in lines), keep=keep)

    def ask(self, link: str) -> None:
        """Whether the gateway still answers."""
        if self._gateway and not arp.answers(link, self._gateway, self._seconds):
            raise DriverError(
                self._op,
                f"the gateway {self._gateway} does not answer any more; everything is as it was before",
                code="network.lan_lost",
                hint="The port of the switch may refuse what comes from a bridge (port security, wireless).",
            )


@contextmanager
def _held(journal: Path, *, wait: bool) -> Iterator[bool]:
    """Whether no other process is at work on the interface; with ``wait`` none is when this returns."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _write(file: Path, value: object) -> None:
    """On the disk when this returns."""
    temporary = file.with_suffix(".new")
    with temporary.open("w") as out:
        json.dump(value, out)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _watchdog(op: str, journal: Path, seconds: float) -> subprocess.Popen[str]:
    """It runs, and has said so, when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-I", lan_watchdog.__file__, str(journal), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if process.stdout is None or process.stdout.readline() != "ready\n":
        process.kill()
        process.communicate()
        raise DriverError(op, "the process that would undo the change does not start", code="driver.network")
    return process


def _existing(op: str, interface: str, links: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if interface not in links:
        raise DriverError(
            op,
            f"the machine has no interface {interface}",
            code="network.no_interface",
            hint="`ip link` lists them.",
        )
    return links[interface]


def _refuse(interface: str, bridge: str, links: dict[str, dict[str, Any]]) -> None:
    """What cannot or need not be put on a bridge."""
    link, problem = links[interface], ""
    if link.get("linkinfo", {}).get("info_kind") == "bridge":
        problem = f"{interface} is a bridge already: a network can use it as it is"
    elif "LOOPBACK" in link.get("flags", ()) or link.get("link_type") != "ether":
        problem = f"{interface} is no Ethernet interface"
    elif "master" in link:
        problem = f"the interface {interface} is a port of {link['master']} already"
    elif bridge in links:
        problem = f"the link {bridge} exists already"
    if problem:
        raise DriverError("attach_lan", problem, code="network.interface_in_use")


def _holding(name: str, link: dict[str, Any]) -> Holding:
    routes = []
    for version in ("-4", "-6"):
        routes += run_json("attach_lan", ["ip", version, "-j", "route", "show", "table", "all", "dev", name])
    if any("nexthops" in route for route in routes):
        raise DriverError(
            "attach_lan", f"a route over several links leads out of {name}", code="network.interface_in_use"
        )
    return lan_moves.holding(link, routes)


def _copy_switches(interface: str, bridge: str) -> None:
    def read(name: str) -> str | None:
        path = Path(f"/proc/sys/net/ipv6/conf/{interface}/{name}")
        return path.read_text().strip() if path.exists() else None

    values = {f"ipv6/conf/{bridge}/{name}": value for name in _COPIED if (value := read(name)) is not None}
    namespaces.switches("attach_lan", "", values)


def _described(interface: str, bridge: str) -> LanSpec:
    held = _holding(bridge, namespaces.links("")[bridge])
    return LanSpec(interface, bridge, held.bare, held.gateway)
