"""The flows: one file per kind of work, each a list of repeatable steps."""

from __future__ import annotations

from novalite.cloud.compute import tasks
from novalite.engine.conductor.boot import BOOT
from novalite.engine.conductor.delete import DELETE
from novalite.engine.conductor.power import FLOWS
from novalite.engine.flow import Registry


def registry() -> Registry:
    """Every flow of the product. Raises when a kind of task has none: at start, not at the first task."""
    made = Registry()
    for flow in (BOOT, DELETE, *FLOWS):
        made.add(flow)
    made.complete([kind.kind for kind in tasks.KINDS])
    return made
