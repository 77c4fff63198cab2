"""Quotas of projects, their defaults, and what of them is used."""

from __future__ import annotations

from typing import Any

from novalite.api.kit import answers
from novalite.api.kit.answers import Told
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.volume.shapes import BOOLEAN, EXTENSION, ROOT, flag, truth
from novalite.cloud.identity import policy, quotas
from novalite.cloud.volume import usage
from novalite.errors import Invalid

_LIMIT = {"type": ["integer", "string"], "pattern": "^-?[0-9]{1,10}$", "minimum": -1, "maximum": quotas.LARGEST}
_LIMITS = [Item(name, _LIMIT) for name in usage.RESOURCES]
_UPDATE = Body("quota_set", *_LIMITS, Item("force", BOOLEAN), Item("skip_validation", BOOLEAN),
               Item("tenant_id", {"type": "string", "maxLength": 255}))  # fmt: skip
_CLASS = Body("quota_class_set", *_LIMITS, Item("class_name", {"type": "string", "maxLength": 255}))


_WITHOUT_ID = answers.record(dict.fromkeys(usage.RESOURCES, answers.WHOLE))
_NUMBERS = answers.record({"id": answers.TEXT, **dict.fromkeys(usage.RESOURCES, answers.WHOLE)})
_USE = answers.record(dict.fromkeys(("limit", "in_use", "reserved"), answers.WHOLE))
_USED = answers.record({"id": answers.TEXT, **dict.fromkeys(usage.RESOURCES, _USE)})


def _of(limits: dict[str, int]) -> dict[str, int]:
    return {name: limits[name] for name in usage.RESOURCES}


def show(call: Call) -> dict[str, Any]:
    project_id = call.path["project_id"]
    policy.require(EXTENSION + "quotas:show", call.ctx, project_id=project_id)
    numbers: dict[str, Any] = _of(quotas.limits(call.w, project_id))
    if flag(call, "usage"):
        used = usage.used(call.w, project_id)
        numbers = {
            name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in numbers.items()
        }
    return {"quota_set": {"id": project_id, **numbers}}


def show_defaults(call: Call) -> dict[str, Any]:
    policy.require(EXTENSION + "quotas:show", call.ctx, project_id=call.path["project_id"])
    return {"quota_set": {"id": call.path["project_id"], **_of(quotas.defaults(call.w))}}


def _wanted(call: Call) -> dict[str, int]:
    wanted = {name: int(call.body[name]) for name in usage.RESOURCES if name in call.body}
    if not wanted:
        raise Invalid("Invalid input for field/attribute quota_set. There is nothing to change.", field="quota_set")
    return wanted


def update(call: Call) -> dict[str, Any]:
    project_id, wanted = call.path["project_id"], _wanted(call)
    quotas.hold(call.w, project_id)
    used = usage.used(call.w, project_id)
    if not truth(call.body.get("skip_validation", True)):
        for name, limit in wanted.items():
            if 0 <= limit < used.get(name, 0):
                raise Invalid(f"Quota limit {limit} for {name} is less than the {used[name]} in use.", field=name)
    return {"quota_set": _of(quotas.set_limits(call.w, project_id, wanted))}


def reset(call: Call) -> None:
    quotas.reset(call.w, call.path["project_id"], resources=usage.RESOURCES)


def show_class(call: Call) -> dict[str, Any]:
    name = call.path["name"]
    return {"quota_class_set": {"id": name, **_of(quotas.class_limits(call.w, name))}}


def update_class(call: Call) -> dict[str, Any]:
    return {"quota_class_set": _of(quotas.set_class_limits(call.w, call.path["name"], _wanted(call)))}


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
