"""Quotas of projects, their defaults, and what of them is used."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item, JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.volume.shapes import BOOLEAN, EXTENSION, ROOT, flag, truth
from novalite.cloud.identity import policy, quotas
from novalite.cloud.volume import usage
from novalite.errors import Invalid

_LIMIT = {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,10}$", "minimum": -1, "maximum": quotas.LARGEST}
_LIMITS = [Item(name, _LIMIT) for name in usage.RESOURCES]
_OF_TYPES = f"^({'|'.join(usage.TYPED)})_."


def _body(key: str, *more: Item) -> Body:
    """Quotas of types go by the names of those: which there are, the handler knows."""
    known = {item.name: item.schema for item in (*_LIMITS, *more)}
    return Body(key, whole={"type": "object", "properties": known, "patternProperties": {_OF_TYPES: _LIMIT},
                            "additionalProperties": False})  # fmt: skip


_TEXT = {"type": "string", "maxLength": 255}
_UPDATE = _body("quota_set", Item("force", BOOLEAN), Item("skip_validation", BOOLEAN), Item("tenant_id", _TEXT))
_CLASS = _body("quota_class_set", Item("class_name", _TEXT))


def _record(value: JsonSchema, **more: JsonSchema) -> JsonSchema:
    told = answers.record({**more, **dict.fromkeys(usage.RESOURCES, value)})
    return {**told, "patternProperties": {_OF_TYPES: value}}


_WITHOUT_ID = _record(answers.WHOLE)
_NUMBERS = _record(answers.WHOLE, id=answers.TEXT)
_USE = answers.record(dict.fromkeys(("limit", "in_use", "reserved"), answers.WHOLE))
_USED = _record(_USE, id=answers.TEXT)


def show(call: Call) -> dict[str, Any]:
    project_id = call.path["project_id"]
    policy.require(EXTENSION + "quotas:show", call.ctx, project_id=project_id)
    numbers: dict[str, Any] = usage.limits(call.w, project_id)
    if flag(call, "usage"):
        used = usage.used_with_types(call.w, project_id)
        numbers = {
            name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in numbers.items()
        }
    return {"quota_set": {"id": project_id, **numbers}}


def show_defaults(call: Call) -> dict[str, Any]:
    policy.require(EXTENSION + "quotas:show", call.ctx, project_id=call.path["project_id"])
    return {"quota_set": {"id": call.path["project_id"], **usage.only_ours(call.w, quotas.defaults(call.w))}}


def _wanted(call: Call) -> dict[str, int]:
    words = ("force", "skip_validation", "tenant_id", "class_name")
    wanted = {name: int(value) for name, value in call.body.items() if name not in words}
    if not wanted:
        raise Invalid("Invalid input for field/attribute quota_set. There is nothing to change.", field="quota_set")
    return wanted


def update(call: Call) -> dict[str, Any]:
    project_id, wanted = call.path["project_id"], _wanted(call)
    quotas.hold(call.w, project_id)
    used = usage.used_with_types(call.w, project_id)
    if not truth(call.body.get("skip_validation", True)):
        for name, limit in wanted.items():
            if 0 <= limit < used.get(name, 0):
                raise Invalid(f"Quota limit {limit} for {name} is less than the {used[name]} in use.", field=name)
    stored = quotas.set_limits(call.w, project_id, wanted, also=usage.typed_resources(call.w))
    return {"quota_set": usage.only_ours(call.w, stored)}


def reset(call: Call) -> None:
    quotas.reset(call.w, call.path["project_id"], resources=(*usage.RESOURCES, *usage.typed_resources(call.w)))


def show_class(call: Call) -> dict[str, Any]:
    name = call.path["name"]
    return {"quota_class_set": {"id": name, **usage.only_ours(call.w, quotas.class_limits(call.w, name))}}


def update_class(call: Call) -> dict[str, Any]:
    also = usage.typed_resources(call.w)
    stored = quotas.set_class_limits(call.w, call.path["name"], _wanted(call), also=also)
    return {"quota_class_set": usage.only_ours(call.w, stored)}


_ONE, _OF_CLASS = f"{ROOT}/os-quota-sets/{{project_id}}", f"{ROOT}/os-quota-class-sets/{{name}}"
_RULE = EXTENSION + "quotas:"
ROUTES = [
    Route("GET", _ONE, show, rule=_RULE + "show", policy_in_handler=True, unit="read",
          view=Told("quota_set", whole={"anyOf": [_NUMBERS, _USED]})),
    Route("GET", f"{_ONE}/defaults", show_defaults, rule=_RULE + "show", policy_in_handler=True, unit="read",
          view=Told("quota_set", whole=_NUMBERS)),
    Route("PUT", _ONE, update, rule=_RULE + "update", body=_UPDATE, unit="write",
          view=Told("quota_set", whole=_WITHOUT_ID)),
    Route("DELETE", _ONE, reset, rule=_RULE + "delete", unit="write"),
    Route("GET", _OF_CLASS, show_class, rule=EXTENSION + "quota_classes:get", unit="read",
          view=Told("quota_class_set", whole=_NUMBERS)),
    Route("PUT", _OF_CLASS, update_class, rule=EXTENSION + "quota_classes:update", body=_CLASS, unit="write",
          view=Told("quota_class_set", whole=_WITHOUT_ID)),
]  # fmt: skip
