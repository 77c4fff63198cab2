"""The kind of task that fills an image from elsewhere, and those tasks as the image API lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import sqlalchemy as sa

from novalite.cloud.tasks import tasks as durable
from novalite.cloud.tasks.tasks import State, Task
from novalite.db.paging import Page, page_of
from novalite.db.work import Work
from novalite.errors import NotFound

_TOLD_FOR = timedelta(hours=48)
STATUSES = ("pending", "processing", "success", "failure")
SORT_KEYS: Mapping[str, Any] = {"id": Task.id, "created_at": Task.created_at, "updated_at": Task.updated_at}


def key(image_id: str) -> str:
    """What a task on an image holds while it runs."""
    return f"image:{image_id}"


@dataclass(frozen=True)
class ImageImport:
    """Fill an image with what is staged or is at ``uri``. ``type`` and ``asked`` are as the caller sees them."""

    kind: ClassVar[str] = "image.import"
    action: ClassVar[str] = ""
    image_id: str
    method: str
    uri: str = ""
    type: str = "api_image_import"
    asked: Mapping[str, Any] = field(default_factory=dict)


KINDS: tuple[type[durable.Kind], ...] = (ImageImport,)


def status(task: Task) -> str:
    """As Glance calls it."""
    if task.state == State.DONE:
        return "success"
    if task.state in durable.ENDED:
        return "failure"
    return "pending" if task.state == State.QUEUED and not task.step else "processing"


def message(task: Task) -> str:
    """Why it failed; empty otherwise."""
    return str((task.error or {}).get("message", "")) if status(task) == "failure" else ""


def expires_at(task: Task) -> datetime | None:
    """Until when Glance would tell of it; here it is told for as long as tasks are kept."""
    return task.finished_at + _TOLD_FOR if task.finished_at else None


def of_image(w: Work, image_id: str) -> list[Task]:
    """Newest first; to those who only see the image it is not told where its data came from."""
    query = sa.select(Task).where(_visible(w), Task.resource_id == image_id)
    return list(w.session.scalars(query.order_by(Task.created_at.desc(), Task.id)))


def _visible(w: Work) -> sa.ColumnElement[bool]:
    ours = Task.kind == ImageImport.kind
    return ours if w.ctx.is_admin else sa.and_(ours, Task.project_id == w.ctx.project_id)


_STATES = {
    "pending": sa.and_(Task.state == State.QUEUED, Task.step == ""),
    "processing": sa.or_(
        Task.state.in_((State.RUNNING, State.WAITING)), sa.and_(Task.state == State.QUEUED, Task.step != "")
    ),
    "success": Task.state == State.DONE,
    "failure": Task.state.in_((State.FAILED, State.CANCELLED)),
}


def list_visible(w: Work, page: Page, *, status: str = "", type: str = "") -> list[Task]:
    """A page of imports, newest first. ``status`` is one of ``STATUSES``."""
    query = sa.select(Task).where(_visible(w))
    if status:
        query = query.where(_STATES[status])
    if type:
        query = query.where(Task.args["type"].as_string() == type)
    return page_of(
        w, query, Task, page, SORT_KEYS, default=("created_at",), descending=True, visible=_visible(w)
    )  # fmt: skip


def get(w: Work, task_id: str) -> Task:
    """Raises ``NotFound``."""
    found = w.session.scalar(sa.select(Task).where(Task.id == task_id, _visible(w)))
    if found is None:
        raise NotFound("task", task_id, message=f"No task found with ID {task_id}")
    return found
