"""Servers: listed, shown, changed, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from novalite.api.compute import server_view
from novalite.api.compute.server_create import DISK_CONFIG, NEW_SERVER, create
from novalite.api.compute.server_filters import QUERY, filters_of
from novalite.api.compute.server_view import BASIC, DETAIL, SHOW, UPDATED, Shown
from novalite.api.compute.shapes import FQDN, HOST_NAME, NAME, ROOT, RULE, TEXT_OR_NULL, plain_address, window
from novalite.api.kit.answers import LINKS, TEXT, UUID, Told, array, record
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page
from novalite.cloud.compute import flavors, queries, servers, soft_delete
from novalite.db.paging import Page as Window
from novalite.errors import Forbidden, NotFound

_CHANGE = Body(
    "server",
    Item("name", NAME),
    Item("OS-DCF:diskConfig", DISK_CONFIG),
    Item("accessIPv4", {"type": "string", "format": "ipv4"}),
    Item("accessIPv6", {"type": "string", "format": "ipv6"}),
    Item("description", TEXT_OR_NULL, since="2.19"),
    Item("hostname", HOST_NAME, since="2.90", until="2.93"),
    Item("hostname", FQDN, since="2.94"),
    Item("pinned_availability_zone", {"type": ["string", "null"], "minLength": 1, "maxLength": 255}, since="2.104"),
)  # fmt: skip
_NEW = record({
    "id": UUID, "links": LINKS, "OS-DCF:diskConfig": DISK_CONFIG, "adminPass": TEXT,
    "security_groups": array(record({"name": TEXT})),
}, optional=["security_groups"])  # fmt: skip
CREATED = Told(whole={"oneOf": [record({"server": _NEW}), record({"reservation_id": TEXT})]})
_COLUMN = {
    "name": "name", "OS-DCF:diskConfig": "disk_config", "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6", "description": "description", "hostname": "hostname",
}  # fmt: skip


def _asked(call: Call, all_rule: str) -> tuple[queries.Filters, Window, bool]:
    """The filters and the page of a listing, and whether anything can be on it."""
    filters = filters_of(call, all_rule)
    page = window(call)
    if {"host", "node"} & {key for key, _ in page.sort} and not call.ctx.is_admin:
        raise Forbidden("Only administrators can sort servers by host or node.")
    return filters, page, bool(page.limit) and _flavor_exists(call, filters)


def _marker(found: Sequence[queries.Named | queries.Stamp], page: Window) -> str:
    """What the next page begins after, when there is one."""
    return found[-1].id if found and len(found) >= page.limit else ""


def _flavor_exists(call: Call, filters: queries.Filters) -> bool:
    """An unknown flavor filters everything away, without a look at the servers."""
    if not filters.flavor_id:
        return True
    try:
        flavors.get(call.w, filters.flavor_id)
    except NotFound:
        return False
    return True


def list_basic(call: Call) -> Page:
    filters, page, some = _asked(call, "servers:index:get_all_tenants")
    found = queries.names(call.w, filters, page) if some else []
    return Page(found, _marker(found, page))


def list_detail(call: Call) -> Page:
    filters, page, some = _asked(call, "servers:detail:get_all_tenants")
    found = queries.stamps(call.w, filters, page) if some else []
    return Page(server_view.details(call, found), _marker(found, page))


def show(call: Call) -> Shown:
    (shown,) = server_view.load(call, [servers.get(call.w, call.path["server_id"])])
    return shown


def update(call: Call) -> Shown:
    server_id = call.path["server_id"]
    values: dict[str, Any] = {_COLUMN[key]: value for key, value in call.body.items() if key in _COLUMN}
    if "pinned_availability_zone" in call.body:
        servers.pin(call.w, server_id, call.body["pinned_availability_zone"])
    for column in ("access_ip_v4", "access_ip_v6"):
        if column in values:
            values[column] = plain_address(values[column])
    servers.rename(call.w, server_id, values)
    (shown,) = server_view.load(call, [servers.get(call.w, server_id)])
    return shown


def delete(call: Call) -> None:
    seconds = call.parts.settings.compute.reclaim_instance_interval_seconds
    soft_delete.delete(call.w, call.path["server_id"], reclaim_seconds=seconds)


_ONE = f"{ROOT}/servers/{{server_id}}"
ROUTES = [
    Route("GET", f"{ROOT}/servers", list_basic, rule=RULE + "servers:index", query=QUERY, unit="read",
          view=BASIC.many("servers", nova_links)),
    Route("GET", f"{ROOT}/servers/detail", list_detail, rule=RULE + "servers:detail", query=QUERY, unit="read",
          view=DETAIL.many("servers", nova_links)),
    Route("POST", f"{ROOT}/servers", create, rule=RULE + "servers:create", body=NEW_SERVER, success=202,
          unit="write", view=CREATED),
    Route("GET", _ONE, show, rule=RULE + "servers:show", view=SHOW.one("server"), unit="read"),
    Route("PUT", _ONE, update, rule=RULE + "servers:update", body=_CHANGE, view=UPDATED.one("server"),
          unit="write"),
    Route("DELETE", _ONE, delete, rule=RULE + "servers:delete", success=204, unit="write"),
]  # fmt: skip
