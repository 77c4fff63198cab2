"""Network namespaces by ``ip netns``: made, found, gone; programs, switches and sockets inside one.

An empty name is the machine's own namespace: the one this process runs in. Names tell ids, so a namespace is found
again by any process; ``NETNS`` holds one file for each.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from novalite.drivers.network.commands import files, run, run_json
from novalite.errors import DriverError

NETNS = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def exists(name: str) -> bool:
    """Whether there is one of that name."""
    return (NETNS / name).exists()


def identity(name: str) -> tuple[int, int] | None:
    """Tells a namespace from one that was made anew under its name; None when there is none."""
    try:
        found = (NETNS / name).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def names(prefix: str) -> set[str]:
    """Those whose name begins so."""
    return {path.name for path in NETNS.glob(f"{prefix}*")} if NETNS.is_dir() else set()


def ensure(name: str) -> bool:
    """The namespace, with its loopback up; whether it was made now."""
    if exists(name):
        return False
    run("ensure_network", ["ip", "netns", "add", name])
    batch("ensure_network", name, ["link set lo up"])
    return True


def remove(name: str) -> None:
    """Gone with all links in it that lead nowhere else; an absent one is a success."""
    if exists(name):
        run("remove_network", ["ip", "netns", "del", name])


def inside(name: str, argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` in the namespace."""
    return ["nsenter", f"--net={NETNS / name}", "--", *argv] if name else list(argv)


def batch(op: str, name: str, lines: Iterable[str], *, program: str = "ip") -> None:
    """Lines for ``ip -batch`` or ``tc -batch`` in the namespace, until one fails."""
    text = "".join(line + "\n" for line in lines)
    if text:
        chosen = ["-n", name] if name else []
        run(op, [program, *chosen, "-batch", "-"], text=text)


def nft(op: str, name: str, text: str) -> None:
    """One transaction of the packet filter in the namespace: all of it or nothing."""
    if text:
        with files(op):
            within(name, lambda: run(op, ["nft", "-f", "-"], text=text))


def nft_json(op: str, name: str, argv: Sequence[str]) -> Any:
    """What ``nft -j`` lists in the namespace."""
    return run_json(op, inside(name, ["nft", "-j", *argv]))["nftables"]


def links(name: str) -> dict[str, dict[str, Any]]:
    """Links of the namespace with their addresses, by name, as ``ip -j -d addr show`` tells them."""
    chosen = ["-n", name] if name else []
    return {link["ifname"]: link for link in run_json("check", ["ip", *chosen, "-j", "-d", "addr", "show"]) if link}


def within(name: str, act: Callable[[], T]) -> T:
    """What ``act`` returns when it runs in the namespace, on a thread of its own: sockets it opens and files below
    /proc/thread-self/net and /proc/sys/net that it touches are the namespace's. Raises what it raises."""
    if not name:
        return act()
    found: list[T] = []
    raised: list[BaseException] = []

    def body() -> None:
        try:
            with (NETNS / name).open("rb") as file:
                if _LIBC.setns(file.fileno(), _CLONE_NEWNET):
                    error = ctypes.get_errno()
                    raise OSError(error, os.strerror(error), str(NETNS / name))
            found.append(act())
        except BaseException as error:  # noqa: BLE001 - told to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=body, name=f"in {name[:11]}")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]


def switches(op: str, name: str, values: dict[str, str]) -> None:
    """Set kernel switches below /proc/sys/net, like ``ipv4/ip_forward``. One of IPv6 that the kernel lacks is passed
    over. Raises ``DriverError``."""

    def act() -> None:
        for switch, value in values.items():
            path = Path("/proc/sys/net") / switch
            try:
                if path.read_text().strip() != value:
                    path.write_text(value)
            except FileNotFoundError:
                if not switch.startswith("ipv6/"):
                    raise DriverError(op, f"the kernel has no {path}", code="driver.network") from None
            except OSError as error:
                raise DriverError(
                    op,
                    f"{path} cannot be set: {error.strerror}",
                    code="driver.network",
                    hint="Networks need root and a writable /proc/sys.",
                ) from None

    within(name, act)


def listening(name: str, address: str, port: int, link: str) -> socket.socket:
    """A listening TCP socket in the namespace; ``link`` is the scope of a link-local IPv6 address."""

    def act() -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            where = (address, port, 0, socket.if_nametoindex(link)) if family == socket.AF_INET6 else (address, port)
            bound.bind(where)
            bound.listen(128)
        except BaseException:
            bound.close()
            raise
        return bound

    return within(name, act)
