"""The flows: one file per kind of work, each a list of repeatable steps."""

from __future__ import annotations

from novalite.engine.conductor.boot import BOOT
from novalite.engine.conductor.delete import DELETE
from novalite.engine.conductor.power import FLOWS
from novalite.engine.flow import Registry


def registry() -> Registry:
    """Every flow of the product."""
    made = Registry()
    for flow in (BOOT, DELETE, *FLOWS):
        made.add(flow)
    return made
