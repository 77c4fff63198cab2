"""Guests that others made become servers where they are, and their owners' again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import adoptions
from novalite.cloud.compute.adoptions import Asked
from novalite.drivers.compute.base import ForeignGuest
from novalite.errors import DriverError, NotFound

_RULE = "novalite:admin:adoptions"
_ALL, _ONE = "/adoptions", "/adoptions/{server_id}"
_DISK = answers.record({"volume_id": answers.UUID, "path": answers.TEXT})
_ADOPTION = answers.record({
    "server_id": answers.UUID, "project_id": answers.TEXT, "name": answers.TEXT, "host": answers.TEXT,
    "status": answers.TEXT, "problem": answers.TEXT, "left_out": answers.TEXTS, "disks": answers.array(_DISK),
    "deletes_disks": answers.FLAG,
})  # fmt: skip
_FOREIGN = answers.record({"name": answers.TEXT, "id": answers.TEXT, "power": answers.TEXT})
_REFERENCE = {"type": "string", "minLength": 1, "maxLength": 255}
_NEW = Body(
    "adoption",
    Item("domain", _REFERENCE, required=True),
    Item("name", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^\S(.*\S)?\Z"}),
    Item("project", _REFERENCE),
    Item("networks", {"type": "array", "items": _REFERENCE, "maxItems": 32}),
)
_CHANGE = Body("adoption", Item("deletes_disks", {"type": "boolean"}, required=True))


def list_foreign(call: Call) -> Any:
    found = _driver(call).foreign_guests()
    return {"foreign_guests": [{"name": each.name, "id": each.id, "power": each.power.value} for each in found]}


def _driver(call: Call) -> Any:
    """This machine's: what lies on another one, no driver for volumes here could reach."""
    return call.parts.links.driver(call.parts.settings.local_host)


def index(call: Call) -> Any:
    return {"adoptions": [adoptions.told(each) for each in adoptions.everyone(call.w)]}


def create(call: Call) -> Any:
    """Everything that is in the way is told at once, before anything is done."""
    asked, who = call.body, call.ctx
    guest = _foreign(call, asked["domain"])
    adoptions.require_adoptable(guest)
    if "project" in asked:
        with call.parts.database.read(call.ctx) as w:
            who = replace(who, project_id=adoptions.project_of(w, asked["project"]))
    wanted = Asked(tuple(asked.get("networks", ())), asked.get("name", ""))
    with call.parts.database.write(who) as w:
        return {"adoption": adoptions.told(adoptions.begin(w, guest, call.parts.settings.local_host, wanted))}


def _foreign(call: Call, name: str) -> ForeignGuest:
    try:
        found: ForeignGuest = _driver(call).foreign_guest(name)
    except DriverError as error:
        if error.code != "guest.not_found":
            raise
        raise NotFound("domain", name, message=f"There is no domain {name} on this machine.") from error
    return found


def show(call: Call) -> Any:
    return {"adoption": adoptions.told(adoptions.get(call.w, call.path["server_id"]))}


def change(call: Call) -> Any:
    """The record first: what it says is made so again by whoever asks again. But what is to stay is safe before."""
    deletes = call.body["deletes_disks"]
    if not deletes:
        with call.parts.database.read(call.ctx) as w:
            spared = adoptions.get(w, call.path["server_id"]).volume_ids
        for volume_id in spared:
            call.parts.volume_driver.found.ends_with(volume_id, False)
    with call.parts.database.write(call.ctx) as w:
        found = adoptions.set_deletes_disks(w, call.path["server_id"], deletes)
        told, volume_ids = adoptions.told(found), found.volume_ids
    for volume_id in volume_ids if deletes else ():
        call.parts.volume_driver.found.ends_with(volume_id, True)
    return {"adoption": told}


def undo(call: Call) -> Any:
    return {"adoption": adoptions.told(adoptions.begin_giving_back(call.w, call.path["server_id"]))}


ROUTES = [
    Route("GET", "/foreign-guests", list_foreign, rule=_RULE,
          view=Told("foreign_guests", whole=answers.array(_FOREIGN)),
          summary="Machines of this host that NovaLite did not make"),
    Route("GET", _ALL, index, rule=_RULE, unit="read", view=Told("adoptions", whole=answers.array(_ADOPTION)),
          summary="Machines that were taken over"),
    Route("POST", _ALL, create, rule=_RULE, body=_NEW, success=202, view=Told("adoption", whole=_ADOPTION),
          summary="Take a machine over that somebody else made, without copying its disks"),
    Route("GET", _ONE, show, rule=_RULE, unit="read", view=Told("adoption", whole=_ADOPTION),
          summary="One that was taken over"),
    Route("PATCH", _ONE, change, rule=_RULE, body=_CHANGE, view=Told("adoption", whole=_ADOPTION),
          summary="Say whether the files of its disks go with the server"),
    Route("POST", f"{_ONE}/undo", undo, rule=_RULE, success=202, unit="write", view=Told("adoption", whole=_ADOPTION),
          summary="Give the machine back as it was"),
]  # fmt: skip
