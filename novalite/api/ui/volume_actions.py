"""The buttons of a volume's page: which there are, which rule allows each, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from novalite.api.ui.volume_form import LONGEST_NAME, size_of
from novalite.cloud.compute import queries, states, volume_attachments
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import policy
from novalite.cloud.volume import backups, changes, snapshots, volumes
from novalite.cloud.volume.records import Volume
from novalite.context import Context
from novalite.db.paging import Page
from novalite.db.work import Work
from novalite.errors import Invalid

Form = Mapping[str, str]
_ATTACHMENTS = "os_compute_api:os-volumes-attachments:"
_OFFERED = 200
_WITH_VOLUMES = (states.ACTIVE, states.PAUSED, states.STOPPED, states.RESIZED, states.SHELVED_OFFLOADED)


@dataclass(frozen=True)
class Action:
    """``statuses`` of a volume in which it is offered; ``rule`` has to allow it."""

    rule: str
    statuses: tuple[str, ...]
    ask: Callable[[Work, Volume, Form], None]


def _name(form: Form) -> str | None:
    name = form.get("name", "").strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"A name has up to {LONGEST_NAME} characters, all printable.", field="name")
    return name or None


def _snapshot(w: Work, volume: Volume, form: Form) -> None:
    snapshots.create(w, volume.id, name=_name(form), force=True)


def _backup(w: Work, volume: Volume, form: Form) -> None:
    backups.create(w, volume.id, name=_name(form), description=None, force=True)


def _extend(w: Work, volume: Volume, form: Form) -> None:
    if volume.status == "in-use":
        policy.require("volume:extend_attached_volume", w.ctx)
    changes.extend(w, volume.id, size_of(form.get("size", "")), attached_too=True)


def _attach(w: Work, volume: Volume, form: Form) -> None:
    volume_attachments.attach(w, form.get("server", ""), volume_attachments.NewAttachment(volume.id))


def _detach(w: Work, volume: Volume, form: Form) -> None:
    volume_attachments.detach(w, form.get("server", ""), volume.id)


def _delete_snapshot(w: Work, volume: Volume, form: Form) -> None:
    snapshots.delete(w, form.get("id", ""))


def _delete_backup(w: Work, volume: Volume, form: Form) -> None:
    backups.delete(w, form.get("id", ""))


_ANY = ("available", "in-use")
ACTIONS = {
    "snapshot": Action("volume:create_snapshot", _ANY, _snapshot),
    "backup": Action("backup:create", _ANY, _backup),
    "extend": Action("volume:extend", _ANY, _extend),
    "attach": Action(_ATTACHMENTS + "create", _ANY, _attach),
    "detach": Action(_ATTACHMENTS + "delete", ("in-use",), _detach),
    "delete_snapshot": Action("volume:delete_snapshot", (), _delete_snapshot),
    "delete_backup": Action("backup:delete", (), _delete_backup),
}


def offered(volume: Volume, ctx: Context) -> set[str]:
    """What may be done with the volume now, by the caller; deletions of copies always where a rule allows them."""
    return {
        name
        for name, action in ACTIONS.items()
        if (not action.statuses or volume.status in action.statuses) and policy.allows(action.rule, ctx)
    }


def may_attach(volume: Volume, ctx: Context) -> bool:
    free = volume.status == "available" or (volume.status == "in-use" and volume.multiattach)
    return free and policy.allows(ACTIONS["attach"].rule, ctx)


def possible_servers(w: Work) -> list[Server]:
    """The project's newest servers that may be given a volume now."""
    rows = queries.page(w, queries.Filters(), Page(limit=_OFFERED))
    return [server for server in rows if server.vm_state in _WITH_VOLUMES and not server.task_state]


def ask(w: Work, volume_id: str, form: Form) -> None:
    """Begin an action. Raises ``Invalid`` for one that has no button, and as the action does."""
    action = ACTIONS.get(form.get("action", ""))
    if action is None:
        raise Invalid(f"There is no action {form.get('action', '')[:40]}.", field="action")
    policy.require(action.rule, w.ctx)
    action.ask(w, volumes.get(w, volume_id), form)
