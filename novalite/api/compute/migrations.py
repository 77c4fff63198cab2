"""Moves of servers to other sizes and hosts: the list of all of them, and the live ones of a server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novalite.api.compute.instance_actions import moment_of
from novalite.api.compute.shapes import ANY_QUERY, NUMBER_QUERY, ROOT, RULE, TRUE, item_links
from novalite.api.kit.answers import LINKS, MOMENT, MOMENT_OR_NULL, TEXT, TEXT_OR_NULL, UUID, WHOLE, WHOLE_OR_NULL
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import limit, nova_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import ABSENT, Field, Page, View, utc_micros
from novalite.cloud.compute import migrate, migrations, servers
from novalite.cloud.compute.migrations import Migration, Wanted
from novalite.cloud.hosts import hosts
from novalite.cloud.identity import policy
from novalite.db.paging import Page as Window
from novalite.errors import Invalid, NotFound

_RULE = RULE + "os-migrations:"
_OF_SERVER_RULE = RULE + "servers:migrations:"


@dataclass(frozen=True)
class Shown:
    """A move, and where it goes: empty texts are shown as null, as all hosts are to those who may not see them."""

    move: Migration
    source: str = ""
    dest: str = ""
    dest_ip: str = ""


def _shown(call: Call, found: Iterable[Migration], rule: str) -> list[Shown]:
    moves = list(found)
    if not policy.allows(rule, call.ctx):
        return [Shown(move) for move in moves]
    ips = {host.name: str(host.report.get("host_ip", "")) for host in hosts.everyone(call.w)} if moves else {}
    return [Shown(move, move.source_host, move.dest_host, ips.get(move.dest_host, "")) for move in moves]


def _place(name: str, get: str) -> Field:
    return Field(name, lambda one, call: getattr(one, get) or None, schema=TEXT_OR_NULL)


def _flavor_number(flavor: dict[str, Any]) -> int | None:
    """Flavors have no numbers here; ids that are numbers serve for clients that want one."""
    flavor_id = str(flavor.get("id", ""))
    return int(flavor_id) if flavor_id.isascii() and flavor_id.isdecimal() and len(flavor_id) < 10 else None


_COMMON = (
    Field("id", "move.id", schema=WHOLE),
    Field("uuid", "move.uuid", since="2.59", schema=UUID),
    Field("status", "move.status", schema=TEXT),
    Field("created_at", lambda one, call: utc_micros(one.move.created_at), schema=MOMENT),
    Field("updated_at", lambda one, call: utc_micros(one.move.updated_at), schema=MOMENT_OR_NULL),
    _place("source_compute", "source"),
    _place("source_node", "source"),
    _place("dest_compute", "dest"),
    _place("dest_node", "dest"),
    _place("dest_host", "dest_ip"),
    Field("user_id", "move.user_id", since="2.80", schema=TEXT),
    Field("project_id", "move.project_id", since="2.80", schema=TEXT),
)


def _links(one: Shown, call: Call) -> Any:
    move = one.move
    if move.type != migrations.LIVE or move.status not in migrations.LIVE_IN_PROGRESS:
        return ABSENT
    return item_links(call, f"servers/{move.server_id}/migrations", str(move.id))


MIGRATION = View(
    *_COMMON,
    Field("instance_uuid", "move.server_id", schema=UUID),
    Field("old_instance_type_id", lambda one, call: _flavor_number(one.move.old_flavor), schema=WHOLE_OR_NULL),
    Field("new_instance_type_id", lambda one, call: _flavor_number(one.move.new_flavor), schema=WHOLE_OR_NULL),
    Field("migration_type", "move.type", since="2.23", schema=TEXT),
    Field("links", _links, since="2.23", schema=LINKS),
)


def _figure(name: str) -> Field:
    """What a host tells of a live migration while it goes on; none does yet."""
    return Field(name, lambda one, call: None, schema=WHOLE_OR_NULL)


LIVE = View(
    *_COMMON,
    Field("server_uuid", "move.server_id", schema=UUID),
    *(_figure(f"{what}_{how}_bytes") for what in ("disk", "memory") for how in ("processed", "remaining", "total")),
)


def list_all(call: Call) -> Page:
    project_id = call.query.get("project_id", "")
    if not project_id or project_id != call.ctx.project_id:
        policy.require(_RULE + "index:all_projects", call.ctx)
    wanted = _wanted(call)
    if wanted is None:
        return Page([])
    if not call.since("2.59"):
        return Page(_shown(call, migrations.listed(call.w, wanted), _RULE + "index:host"))
    most = limit(call)
    found = migrations.listed(call.w, wanted, Window(most, call.query.get("marker", "")))
    full = 0 < most <= len(found)
    return Page(_shown(call, found, _RULE + "index:host"), found[-1].uuid if full else "")


def _wanted(call: Call) -> Wanted | None:
    """None for hidden ones: they are never shown."""
    query = call.query
    if query.get("hidden", "") in TRUE:
        return None
    since = moment_of(call, "changes-since") if call.since("2.59") else None
    before = moment_of(call, "changes-before") if call.since("2.66") else None
    if since and before and before < since:
        raise Invalid("The value of changes-since must be less than or equal to changes-before.", field="changes-since")
    return Wanted(
        host=query.get("host", ""), source_host=query.get("source_compute", ""),
        server_id=query.get("instance_uuid", ""), status=tuple(query.getlist("status")[-1:]),
        type=query.get("migration_type", ""), user_id=query.get("user_id", "") if call.since("2.80") else "",
        project_id=query.get("project_id", ""), hidden=False,
        changes_since=since, changes_before=before,
    )  # fmt: skip


def list_of_server(call: Call) -> list[Shown]:
    server = servers.get(call.w, call.path["server_id"])
    wanted = Wanted(server_id=server.id, type=migrations.LIVE, status=migrations.LIVE_IN_PROGRESS)
    return _shown(call, migrations.listed(call.w, wanted), _OF_SERVER_RULE + "index:host")


def show_of_server(call: Call) -> Shown:
    server, migration_id = servers.get(call.w, call.path["server_id"]), call.path["migration_id"]
    move = migrations.of_server(call.w, server.id, migration_id)
    if move is None:
        raise _absent(f"In-progress live migration {migration_id} is not found for server {server.id}.", migration_id)
    if move.type != migrations.LIVE:
        raise _absent(f"Migration {migration_id} for server {server.id} is not live-migration.", migration_id)
    if move.status not in migrations.LIVE_IN_PROGRESS:
        raise _absent(f"Live migration {migration_id} for server {server.id} is not in progress.", migration_id)
    return _shown(call, [move], _OF_SERVER_RULE + "index:host")[0]


def _absent(message: str, migration_id: str) -> NotFound:
    return NotFound("migration", migration_id, message=message)


def abort(call: Call) -> None:
    migrate.abort(call.w, call.path["server_id"], call.path["migration_id"], queued_too=call.since("2.65"))


def force_complete(call: Call) -> None:
    migrate.force_complete(call.w, call.path["server_id"], call.path["migration_id"])


_MOMENT = {"type": "string", "format": "date-time"}
_OLD = ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")
_QUERY = Query(
    *(Item(name, ANY_QUERY) for name in _OLD),
    Item("limit", NUMBER_QUERY, since="2.59"),
    Item("marker", ANY_QUERY, since="2.59"),
    Item("changes-since", _MOMENT, since="2.59"),
    Item("changes-before", _MOMENT, since="2.66"),
    Item("user_id", ANY_QUERY, since="2.80"),
    Item("project_id", ANY_QUERY, since="2.80"),
    strict_since="2.59",
)
_OF_SERVER = f"{ROOT}/servers/{{server_id}}/migrations"
_ONE = f"{_OF_SERVER}/{{migration_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/os-migrations", list_all, rule=_RULE + "index", query=_QUERY, unit="read",
          view=MIGRATION.many("migrations", nova_links)),
    Route("GET", _OF_SERVER, list_of_server, rule=_OF_SERVER_RULE + "index", unit="read", since="2.23",
          view=LIVE.many("migrations")),
    Route("GET", _ONE, show_of_server, rule=_OF_SERVER_RULE + "show", unit="read", since="2.23",
          view=LIVE.one("migration")),
    Route("DELETE", _ONE, abort, rule=_OF_SERVER_RULE + "delete", unit="write", success=202, since="2.24"),
    Route("POST", f"{_ONE}/action", force_complete, rule=_OF_SERVER_RULE + "force_complete", unit="write", success=202,
          action="force_complete", body=Body("force_complete", whole={"type": "null"}), since="2.22"),
]  # fmt: skip
