"""The words of the filters that count room."""

from __future__ import annotations


def shortage(*, needed: int, free: int, total: int, unit: str) -> str | None:
    """Why ``needed`` does not fit; None when it does. A server never gets more than the whole host has,
    however high the ratio."""
    if needed > total:
        return f"needs {needed} {unit}, the host has {total} in all"
    return f"needs {needed} {unit}, {max(0, free)} free" if needed > free else None


def smaller_flavor(*, needed: int, room: int, total: int, unit: str) -> str:
    """``room`` is what the roomiest host could still give, ``total`` what the largest has in all. Hosts that
    have never told their size get no advice of this kind."""
    if total <= 0:
        return ""
    if room <= 0:
        return f"deleting servers or adding a host (no host has any {unit} free)"
    return f"a flavor of at most {room} {unit} (needs {needed}, the roomiest host has {room} free)"
