"""How the volumes of a type are encrypted, for admins, and what is told of an encrypted volume."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import utc_micros
from novalite.api.volume.shapes import EXTENSION, ROOT
from novalite.cloud.volume import encryption, volumes
from novalite.cloud.volume.records import TypeEncryption
from novalite.errors import NotFound

_LARGEST = 2**31 - 1
_PROVIDER = {"type": "string", "minLength": 1, "maxLength": 64}
_LOCATION = {"enum": ["front-end", "back-end"]}
_ITEMS = (
    Item("cipher", {"type": ["string", "null"], "maxLength": 64}),
    Item("key_size", {"type": ["integer", "string", "null"], "pattern": "^[0-9]{1,9}$", "minimum": 0,
                      "maximum": _LARGEST}),
)  # fmt: skip
_NEW = Body(
    "encryption", Item("provider", _PROVIDER, required=True), Item("control_location", _LOCATION, required=True),
    *_ITEMS,
)  # fmt: skip
_CHANGE = Body("encryption", Item("provider", _PROVIDER), Item("control_location", _LOCATION), *_ITEMS)
_SIZE = answers.WHOLE_OR_NULL
_SAID = {"provider": answers.TEXT, "control_location": answers.TEXT, "cipher": answers.TEXT_OR_NULL, "key_size": _SIZE}
_MADE = answers.record({"volume_type_id": answers.UUID, "encryption_id": answers.UUID, **_SAID})
_ALL = {
    **_SAID, "volume_type_id": answers.UUID, "encryption_id": answers.UUID, "deleted": answers.FLAG,
    "created_at": answers.MOMENT, "updated_at": answers.MOMENT_OR_NULL, "deleted_at": answers.NULL,
}  # fmt: skip
_OF_A_VOLUME = {"encryption_key_id": answers.nullable(answers.UUID), **_SAID}


def _said(found: TypeEncryption) -> dict[str, Any]:
    return {name: getattr(found, name) for name in _SAID}


def _told(found: TypeEncryption | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        **_said(found), "volume_type_id": found.type_id, "encryption_id": found.id, "deleted": False,
        "created_at": utc_micros(found.created_at), "updated_at": utc_micros(found.updated_at), "deleted_at": None,
    }  # fmt: skip


def show(call: Call) -> dict[str, Any]:
    return _told(encryption.show(call.w, call.path["id"]))


def show_item(call: Call) -> dict[str, Any]:
    told, name = show(call), call.path["key"]
    if name not in told:
        raise NotFound("encryption", name,
                       message=f"Volume type encryption for type {call.path['id']} does not exist.")  # fmt: skip
    return {name: told[name]}


def _values(call: Call) -> dict[str, Any]:
    values = dict(call.body)
    if values.get("key_size") is not None:
        values["key_size"] = int(values["key_size"])
    return values


def create(call: Call) -> dict[str, Any]:
    made = encryption.create(call.w, call.path["id"], _values(call))
    return {"encryption": {"volume_type_id": made.type_id, "encryption_id": made.id, **_said(made)}}


def update(call: Call) -> dict[str, Any]:
    values = _values(call)
    encryption.update(call.w, call.path["id"], values)
    return {"encryption": values}


def delete(call: Call) -> None:
    encryption.delete(call.w, call.path["id"])


def show_of_volume(call: Call) -> dict[str, Any]:
    volume = volumes.get(call.w, call.path["volume_id"])
    found = encryption.find(call.w, volume.type_id)
    return {"encryption_key_id": volume.encryption_key_id, **(_said(found) if found else {})}


def show_item_of_volume(call: Call) -> Any:
    """Its value alone, null for what there is not."""
    return show_of_volume(call).get(call.path["key"])


_TYPE, _VOLUME = f"{ROOT}/types/{{id}}/encryption", f"{ROOT}/volumes/{{volume_id}}/encryption"
_RULE, _METADATA = EXTENSION + "volume_type_encryption:", EXTENSION + "volume_encryption_metadata"
ROUTES = [
    Route("GET", _TYPE, show, rule=_RULE + "get", view=Told(whole=answers.record(_ALL, optional=_ALL)), unit="read"),
    Route("POST", _TYPE, create, rule=_RULE + "create", body=_NEW, view=Told("encryption", whole=_MADE),
          unit="write"),
    Route("GET", f"{_TYPE}/{{key}}", show_item, rule=_RULE + "get",
          view=Told(whole=answers.record(_ALL, optional=_ALL)), unit="read"),
    Route("PUT", f"{_TYPE}/{{key}}", update, rule=_RULE + "update", body=_CHANGE, unit="write",
          view=Told("encryption", whole=answers.record(_SAID, optional=_SAID))),
    Route("DELETE", f"{_TYPE}/{{key}}", delete, rule=_RULE + "delete", success=202, unit="write"),
    Route("GET", _VOLUME, show_of_volume, rule=_METADATA,
          view=Told(whole=answers.record(_OF_A_VOLUME, optional=_SAID)), unit="read"),
    Route("GET", f"{_VOLUME}/{{key}}", show_item_of_volume, rule=_METADATA,
          view=Told(whole={"type": ["string", "integer", "null"]}), unit="read"),
]  # fmt: skip
