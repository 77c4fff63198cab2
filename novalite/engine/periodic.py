"""What happens by the clock: APScheduler's jobs, each short, each repeatable, each visible in the status."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

from novalite import clock, logs
from novalite.cloud.compute import (
    consoles,
    migrations,
    protection,
    protection_runs,
    protection_tests,
    resize,
    soft_delete,
)
from novalite.cloud.identity import tokens
from novalite.cloud.tasks import tasks
from novalite.cloud.volume import messages
from novalite.context import internal
from novalite.engine import carried, heartbeat, reconcile, volume_exports, volume_files
from novalite.engine.conductor.shelve import offload_in_time
from novalite.engine.flow import Parts
from novalite.engine.queue.base import Queue

_log = logs.get("periodic")


@dataclass(frozen=True)
class Job:
    """``run`` every ``seconds``."""

    name: str
    seconds: float
    run: Callable[[], object]


def _new_scheduler() -> Any:
    return BlockingScheduler(
        executors={"default": ThreadPoolExecutor(3), "alarms": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )


def _shut_down(scheduler: Any, stop: threading.Event) -> None:
    stop.wait()
    if scheduler.running:
        scheduler.shutdown(wait=False)


class Periodic:
    """Runs jobs, and puts task ids on the queue at given times."""

    def __init__(self, parts: Parts, queue: Queue) -> None:
        self._parts, self._queue = parts, queue
        self._jobs: list[Job] = []
        self._scheduler = _new_scheduler()
        self.last_errors: dict[str, str] = {}

    def alarm(self, when: datetime, task_id: str) -> None:
        """Put ``task_id`` on the queue at ``when``. One that is lost is found by the sweep."""
        self._scheduler.add_job(self._queue.put, "date", run_date=when, args=[task_id], executor="alarms")

    def add(self, job: Job) -> None:
        self._jobs.append(job)
        self._schedule(job)

    def _schedule(self, job: Job) -> None:
        self._scheduler.add_job(
            self._safely, "interval", seconds=job.seconds, args=[job], id=job.name,
            next_run_time=clock.now() + timedelta(seconds=job.seconds),
        )  # fmt: skip

    def _safely(self, job: Job) -> None:
        try:
            job.run()
            self.last_errors.pop(job.name, None)
        except Exception as error:  # noqa: BLE001  a job that fails is told, and runs again at its time
            self.last_errors[job.name] = f"{type(error).__name__}: {error}"
            _log.error("job failed", job=job.name, exc_info=error)

    def loop(self, stop: threading.Event) -> None:
        """Run the scheduler in this thread until asked to stop. What ends it otherwise is raised, and the
        next call begins with a new one that has the same jobs."""
        scheduler = self._scheduler
        watcher = threading.Thread(target=_shut_down, args=(scheduler, stop), name="periodic-stop", daemon=True)
        scheduler.add_listener(lambda event: watcher.start(), EVENT_SCHEDULER_STARTED)
        try:
            scheduler.start()
        except Exception:
            if stop.is_set():  # it was cut off in the middle of a look at its jobs
                return
            self._scheduler = _new_scheduler()
            for job in self._jobs:
                self._schedule(job)
            raise

    def backlog(self) -> int:
        """Alarms that are set."""
        jobs: list[Any] = self._scheduler.get_jobs()
        return sum(job.id not in self.last_errors and job.executor == "alarms" for job in jobs)


def jobs(parts: Parts, queue: Queue) -> list[Job]:
    """The jobs of every appliance."""
    database, links, settings = parts.database, parts.links, parts.settings

    def sweep() -> None:
        with database.read(internal()) as w:
            due = tasks.due(w)
        for task_id in due:
            queue.put(task_id)

    def expire() -> None:
        with database.write(internal()) as w:
            late = tasks.expire(w)
        if late:
            _log.warning("tasks past their deadline", number=late)

    def report() -> None:
        restarted = heartbeat.beat_all(database, links)
        if restarted:
            reconcile.machines_restarted(parts, sorted(restarted))

    def prune() -> None:
        with database.write(internal()) as w:
            tasks.prune(w, older_than=w.now - timedelta(days=settings.tasks.keep_days))
            migrations.prune(w, older_than=w.now - timedelta(days=settings.tasks.keep_days))
            consoles.prune(w)
            tokens.prune(w)
            messages.prune(w, w.now)
            protection_tests.prune(w, older_than=w.now - timedelta(days=settings.tasks.keep_days))
            protection_runs.prune(w, older_than=w.now - timedelta(days=settings.tasks.keep_days))

    def reclaim() -> None:
        seconds = settings.compute.reclaim_instance_interval_seconds
        if not seconds:
            return
        with database.write(internal()) as w:
            due = soft_delete.reclaim(w, put_aside_before=w.now - timedelta(seconds=seconds))
        if due:
            _log.info("deleted servers reclaimed", server_ids=due)

    def protect() -> None:
        with database.read(internal()) as w:
            due = protection.due(w)
        for resource_id in due:
            with database.write(internal()) as w:
                protection.begin_due(w, resource_id)
        with database.read(internal()) as w:
            untested = protection_tests.due(w, most=settings.protection.tests)
        for resource_id in untested:
            with database.write(internal()) as w:
                protection_tests.begin_due(w, resource_id)
        with database.write(internal()) as w:
            protection_runs.end_orphans(w)
            protection_tests.end_orphans(w)

    def end_resizes() -> None:
        with database.write(internal()) as w:
            ended = resize.end_unasked(w, settings.compute.resize_confirm_seconds)
        if ended:
            _log.info("resizes confirmed that nobody confirmed", server_ids=ended)

    return [
        Job("reports", 10, report),
        Job("sweep", settings.tasks.sweep_seconds, sweep),
        Job("deadlines", 15, expire),
        Job("reconcile", 60, lambda: reconcile.every_host(database, links)),
        Job("volumes", 60, lambda: volume_files.end_unowned(database, older_than_seconds=120)),
        Job("exports", 60, lambda: volume_exports.drop_unowned(parts)),
        Job("unowned", 30, lambda: reconcile.end_unowned_states(database, older_than_seconds=60)),
        Job("resizes", min(30, settings.compute.resize_confirm_seconds or 30), end_resizes),
        Job("shelved", 60, lambda: offload_in_time(parts)),
        Job("protection", 15, protect),
        Job("carried", 300, lambda: carried.forget_late(parts)),
        Job("prune", 3600, prune),
        Job("reclaim", min(60, settings.compute.reclaim_instance_interval_seconds or 60), reclaim),
    ]
