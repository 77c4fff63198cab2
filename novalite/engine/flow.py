"""What a flow and a step are, and the registry that maps each kind of task to its flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from novalite.context import Context
from novalite.db.work import Database, Work
from novalite.drivers.network.base import NetworkDriver
from novalite.drivers.storage.base import BackupStore, ImageStore, VolumeBackends, VolumeExports
from novalite.engine.links import Links
from novalite.engine.scheduler.ports import Filter, Weigher
from novalite.engine.scheduling import Scheduling
from novalite.settings import Settings


@dataclass(frozen=True)
class Wait:
    """Run this step again when ``event`` happens, or after ``seconds``; the worker is free meanwhile."""

    event: str
    seconds: float


@dataclass(frozen=True)
class Parts:
    """What flows work with."""

    settings: Settings
    database: Database
    links: Links
    network: NetworkDriver
    images: ImageStore
    scheduling: Scheduling
    volumes: VolumeBackends
    backups: BackupStore
    exports: VolumeExports
    filters: tuple[Filter, ...] = ()
    weighers: tuple[Weigher, ...] = ()


@dataclass
class Run:
    """One task being run. ``memo`` is saved with each step: what a step leaves for later ones and for undo.
    ``scratch`` is not: it spares later steps the same reading, and is empty after a pause or a restart."""

    task_id: str
    args: Mapping[str, Any]
    memo: dict[str, Any]
    ctx: Context
    parts: Parts
    scratch: dict[str, Any] = field(default_factory=dict)

    @property
    def server_id(self) -> str:
        return str(self.args["server_id"])


@dataclass(frozen=True)
class Step:
    """``run`` may be repeated at any time: it ensures, it does not add. ``undo`` likewise, and it must also
    succeed when ``run`` never began. ``shows`` is what the flow's ``show`` writes down as going on, in the
    unit that records the step before."""

    name: str
    run: Callable[[Run], Wait | None]
    undo: Callable[[Run], None] | None = None
    shows: str = ""


def _nothing(run: Run) -> None:
    return None


def _show_nothing(w: Work, run: Run, what: str) -> None:
    return None


def _no_reroute(run: Run, error: Exception) -> str | None:
    return None


@dataclass(frozen=True)
class Flow:
    """``failed`` records the failure once everything is undone; ``cancelled`` the same after a cancellation.
    ``reroute`` may name a step to go on from after undoing back to it (another host, say). ``retries`` is how
    often a step is tried when what it met may pass. ``show`` writes what a step ``shows`` to the resource."""

    kind: str
    steps: tuple[Step, ...]
    failed: Callable[[Run, Exception], None]
    cancelled: Callable[[Run], None] = _nothing
    reroute: Callable[[Run, Exception], str | None] = _no_reroute
    show: Callable[[Work, Run, str], None] = _show_nothing
    retries: int = 5

    def index(self, step: str) -> int:
        """Position of a step; an empty or unknown name is the beginning."""
        return next((i for i, each in enumerate(self.steps) if each.name == step), 0)


@dataclass
class Registry:
    """Kinds and their flows."""

    flows: dict[str, Flow] = field(default_factory=dict)

    def add(self, flow: Flow) -> None:
        if flow.kind in self.flows:
            raise ValueError(f"two flows for {flow.kind}")
        self.flows[flow.kind] = flow

    def flow(self, kind: str) -> Flow:
        return self.flows[kind]

    def complete(self, kinds: list[str]) -> None:
        """Raises when a kind has no flow: found at start, not at the first task."""
        missing = sorted(set(kinds) - set(self.flows))
        if missing:
            raise ValueError(f"kinds of task without a flow: {', '.join(missing)}")
