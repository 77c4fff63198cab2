"""Projects that a shared image is offered to."""

from __future__ import annotations

from novalite.api.image.views import MEMBER
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Page
from novalite.cloud.image import members
from novalite.cloud.image.records import ImageMember


def index(call: Call) -> Page:
    return Page(members.list_members(call.w, call.path["image_id"]), extra={"schema": "/v2/schemas/members"})


def show(call: Call) -> ImageMember:
    return members.get(call.w, call.path["image_id"], call.path["member_id"])


def add(call: Call) -> ImageMember:
    return members.add(call.w, call.path["image_id"], call.body["member"])


def change(call: Call) -> ImageMember:
    return members.set_status(call.w, call.path["image_id"], call.path["member_id"], call.body["status"])


def remove(call: Call) -> None:
    members.remove(call.w, call.path["image_id"], call.path["member_id"])


_ALL = "/v2/images/{image_id}/members"
_ONE = _ALL + "/{member_id}"
_NEW = Body("", Item("member", {"type": "string", "minLength": 1, "maxLength": 64}, required=True))
# Clients send the member along; only the status counts.
_STATUS = Body("", Item("status", {"type": "string", "maxLength": 16}, required=True), extra=True)

ROUTES = [
    Route("GET", _ALL, index, rule="get_members", view=MEMBER.many("members"), unit="read"),
    Route("POST", _ALL, add, rule="add_member", body=_NEW, view=MEMBER.one(), unit="write"),
    Route("GET", _ONE, show, rule="get_member", view=MEMBER.one(), unit="read"),
    Route("PUT", _ONE, change, rule="modify_member", body=_STATUS, view=MEMBER.one(), unit="write"),
    Route("DELETE", _ONE, remove, rule="delete_member", success=204, unit="write"),
]
