"""Transfers of volumes to other projects, at their old path and, from 3.55 on, at their own."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.body import Body, Item, Query
from novalite.api.kit.call import Call
from novalite.api.kit.paging import nova_links
from novalite.api.kit.paging import page_of as full_page
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, Page, View, utc_micros
from novalite.api.volume import shapes
from novalite.api.volume.shapes import ANY_QUERY, BOOLEAN, NAME, ROOT, UUID, flag, links, truth
from novalite.cloud.volume import transfers
from novalite.cloud.volume.transfers import VolumeTransfer

SUMMARY = View(
    Field("id", schema=answers.UUID), Field("volume_id", schema=answers.UUID),
    Field("name", schema=answers.TEXT_OR_NULL), links("os-volume-transfer"),
)  # fmt: skip
DETAIL = SUMMARY.extended(Field("created_at", lambda item, call: utc_micros(item.created_at), schema=answers.MOMENT))
_OWNERS = (
    Field("source_project_id", "project_id", since="3.57", schema=answers.TEXT),
    Field("destination_project_id", lambda item, call: None, since="3.57", schema=answers.NULL),
    Field("accepted", lambda item, call: False, since="3.57", schema=answers.FLAG),
)
NEWER = DETAIL.extended(Field("no_snapshots", schema=answers.FLAG), *_OWNERS)


class _Made:
    """A transfer with its key, which is never told again."""

    def __init__(self, transfer: VolumeTransfer, key: str) -> None:
        self._transfer, self.auth_key = transfer, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transfer, name)


_KEY = Field("auth_key", schema=answers.TEXT)
_NEW = Body("transfer", Item("volume_id", UUID, required=True), Item("name", NAME))
_NEWER = Body("transfer", Item("volume_id", UUID, required=True), Item("name", NAME), Item("no_snapshots", BOOLEAN))
_ACCEPT = Body("accept", Item("auth_key", {"type": "string", "minLength": 1, "maxLength": 255}, required=True))
_QUERY = Query(*(Item(name, ANY_QUERY) for name in sorted(shapes.PAGING_NAMES)))


def list_all(call: Call) -> Page:
    wanted = shapes.page(call)
    rows = transfers.list_all(call.w, wanted, all_projects=flag(call, "all_tenants"))
    return full_page(rows, wanted.limit)


def show(call: Call) -> VolumeTransfer:
    return transfers.get(call.w, call.path["id"])


def create(call: Call) -> _Made:
    body = call.body
    name = body["name"].strip() if body.get("name") else body.get("name")
    made, key = transfers.create(
        call.w, body["volume_id"], name=name, no_snapshots=truth(body.get("no_snapshots", False)),
        encrypted_too=call.since("3.70"),
    )  # fmt: skip
    return _Made(made, key)


def accept(call: Call) -> VolumeTransfer:
    return transfers.accept(call.w, call.path["id"], call.body["auth_key"])


def delete(call: Call) -> None:
    transfers.delete(call.w, call.path["id"])


def _routes(collection: str, body: Body, detail: View, **window: Any) -> list[Route]:
    every, one, rule = f"{ROOT}/{collection}", f"{ROOT}/{collection}/{{id}}", "volume:"
    return [
        Route("GET", every, list_all, rule=rule + "get_all_transfers", query=_QUERY, unit="read",
              view=SUMMARY.many("transfers", nova_links), **window),
        Route("GET", f"{every}/detail", list_all, rule=rule + "get_all_transfers", query=_QUERY, unit="read",
              view=detail.many("transfers", nova_links), **window),
        Route("POST", every, create, rule=rule + "create_transfer", body=body, success=202, unit="write",
              view=detail.extended(_KEY).one("transfer"), **window),
        Route("GET", one, show, rule=rule + "get_transfer", unit="read", view=detail.one("transfer"), **window),
        Route("DELETE", one, delete, rule=rule + "delete_transfer", success=202, unit="write", **window),
        Route("POST", f"{one}/accept", accept, rule=rule + "accept_transfer", body=_ACCEPT, success=202, unit="write",
              view=SUMMARY.one("transfer"), **window),
    ]  # fmt: skip


ROUTES = [
    *_routes("os-volume-transfer", _NEW, DETAIL),
    *_routes("volume-transfers", _NEWER, NEWER, since="3.55"),
]
