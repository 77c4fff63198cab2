"""Messages to users about what failed later."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View, utc_micros
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, ROOT, links
from novalite.cloud.volume import messages
from novalite.cloud.volume.records import Message

VIEW = View(
    Field("id", schema=answers.UUID),
    Field("event_id", schema=answers.TEXT),
    Field("user_message", "text", schema=answers.TEXT),
    Field("message_level", lambda item, call: "ERROR", schema=answers.TEXT),
    Field("resource_type", schema=answers.TEXT),
    Field("resource_uuid", "resource_id", schema=answers.UUID),
    Field("request_id", schema=answers.TEXT),
    Field("created_at", lambda item, call: utc_micros(item.created_at), schema=answers.MOMENT),
    Field("guaranteed_until", lambda item, call: utc_micros(item.created_at + messages.KEPT), schema=answers.MOMENT),
    links("messages"),
)
_QUERY = Query(*(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))
_EQUAL = {"resource_uuid": "resource_id", "resource_type": "resource_type", "event_id": "event_id",
          "request_id": "request_id"}  # fmt: skip


def list_all(call: Call) -> Page:
    wanted = shapes.page(call)
    equal = shapes.filters(call, _EQUAL, also=("message_level",)).equal
    rows = messages.list_all(call.w, wanted, equal=equal, offset=shapes.offset(call))
    return full_page([] if call.query.get("message_level", "ERROR") != "ERROR" else rows, wanted.limit)


def show(call: Call) -> Message:
    return messages.get(call.w, call.path["id"])


def delete(call: Call) -> None:
    messages.delete(call.w, call.path["id"])


_ALL, _ONE = f"{ROOT}/messages", f"{ROOT}/messages/{{id}}"
_SINCE: dict[str, Any] = {"since": "3.3"}
ROUTES = [
    Route("GET", _ALL, list_all, rule="message:get_all", query=_QUERY, view=VIEW.many("messages", nova_links),
          unit="read", **_SINCE),
    Route("GET", _ONE, show, rule="message:get", view=VIEW.one("message"), unit="read", **_SINCE),
    Route("DELETE", _ONE, delete, rule="message:delete", success=204, unit="write", **_SINCE),
]  # fmt: skip
