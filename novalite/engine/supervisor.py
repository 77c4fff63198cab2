"""Named threads with a way to stop: a component that dies is started again, and the fact is kept and told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from novalite import clock, logs
from novalite.clock import Deadline

_log = logs.get("supervisor")
_PAUSES_SECONDS = (0.2, 1.0, 5.0, 15.0)
_LONG_LIFE = timedelta(minutes=1)

Target = Callable[[threading.Event], None]


@dataclass(frozen=True)
class ComponentStatus:
    """``state`` is running, restarting or stopped; ``backlog`` counts what waits for the component."""

    name: str
    thread: str
    state: str
    restarts: int
    last_error: str
    backlog: int
    since: str


class _Component:
    def __init__(self, name: str, target: Target, backlog: Callable[[], int]) -> None:
        self.name = name
        self.target = target
        self.backlog = backlog
        self.stop = threading.Event()
        self.restarts = 0
        self.last_error = ""
        self.state = "running"
        self.since = clock.now()
        self.thread = threading.Thread(target=self._life, name=name, daemon=True)

    def _life(self) -> None:
        short_lives = 0
        while not self.stop.is_set():
            self.state, self.since = "running", clock.now()
            try:
                self.target(self.stop)
                if self.stop.is_set():
                    break
                self.last_error = "ended without being asked to"
            except Exception as error:  # noqa: BLE001  whatever kills a component is recorded and told
                self.last_error = f"{type(error).__name__}: {error}"
                _log.error("component died", name=self.name, exc_info=error)
            short_lives = 0 if clock.now() - self.since > _LONG_LIFE else short_lives
            pause = _PAUSES_SECONDS[min(short_lives, len(_PAUSES_SECONDS) - 1)]
            short_lives += 1
            self.restarts += 1
            self.state = "restarting"
            _log.warning("component will be restarted", name=self.name, after_seconds=pause, why=self.last_error)
            self.stop.wait(pause)
        self.state = "stopped"

    def status(self) -> ComponentStatus:
        return ComponentStatus(
            self.name, self.thread.name, self.state, self.restarts, self.last_error, self.backlog(),
            self.since.isoformat(timespec="seconds"),
        )  # fmt: skip


class Supervisor:
    """Starts components in the order they are added and stops them in the opposite one."""

    def __init__(self) -> None:
        self._components: list[_Component] = []

    def add(self, name: str, target: Target, *, backlog: Callable[[], int] = lambda: 0) -> None:
        """Start ``target(stop)`` in a thread of that name; it must return soon after ``stop`` is set."""
        component = _Component(name, target, backlog)
        self._components.append(component)
        component.thread.start()

    def status(self) -> list[ComponentStatus]:
        return [component.status() for component in self._components]

    def ask_to_stop(self) -> None:
        """Tell every component that its end has come, without waiting."""
        for component in reversed(self._components):
            component.stop.set()

    def wait(self, which: Callable[[str], bool], *, seconds: float) -> list[str]:
        """Wait for the end of those whose name ``which`` accepts, ``seconds`` at most together; the names of
        those still there."""
        deadline = Deadline(seconds)
        waited_for = [component for component in reversed(self._components) if which(component.name)]
        for component in waited_for:
            component.thread.join(deadline.remaining)
        return [component.name for component in reversed(waited_for) if component.thread.is_alive()]

    def stop(self, *, seconds: float) -> list[str]:
        """Ask all to stop and wait for them; the names of those still there."""
        self.ask_to_stop()
        return self.wait(lambda name: True, seconds=seconds)
