"""Security groups: what is changed here reaches running guests within moments (``engine/packet_rules.py``)."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field, View
from novalite.api.network import listing
from novalite.api.network.security_group_rules import RULE
from novalite.api.network.shapes import BOOLEAN, NAME, PROJECT, ROOT, TAGS, common_fields, given_tags, owner, shared
from novalite.cloud.network import security_groups


def _rules(group: Any, call: Call) -> list[Any]:
    render = RULE.renderer(call)
    return [render(rule, call) for rule in group.rules]


GROUP = View(
    *common_fields(),
    Field("stateful"),
    Field("shared", shared),
    Field("security_group_rules", _rules),
)
NEW = Body(
    "security_group",
    Item("name", NAME),
    Item("description", NAME),
    Item("stateful", BOOLEAN),
    Item("tags", TAGS),
    Item("project_id", PROJECT),
    Item("tenant_id", PROJECT),
)
CHANGES = Body("security_group", Item("name", NAME), Item("description", NAME), Item("stateful", BOOLEAN))


def index(call: Call) -> dict[str, Any]:
    with call.parts.database.read(call.ctx) as w:
        found = security_groups.list_visible(w)
    if call.ctx.project_id and all(group.project_id != call.ctx.project_id for group in found):
        with call.parts.database.write(call.ctx) as w:
            security_groups.ensure_default(w, call.ctx.project_id)
            found = security_groups.list_visible(w)
    return listing.listing(call, "security_groups", GROUP, found)


def show(call: Call) -> dict[str, Any]:
    return listing.one(call, "security_group", GROUP, security_groups.get(call.w, call.path["group_id"]))


def create(call: Call) -> Any:
    made = security_groups.create(
        call.w,
        name=call.body.get("name", ""),
        description=call.body.get("description", ""),
        project_id=owner(call),
        stateful=call.body.get("stateful", True),
    )
    made.tags = given_tags(call)
    return made


def update(call: Call) -> Any:
    names = ("name", "description", "stateful")
    return security_groups.update(
        call.w, call.path["group_id"], **{name: call.body[name] for name in names if name in call.body}
    )


def delete(call: Call) -> None:
    security_groups.delete(call.w, call.path["group_id"])


_ALL, _ONE = f"{ROOT}/security-groups", f"{ROOT}/security-groups/{{group_id}}"
_SHOWN = GROUP.one("security_group")
ROUTES = [
    Route("GET", _ALL, index, rule="get_security_group"),
    Route("GET", _ONE, show, rule="get_security_group", unit="read"),
    Route("POST", _ALL, create, rule="create_security_group", body=NEW, view=_SHOWN, success=201, unit="write"),
    Route("PUT", _ONE, update, rule="update_security_group", body=CHANGES, view=_SHOWN, unit="write"),
    Route("DELETE", _ONE, delete, rule="delete_security_group", success=204, unit="write"),
]
