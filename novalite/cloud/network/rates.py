"""How much may pass each port."""

from __future__ import annotations

from collections.abc import Iterable

from novalite.db.work import Work
from novalite.drivers.network.base import RateSpec


def of_ports(w: Work, ids: Iterable[str]) -> dict[str, RateSpec]:
    """The limits that policies set, by port; those without are left out."""
    return {}
