"""What has been done to a server: its tasks, and their steps as events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from novalite.api.compute.server_view import host_id, may_see_host
from novalite.api.compute.shapes import ANY_QUERY, PAGING, ROOT, RULE
from novalite.api.kit import moments
from novalite.api.kit.answers import LINKS, MOMENT, MOMENT_OR_NULL, TEXT, TEXT_OR_NULL, UUID, array
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View, utc_micros
from novalite.cloud.compute import servers
from novalite.cloud.compute.servers import Server
from novalite.cloud.identity import policy
from novalite.cloud.tasks import tasks
from novalite.cloud.tasks.tasks import State, Task, TaskStep
from novalite.errors import Invalid, NotFound


@dataclass(frozen=True)
class Log:
    """One action with its events, and where the server is."""

    task: Task
    server: Server
    steps: Sequence[TaskStep] = ()


def _message(log: Log, call: Call) -> str | None:
    return "Error" if log.task.state == State.FAILED else None


ACTION = View(
    Field("action", "task.action", schema=TEXT),
    Field("instance_uuid", "task.resource_id", schema=UUID),
    Field("request_id", "task.request_id", schema=TEXT),
    Field("user_id", "task.user_id", schema=TEXT_OR_NULL),
    Field("project_id", "task.project_id", schema=TEXT_OR_NULL),
    Field("start_time", lambda log, call: utc_micros(log.task.created_at), schema=MOMENT),
    Field("message", _message, schema=TEXT_OR_NULL),
    Field("updated_at", lambda log, call: utc_micros(log.task.updated_at), since="2.58", schema=MOMENT),
)


def _sees_events(call: Call) -> bool:
    return call.since("2.51") or policy.allows(RULE + "os-instance-actions:events", call.ctx)


def _sees_details(call: Call) -> bool:
    """They may name hosts and paths."""
    return policy.allows(RULE + "os-instance-actions:events:details", call.ctx)


def _events(log: Log, call: Call) -> list[dict[str, Any]]:
    render = EVENT.renderer(call)
    return [render(event, call) for event in (_whole(log), *(_step(step, log.server) for step in log.steps))]


@dataclass(frozen=True)
class Event:
    """``result`` is None until it has ended."""

    name: str
    started_at: datetime | None
    finished_at: datetime | None
    result: str | None
    detail: str
    server: Server


_IN_NOVA = {
    "create": "_do_build_and_run_instance", "delete": "terminate_instance", "softDelete": "soft_delete_instance",
    "changePassword": "set_admin_password", "createImage": "snapshot_instance", "createBackup": "backup_instance",
    "confirmResize": "confirm_resize", "revertResize": "revert_resize", "shelveOffload": "shelve_offload_instance",
    "resize": "prep_resize", "migrate": "prep_resize", "evacuate": "rebuild_instance",
    "live-migration": "live_migration",
}  # fmt: skip
_OF_INSTANCE = (
    "start", "stop", "reboot", "pause", "unpause", "suspend", "resume", "rebuild", "rescue", "unrescue", "shelve",
    "unshelve", "restore",
)  # fmt: skip
EVENT_NAMES = {**{name: f"{name}_instance" for name in _OF_INSTANCE}, **_IN_NOVA}
"""Programs wait for an action by the name of what Nova calls for it; those not here are called as the action is."""
_RESULTS: dict[str, str] = {State.DONE: "Success", State.FAILED: "Error"}


def _whole(log: Log) -> Event:
    """The action as Nova tells it: one event."""
    task = log.task
    name = f"compute_{EVENT_NAMES.get(task.action, task.action)}"
    return Event(name, task.created_at, task.finished_at, _RESULTS.get(task.state), "", log.server)


def _step(step: TaskStep, server: Server) -> Event:
    name = f"compute_{step.name}" + ("_undone" if step.undone else "")
    result = "Success" if step.result == "Success" else "Error"
    return Event(name, step.started_at, step.finished_at, result, step.detail or "", server)


def _event_host_id(event: Event, call: Call) -> str:
    return host_id(event.server.project_id, event.server.host or "")


EVENT = View(
    Field("event", "name", schema=TEXT),
    Field("start_time", lambda event, call: utc_micros(event.started_at), schema=MOMENT),
    Field("finish_time", lambda event, call: utc_micros(event.finished_at), schema=MOMENT_OR_NULL),
    Field("result", schema={"enum": ["Success", "Error", None]}),
    Field("traceback", lambda event, call: None, only=may_see_host, schema=TEXT_OR_NULL),
    Field("hostId", _event_host_id, since="2.62", schema=TEXT),
    Field("host", "server.host", since="2.62", only=may_see_host, schema=TEXT_OR_NULL),
    Field("details", lambda event, call: event.detail or None, since="2.84", only=_sees_details, schema=TEXT_OR_NULL),
)
ACTION_WITH_EVENTS = ACTION.extended(
    Field("events", _events, only=_sees_events, schema=lambda version: array(EVENT.schema(version)))
)


def _server(call: Call) -> Server:
    return servers.get(call.w, call.path["server_id"], deleted=call.since("2.21"))


def moment_of(call: Call, name: str) -> datetime | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return moments.parse(text)
    except ValueError as error:
        raise Invalid(f"Invalid input for query parameters {name}. Value: {text[:50]}.", field=name) from error


def list_all(call: Call) -> Page:
    server = _server(call)
    found = tasks.actions(call.w, server.id)
    if not call.since("2.58"):
        return Page([Log(task, server) for task in found])
    found = _narrowed(call, found)
    most = limit(call)
    extra: dict[str, Any] = {}
    if len(found) > most > 0:
        extra["links"] = [{"rel": "next", "href": call.next_link(found[most - 1].request_id)}]
    return Page([Log(task, server) for task in found[:most]], extra=extra)


def _narrowed(call: Call, found: list[Task]) -> list[Task]:
    since = moment_of(call, "changes-since")
    before = moment_of(call, "changes-before") if call.since("2.66") else None
    marker = call.query.get("marker")
    if marker:
        ids = [task.request_id for task in found]
        if marker not in ids:
            raise Invalid(f"Marker {marker[:100]} could not be found.", field="marker")
        found = found[ids.index(marker) + 1 :]
    return [
        task for task in found
        if (since is None or task.updated_at >= since) and (before is None or task.updated_at <= before)
    ]  # fmt: skip


def show(call: Call) -> Log:
    server, request_id = _server(call), call.path["request_id"]
    for task in tasks.actions(call.w, server.id):
        if task.request_id == request_id:
            return Log(task, server, tasks.steps(call.w, task.id))
    message = f"Action for request_id {request_id} on instance {server.id} not found"
    raise NotFound("action", request_id, message=message)


_PATH = f"{ROOT}/servers/{{server_id}}/os-instance-actions"
_LIST = ACTION.many("instanceActions", extra={"links": LINKS})
_QUERY = Query(*PAGING, Item("changes-since", ANY_QUERY), Item("changes-before", ANY_QUERY, since="2.66"),
               strict_since="2.58")  # fmt: skip
ROUTES = [
    Route("GET", _PATH, list_all, rule=RULE + "os-instance-actions:list", unit="read", view=_LIST, until="2.57"),
    Route("GET", _PATH, list_all, rule=RULE + "os-instance-actions:list", unit="read", query=_QUERY,
          view=_LIST, since="2.58"),
    Route("GET", _PATH + "/{request_id}", show, rule=RULE + "os-instance-actions:show", unit="read",
          view=ACTION_WITH_EVENTS.one("instanceAction")),
]  # fmt: skip
