"""Links by ``ip``: which exist, whose they are, and their end. A link in the machine's namespace is ours
only when its alias says so."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterable
from typing import Any

from novalite.drivers.network import link_names, namespaces
from novalite.drivers.network.commands import run_json
from novalite.errors import DriverError

_FEW = 8
_MANY = 256  # so that others need not wait until thousands are gone
_GROUPS = 1 << 30


def alias(appliance_id: str, *words: str) -> str:
    """The mark on what an appliance has made."""
    return " ".join(("novalite", appliance_id, *words))


def names(namespace: str = "") -> set[str]:
    """Names of all links of the namespace."""
    return namespaces.within(namespace, lambda: set(link_names.indices()))


def present(wanted: Iterable[str], namespace: str = "") -> set[str]:
    """Those of these links that exist; what it costs does not depend on how many others do."""
    return namespaces.within(namespace, lambda: {name for name in wanted if _exists(name)})


def _exists(name: str) -> bool:
    try:
        return socket.if_nametoindex(name) > 0
    except OSError:
        return False


def details(wanted: Iterable[str], namespace: str = "") -> dict[str, dict[str, Any]]:
    """What ``ip -d link show`` tells of those of these links that exist."""
    there = present(set(wanted), namespace)
    chosen = ["-n", namespace] if namespace else []
    if len(there) > _FEW:
        found = run_json("check", ["ip", *chosen, "-j", "-d", "link", "show"])
        return {link["ifname"]: link for link in found if link and link["ifname"] in there}
    shown = [run_json("check", ["ip", *chosen, "-j", "-d", "link", "show", "dev", name]) for name in sorted(there)]
    return {link["ifname"]: link for found in shown for link in found}


def marked(mark: str) -> dict[str, list[str]]:
    """Name -> the words of its alias after ``mark``, for links of the machine's namespace whose alias begins so."""
    found = run_json("check", ["ip", "-j", "link", "show"])
    beginning = mark + " "
    return {
        link["ifname"]: link["ifalias"].removeprefix(beginning).split()
        for link in found
        if link and link.get("ifalias", "").startswith(beginning)
    }


def foreign(name: str) -> DriverError:
    """The refusal to touch a link that somebody else has made."""
    return DriverError(
        "ensure_network",
        f"the link {name} exists and belongs to something else",
        code="network.foreign_link",
        hint=f"Rename or remove the link {name}.",
    )


def _grouped(names: list[str]) -> list[str]:
    group = _GROUPS + secrets.randbelow(_GROUPS)
    return [*(f"link set dev {name} group {group}" for name in names), f"link del group {group}"]


def delete(wanted: Iterable[str], namespace: str = "") -> None:
    """These links gone, many at once by a group of their own: one by one, the kernel takes as long for each as for all.
    One that goes by itself meanwhile, like the end of a pair whose other end went, is no error."""
    there = sorted(present(set(wanted), namespace))
    lines = [f"link del dev {name}" for name in there]
    if len(there) > _FEW:
        lines = [line for at in range(0, len(there), _MANY) for line in _grouped(there[at : at + _MANY])]
    try:
        namespaces.batch("remove_port", namespace, lines)
    except DriverError:
        left = present(there, namespace)
        if left and len(left) == len(there):
            raise
        delete(left, namespace)
