"""The threads of one appliance: started in order, watched, stopped in the opposite order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from novalite import clock, logs
from novalite.appliance import first_start
from novalite.appliance.build import Built
from novalite.appliance.metadata import Metadata
from novalite.cloud.compute import consoles
from novalite.cloud.compute.servers import TOPIC as SERVER_TOPIC
from novalite.cloud.tasks import tasks
from novalite.context import internal
from novalite.engine import conductor, heartbeat, network_state, reconcile, volume_exports, volume_files
from novalite.engine.console.proxy import ConsoleProxy
from novalite.engine.console.streams import EventHub
from novalite.engine.events import HostEvents
from novalite.engine.network_changes import NetworkChanges
from novalite.engine.periodic import Periodic, jobs
from novalite.engine.queue.memory import MemoryQueue
from novalite.engine.supervisor import ComponentStatus, Supervisor
from novalite.engine.workers import Boundary, Workers
from novalite.errors import NovaLiteError

_log = logs.get("engine")
_WATCH_SECONDS = 30.0
_LIVE = (SERVER_TOPIC, "host", "image", "keypair", "volume", "volume_snapshot", "volume_backup")
"""What browsers are told of."""


def _no_boundary(name: str) -> None:
    return None


class Engine:
    """Everything that acts. ``start`` returns at once; ``ready`` is set when the machine's state has been made
    from the records and tasks run."""

    def __init__(self, built: Built, *, boundary: Boundary = _no_boundary) -> None:
        self.built = built
        self.queue = MemoryQueue()
        self.periodic = Periodic(built.parts, self.queue)
        self.workers = Workers(built.parts, conductor.registry(), self.queue, self.periodic.alarm, boundary)
        self.proxy = ConsoleProxy()
        self.hub = EventHub()
        self.supervisor = Supervisor()
        self.ready = threading.Event()
        self.started_at = clock.now()
        self.waiting_requests: Callable[[], int] = lambda: 0
        self.metadata = Metadata(built) if built.serves_metadata else None
        self.network_changes = NetworkChanges(built.database, built.network, self._networks_changed)
        built.database.listen(self._on_change)

    def _on_change(self, topic: str, id: str, project_id: str) -> None:
        self.network_changes.note(topic, id)
        if topic == tasks.WAKE_TOPIC:
            self.queue.put(id)
        elif topic == consoles.REVOKED_TOPIC:
            self.proxy.close_server(id)
        elif topic in _LIVE:
            self.hub.publish(topic, id, project_id)

    def _networks_changed(self) -> None:
        if self.metadata is not None:
            self.metadata.network_changed()

    def start(self) -> None:
        """Start every component. The first one restores the machine's state, then lets tasks run."""
        self.hub.start()
        for job in jobs(self.built.parts, self.queue):
            self.periodic.add(job)
        add = self.supervisor.add
        add("periodic", self.periodic.loop, backlog=self.periodic.backlog)
        add("startup", self._startup)

    def _startup(self, stop: threading.Event) -> None:
        """Make host state from the records, then start what acts on it; once, and again if it fails."""
        built = self.built
        volume_exports.restore(built.parts)
        network_state.restore(built.database, built.network)
        restarted = heartbeat.beat_all(built.database, built.links)
        found = reconcile.every_host(built.database, built.links)
        reconcile.start_with_machine(
            built.database, list(built.hosts), restarted=restarted, found_down=set(found.found_down),
            default_delay_seconds=built.settings.compute.start_delay_seconds,
        )  # fmt: skip
        first_start.mend_images(built.database, built.store)
        volume_files.mend(built.database, built.parts.volumes)
        with built.database.write(internal()) as w:
            due = tasks.recover(w)
        for task_id in due:
            self.queue.put(task_id)
        if not self.ready.is_set():
            self._start_actors()
            self.ready.set()
            _log.info("ready", seconds=(clock.now() - self.started_at).total_seconds(), tasks_resumed=len(due))
        stop.wait()

    def _start_actors(self) -> None:
        add, built = self.supervisor.add, self.built
        add("scheduler", built.parts.scheduling.loop, backlog=built.parts.scheduling.backlog)
        for number in range(built.settings.tasks.workers):
            backlog = self.queue.size if number == 0 else (lambda: 0)
            add(f"conductor-{number + 1}", self.workers.loop, backlog=backlog)
        for name in built.hosts:
            add(f"host-{name}", HostEvents(built.database, built.links, name, self._resync).loop)
        add("network", self._watch_network)
        add("exports", self._watch_exports)
        add("network-changes", self.network_changes.loop)
        if self.metadata is not None:
            add("metadata", self.metadata.loop)

    def _resync(self, host: str) -> None:
        restarted = heartbeat.beat(self.built.database, self.built.links, host)
        try:
            reconcile.host(self.built.database, self.built.links, host)
        except NovaLiteError as error:
            _log.warning("host not compared", host=host, error=str(error))
        if restarted:
            reconcile.machines_restarted(self.built.parts, [host])

    def _watch_exports(self, stop: threading.Event) -> None:
        while not stop.is_set() and self.built.parts.exports.watch(_WATCH_SECONDS):
            continue
        stop.wait()

    def _watch_network(self, stop: threading.Event) -> None:
        while not stop.is_set():
            dead = self.built.network.watch(_WATCH_SECONDS)
            if stop.is_set():
                return
            network_state.learn(self.built.database, self.built.network)
            if dead:
                _log.warning("networks need repair", ids=list(dead))
                network_state.repair(self.built.database, self.built.network, dead)
                if self.metadata is not None:
                    self.metadata.networks_mended()

    def status(self) -> list[ComponentStatus]:
        """Every component, those that are not threads of the supervisor included."""
        since = self.started_at.isoformat(timespec="seconds")
        api = ComponentStatus("api", "api_*", "running", 0, "", self.waiting_requests(), since)
        queue = ComponentStatus("queue", "(in memory)", "running", 0, "", self.queue.size(), since)
        consoles = ComponentStatus("console-proxy", "console-*", "running", 0, "", self.proxy.open_consoles, since)
        hub = ComponentStatus(
            "live-events", "live-events", "running" if self.hub.is_running else "stopped", 0, "", 0, since
        )
        return [api, queue, *self.supervisor.status(), consoles, hub]

    def stop(self) -> None:
        """Let every step finish; guests, bridges and DHCP stay as they are."""
        seconds = float(self.built.settings.http.drain_seconds)
        self.supervisor.ask_to_stop()
        self.queue.close()
        self.hub.stop()
        self.network_changes.close()
        self.supervisor.wait(lambda name: name.startswith("conductor-"), seconds=seconds)
        self.built.parts.scheduling.close()
        self.proxy.stop()
        self.built.parts.exports.close()
        close: Any = self.built.network.close
        close()
        self.built.links.close()
        left = self.supervisor.stop(seconds=seconds)
        if left:
            _log.warning("components did not stop in time", names=left)
        self.built.database.close()
