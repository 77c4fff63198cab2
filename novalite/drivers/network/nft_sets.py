"""Sets and maps of the packet filter as data, and the text that brings a difference to the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Sets = Mapping[str, frozenset[str]]
"""Name of a set or map -> its elements, as ``nft`` writes them."""


def difference(table: str, before: Sets, after: Sets) -> str:
    """The elements to take out and to put in; empty when nothing changes. ``table`` is family and name."""
    gone, come = [], []
    for name in sorted({*before, *after}):
        old, new = before.get(name, frozenset()), after.get(name, frozenset())
        if old - new:
            gone.append(f"delete element {table} {name} {_listed(item.partition(' : ')[0] for item in old - new)}\n")
        if new - old:
            come.append(f"add element {table} {name} {_listed(new - old)}\n")
    return "".join(gone + come)


def _listed(items: Iterable[str]) -> str:
    return "{ " + ", ".join(sorted(items)) + " }"


def replacement(table: str, body: str, sets: Sets) -> str:
    """The table anew, with ``body`` and these elements, in place of what was there."""
    return f"table {table}\ndelete table {table}\ntable {table} {{\n{body}}}\n" + difference(table, {}, sets)


def removal(table: str) -> str:
    """The table gone, whether or not it was there."""
    return f"table {table}\ndelete table {table}\n"
