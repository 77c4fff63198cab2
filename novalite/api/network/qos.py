"""QoS: policies, and the one kind of rule that is enforced: limits of bandwidth."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.shapes import (
    BOOLEAN,
    NAME,
    PROJECT,
    ROOT,
    TAGS,
    common_fields,
    given_tags,
    owner,
    shared,
    whole_number,
)
from novalite.cloud.network import qos
from novalite.cloud.network.qos_records import QosPolicy

RULE = View(Field("id"), Field("direction"), Field("max_kbps"), Field("max_burst_kbps"))
_RULE_OF = RULE.extended(
    Field("qos_policy_id", "policy_id"),
    Field("type", lambda rule, call: qos.BANDWIDTH),
)


def _rules(policy: QosPolicy, call: Call) -> list[Any]:
    render = _RULE_OF.renderer(call)
    return [render(rule, call) for rule in policy.rules]


POLICY = View(
    *common_fields(),
    Field("shared", shared),
    Field("is_default", lambda policy, call: policy.default_of is not None),
    Field("rules", _rules),
)
_SHARED = (
    Item("name", NAME),
    Item("description", NAME),
    Item("shared", BOOLEAN),
    Item("is_default", BOOLEAN),
)
NEW = Body("policy", *_SHARED, Item("tags", TAGS), Item("project_id", PROJECT), Item("tenant_id", PROJECT))
CHANGES = Body("policy", *_SHARED)
_RATE = {"type": ["integer", "string"], "pattern": r"^[0-9]{1,10}$", "minimum": 0, "maximum": 2**31 - 1}
_KEY = "bandwidth_limit_rule"
_DIRECTION = Item("direction", {"enum": ["egress", "ingress"]})
NEW_RULE = Body(_KEY, Item("max_kbps", _RATE, required=True), Item("max_burst_kbps", _RATE), _DIRECTION)
RULE_CHANGES = Body(_KEY, Item("max_kbps", _RATE), Item("max_burst_kbps", _RATE), _DIRECTION)


def index(call: Call) -> dict[str, Any]:
    return listing.listing(call, "policies", POLICY, qos.list_visible(call.w))


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "policy", POLICY, qos.get(call.w, call.path["policy_id"]))


def create(call: Call) -> Any:
    made = qos.create(
        call.w,
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        shared=call.body.get("shared", False),
        is_default=call.body.get("is_default", False),
        project_id=owner(call),
    )
    made.tags = given_tags(call)
    return made


def update(call: Call) -> Any:
    return qos.update(call.w, call.path["policy_id"], call.body)


def delete(call: Call) -> None:
    qos.delete(call.w, call.path["policy_id"])


def _values(call: Call) -> dict[str, Any]:
    found = {name: whole_number(call.body[name]) for name in ("max_kbps", "max_burst_kbps") if name in call.body}
    return found | ({"direction": call.body["direction"]} if "direction" in call.body else {})


def list_rules(call: Call) -> dict[str, Any]:
    return listing.listing(call, f"{_KEY}s", RULE, qos.get(call.w, call.path["policy_id"]).rules)


def show_rule(call: Call) -> dict[str, Any]:
    return listing.one(call, _KEY, RULE, qos.get_rule(call.w, call.path["rule_id"], call.path.get("policy_id", "")))


def create_rule(call: Call) -> Any:
    return qos.add_rule(call.w, call.path["policy_id"], **_values(call))


def update_rule(call: Call) -> Any:
    return qos.update_rule(call.w, call.path["rule_id"], _values(call), call.path.get("policy_id", ""))


def delete_rule(call: Call) -> None:
    qos.delete_rule(call.w, call.path["rule_id"], call.path.get("policy_id", ""))


def list_types(call: Call) -> dict[str, Any]:
    return {"rule_types": [{"type": qos.BANDWIDTH}]}


_ALL, _ONE = f"{ROOT}/qos/policies", f"{ROOT}/qos/policies/{{policy_id}}"
_RULES, _ALIAS = f"{_ONE}/{_KEY}s", f"{ROOT}/qos/alias-bandwidth-limit-rules/{{rule_id}}"
_SHOWN, _RULE_SHOWN = POLICY.one("policy"), RULE.one(_KEY)
_READ, _NEW, _SET, _END = (f"{verb}_policy_{_KEY}" for verb in ("get", "create", "update", "delete"))
ROUTES = [
    Route("GET", _ALL, index, rule="get_policy", unit="read"),
    Route("GET", _ONE, show, rule="get_policy", unit="read"),
    Route("POST", _ALL, create, rule="create_policy", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_policy", body=CHANGES, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_policy", success=204, unit="write"),
    Route("GET", _RULES, list_rules, rule=_READ, unit="read"),
    Route("POST", _RULES, create_rule, rule=_NEW, body=NEW_RULE, view=_RULE_SHOWN, success=201, unit="write"),
    *(
        route
        for path in (f"{_RULES}/{{rule_id}}", _ALIAS)
        for route in (
            Route("GET", path, show_rule, rule=_READ, unit="read"),
            Route("PUT", path, update_rule, rule=_SET, body=RULE_CHANGES, view=_RULE_SHOWN, unit="write"),
            Route("DELETE", path, delete_rule, rule=_END, success=204, unit="write"),
        )
    ),
    Route("GET", f"{ROOT}/qos/rule-types", list_types, rule="get_rule_type"),
]
