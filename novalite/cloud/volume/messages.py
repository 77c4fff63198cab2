"""What users are told of things that failed after they were promised."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from novalite.cloud.volume.records import Message
from novalite.db.paging import Page, page_of
from novalite.db.records import new_id
from novalite.db.work import Work
from novalite.errors import NotFound

KEPT = timedelta(days=30)
SORT_KEYS: Mapping[str, Any] = {
    "id": Message.id, "event_id": Message.event_id, "resource_type": Message.resource_type,
    "created_at": Message.created_at, "request_id": Message.request_id, "resource_uuid": Message.resource_id,
}  # fmt: skip
_ACTIONS = {
    "creating": ("001", "schedule allocate volume"),
    "uploading": ("003", "copy volume to image"),
    "downloading": ("005", "copy image to volume"),
    "extending": ("007", "extend volume"),
    "snapshot": ("009", "create snapshot"),
    "deleting snapshot": ("010", "delete snapshot"),
    "backup": ("013", "create backup"),
    "deleting backup": ("014", "delete backup"),
    "restoring-backup": ("015", "restore backup"),
    "retyping": ("000", "retype volume"),
    "maintenance": ("017", "migrate volume"),
}
"""What went on -> Cinder's number of it and its words."""
_UNKNOWN = "001"


def tell(w: Work, project_id: str, resource: str, resource_id: str, doing: str, problem: str) -> None:
    """Leave a message for a project. What ``doing`` has no number for in Cinder is told in its own words."""
    number, words = _ACTIONS.get(doing, ("000", doing))
    w.session.add(
        Message(
            id=new_id(), project_id=project_id, resource_type=resource.upper(), resource_id=resource_id,
            event_id=f"VOLUME_{resource.upper()}_{number}_{_UNKNOWN}", text=f"{words}:{problem}",
            request_id=w.ctx.request_id, created_at=w.now,
        )
    )  # fmt: skip


def get(w: Work, message_id: str) -> Message:
    """One of the caller's project (of any for admins). Raises ``NotFound``."""
    found = w.session.get(Message, message_id)
    if found is None or (found.project_id != w.ctx.project_id and not w.ctx.is_admin):
        raise NotFound("message", message_id, message=f"Message {message_id} could not be found.")
    return found


def list_all(w: Work, page: Page, *, equal: Mapping[str, str], offset: int = 0) -> list[Message]:
    """Those of the caller's project, newest first unless the page says otherwise."""
    visible = Message.project_id == w.ctx.project_id
    query = sa.select(Message).where(visible, *(getattr(Message, name) == value for name, value in equal.items()))
    return page_of(w, query.offset(offset) if offset else query, Message, page, SORT_KEYS, default=("created_at",),
                   descending=True, visible=visible)  # fmt: skip


def delete(w: Work, message_id: str) -> None:
    w.session.delete(get(w, message_id))


def prune(w: Work, now: datetime) -> int:
    """Forget what is older than ``KEPT``; how many there were."""
    return w.changed(sa.delete(Message).where(Message.created_at < now - KEPT))
