"""Lists of servers: filters, sort keys, pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVarTuple

import sqlalchemy as sa

from novalite.cloud.compute import patterns, states
from novalite.cloud.compute.servers import Server
from novalite.cloud.network import addresses
from novalite.cloud.network.records import FixedIp, Port
from novalite.db.paging import Page, narrow
from novalite.db.work import Work
from novalite.errors import Invalid

Ts = TypeVarTuple("Ts")
MOST_TAGS = 100


@dataclass(frozen=True)
class Filters:
    """What a listing is narrowed to. ``equal`` maps columns of ``COLUMNS`` to wanted values; ``matching`` maps
    text columns to regular expressions found anywhere. ``all_projects`` is for callers the front has allowed.
    ``soft_deleted`` shows those deleted softly beside the others, ``deleted`` both kinds of deleted ones alone."""

    all_projects: bool = False
    project_id: str = ""
    statuses: tuple[str, ...] = ()
    equal: dict[str, Any] = field(default_factory=dict)
    matching: dict[str, str] = field(default_factory=dict)
    image_id: str = ""
    flavor_id: str = ""
    ip: str = ""
    ip6: str = ""
    tags_all: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()
    tags_not_all: tuple[str, ...] = ()
    tags_not_any: tuple[str, ...] = ()
    locked: bool | None = None
    deleted: bool = False
    soft_deleted: bool = False
    changed_since: datetime | None = None
    changed_before: datetime | None = None


COLUMNS: dict[str, Any] = {
    "uuid": Server.id, "name": Server.name, "display_name": Server.name, "description": Server.description,
    "display_description": Server.description, "hostname": Server.hostname, "host": Server.host, "node": Server.host,
    "project_id": Server.project_id, "user_id": Server.user_id, "vm_state": Server.vm_state,
    "task_state": Server.task_state, "power_state": Server.power_state, "progress": Server.progress,
    "availability_zone": Server.availability_zone, "image_ref": Server.image_id, "key_name": Server.key_name,
    "reservation_id": Server.reservation_id, "launch_index": Server.launch_index, "locked_by": Server.locked_by,
    "root_device_name": Server.root_device_name, "created_at": Server.created_at, "updated_at": Server.updated_at,
    "launched_at": Server.launched_at, "terminated_at": Server.terminated_at, "config_drive": Server.config_drive,
    "access_ip_v4": Server.access_ip_v4, "access_ip_v6": Server.access_ip_v6, "auto_disk_config": Server.disk_config,
    "locked": Server.locked_by, "kernel_id": sa.literal(""), "ramdisk_id": sa.literal(""),
}  # fmt: skip


def page(w: Work, filters: Filters, page: Page) -> list[Server]:
    """A page of servers, newest first unless the page says otherwise. A constant number of queries."""
    return list(w.session.scalars(_narrowed(w, sa.select(Server), filters, page)))


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether an answer about a server made earlier is still right: its ``revision``."""

    id: str
    revision: int
    host: str | None


def stamps(w: Work, filters: Filters, page: Page) -> list[Stamp]:
    """The same page as ``page``, but only the stamps: a small fraction of the cost."""
    query = _narrowed(w, sa.select(Server.id, Server.revision, Server.host), filters, page)
    return [Stamp(*row) for row in w.session.execute(query)]


@dataclass(frozen=True, slots=True)
class Named:
    id: str
    name: str


def names(w: Work, filters: Filters, page: Page) -> list[Named]:
    """The same page as ``page``, but only ids and names."""
    return [Named(*row) for row in w.session.execute(_narrowed(w, sa.select(Server.id, Server.name), filters, page))]


def by_ids(w: Work, ids: Sequence[str]) -> dict[str, Server]:
    """Servers by id, deleted ones included; the caller has checked that they may be seen."""
    found = w.session.scalars(sa.select(Server).where(Server.id.in_(ids)))
    return {server.id: server for server in found}


def _narrowed(w: Work, query: sa.Select[*Ts], filters: Filters, page: Page) -> sa.Select[*Ts]:
    keys = {**COLUMNS, "id": Server.id}
    query = query.where(*_conditions(w, filters))
    mine = sa.true() if filters.all_projects else Server.project_id == w.ctx.project_id
    return narrow(
        w, query, page, keys, default=("created_at",), identity=Server.id, descending=not page.sort, visible=mine
    )


def total(w: Work, filters: Filters) -> int:
    """How many servers the filters leave."""
    query = sa.select(sa.func.count()).select_from(Server).where(*_conditions(w, filters))
    return int(w.session.scalar(query) or 0)


def _conditions(w: Work, filters: Filters) -> list[Any]:
    tests: list[Any] = []
    if not filters.all_projects:
        tests.append(Server.project_id == w.ctx.project_id)
    elif filters.project_id:
        tests.append(Server.project_id == filters.project_id)
    tests += _liveness(filters)
    if filters.statuses:
        tests.append(sa.or_(*(_status_test(word) for word in filters.statuses)))
    tests += [COLUMNS[name] == value for name, value in filters.equal.items()]
    tests += [patterns.found_in(w, COLUMNS[name], name, text) for name, text in filters.matching.items()]
    if filters.image_id:
        tests.append(Server.image_id == filters.image_id)
    if filters.flavor_id:
        tests.append(Server.flavor["id"].as_string() == filters.flavor_id)
    for text in filter(None, (filters.ip, filters.ip6)):
        tests.append(_address_test(w, text))
    if filters.locked is not None:
        tests.append(Server.locked_by != "" if filters.locked else Server.locked_by == "")
    return tests + _tag_tests(filters)


_IS_ASIDE = Server.vm_state == states.SOFT_DELETED


def _liveness(filters: Filters) -> list[Any]:
    tests: list[Any] = []
    if filters.changed_since:
        tests.append(Server.updated_at >= filters.changed_since)
    if filters.changed_before:
        tests.append(Server.updated_at <= filters.changed_before)
    if filters.deleted:
        tests.append(Server.deleted_at.is_not(None) | _IS_ASIDE)
    elif not (filters.changed_since or filters.changed_before):
        tests.append(Server.deleted_at.is_(None))
        if not filters.soft_deleted:
            tests.append(~_IS_ASIDE)
    return tests


def _status_test(word: str) -> Any:
    vm_states, task_states = states.states_of(word)
    if not vm_states:
        return sa.false()
    test: Any = Server.vm_state.in_(vm_states)
    return sa.and_(test, Server.task_state.in_(task_states)) if task_states else test


def _tag_tests(filters: Filters) -> list[Any]:
    asked = (filters.tags_all, filters.tags_any, filters.tags_not_all, filters.tags_not_any)
    if sum(map(len, asked)) > MOST_TAGS:
        raise Invalid(f"A list may be narrowed by at most {MOST_TAGS} tags.", field="tags")
    tests: list[Any] = [_has_tag(tag) for tag in filters.tags_all]
    if filters.tags_any:
        tests.append(sa.or_(*(_has_tag(tag) for tag in filters.tags_any)))
    if filters.tags_not_all:
        tests.append(sa.not_(sa.and_(*(_has_tag(tag) for tag in filters.tags_not_all))))
    if filters.tags_not_any:
        tests.append(sa.not_(sa.or_(*(_has_tag(tag) for tag in filters.tags_not_any))))
    return tests


_FEW_ADDRESSES = 1000


def _address_test(w: Work, text: str) -> Any:
    """Servers with an address that begins with ``text``: by their ids when there are few, else looked at one by
    one until the page is full."""
    begins = addresses.beginning_with(text.removeprefix("^"))
    where = sa.select(Port.device_id).join(FixedIp, FixedIp.port_id == Port.id).where(begins)
    few = w.session.scalars(where.limit(_FEW_ADDRESSES + 1)).all()
    if len(few) <= _FEW_ADDRESSES:
        return Server.id.in_(set(few))
    return where.where(Port.device_id == Server.id).exists()


def _has_tag(tag: str) -> Any:
    # tags never hold a quote that is not escaped in JSON text, so the quoted form matches whole tags only
    quoted = '"' + tag.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return sa.cast(Server.tags, sa.Text).contains(quoted, autoescape=True)
