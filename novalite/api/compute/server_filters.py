"""The query of a server list, checked and turned into filters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from novalite.api.compute.shapes import ANY_QUERY, FALSE, PAGING, RULE, TRUE, flag
from novalite.api.kit import moments
from novalite.api.kit.body import Item, Query
from novalite.api.kit.call import Call
from novalite.cloud.compute import states
from novalite.cloud.compute.queries import COLUMNS, Filters
from novalite.cloud.identity import policy
from novalite.errors import Forbidden, Invalid

_MATCHING = ("name", "display_name", "hostname", "description", "display_description", "host", "node",
             "root_device_name", "key_name", "availability_zone")  # fmt: skip
_NUMBERS = ("power_state", "progress", "launch_index")
_TIMES = ("created_at", "launched_at", "terminated_at")
_ADMINS = ("host", "node", "project_id", "user_id", "uuid", "vm_state", "task_state", "power_state", "progress",
           "availability_zone", "image_ref", "key_name", "launch_index", "locked_by", "root_device_name",
           "created_at", "launched_at", "terminated_at", "kernel_id", "ramdisk_id", "config_drive", "access_ip_v4",
           "access_ip_v6", "auto_disk_config", "hostname", "description", "display_description",
           "display_name")  # fmt: skip
_EVERYBODYS = ("name", "reservation_id")
_OPENED_BY_2_83 = (
    "availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state",
    "task_state", "vm_state", "progress", "user_id",
)  # fmt: skip
_SINCE = {**dict.fromkeys(_OPENED_BY_2_83, "2.83"), "hostname": "2.90"}
_IGNORED_BEFORE_2_75 = ("all_tenants", "tenant_id", "project_id", "deleted", "soft_deleted")
_OF_NO_USE = ("block_device_mapping", "info_cache", "metadata", "pci_devices", "security_groups", "services",
              "system_metadata")  # fmt: skip
"""Names of Nova's own tables, which its schema lets pass and its query drops."""
_TAGS = {"tags": "tags_all", "tags-any": "tags_any", "not-tags": "tags_not_all", "not-tags-any": "tags_not_any"}

QUERY = Query(
    *PAGING,
    *(Item(name, ANY_QUERY) for name in dict.fromkeys((
        *_EVERYBODYS, *_ADMINS, *_IGNORED_BEFORE_2_75, *_OF_NO_USE, "status", "image", "flavor", "ip", "ip6",
        "changes-since", "sort_key", "sort_dir"))),
    *(Item(name, ANY_QUERY, since="2.26") for name in _TAGS),
    Item("changes-before", ANY_QUERY, since="2.66"),
    Item("locked", ANY_QUERY, since="2.73"),
    strict_since="2.75",
)  # fmt: skip


def filters_of(call: Call, all_rule: str) -> Filters:
    """Raises ``Invalid`` naming the parameter, ``Forbidden`` for what only admins may ask."""
    query, admin = call.query, call.ctx.is_admin
    everyone = flag(call, "all_tenants")
    if everyone:
        policy.require(RULE + all_rule, call.ctx)
    equal, matching = _columns(call, admin)
    project_id = query.get("project_id") or query.get("tenant_id") or ""
    equal.pop("project_id", None)
    return Filters(
        all_projects=everyone, project_id=project_id if everyone and admin else "", statuses=_statuses(call, admin),
        equal=equal, matching=matching, image_id=query.get("image", ""), flavor_id=query.get("flavor", ""),
        ip=query.get("ip", ""), ip6=query.get("ip6", "") if admin or call.since("2.5") else "",
        locked=_locked(call), deleted=_deleted(call, admin), soft_deleted=admin and flag(call, "soft_deleted"),
        changed_since=_moment(call, "changes-since"),
        changed_before=_moment(call, "changes-before") if call.since("2.66") else None, **_tags(call),
    )  # fmt: skip


def _columns(call: Call, admin: bool) -> tuple[dict[str, Any], dict[str, str]]:
    equal: dict[str, Any] = {}
    matching: dict[str, str] = {}
    for name in dict.fromkeys((*_EVERYBODYS, *_ADMINS)):
        opened = _SINCE.get(name)
        allowed = admin or name in _EVERYBODYS or (opened is not None and call.since(opened))
        if name not in call.query or not allowed or name not in COLUMNS:
            continue
        value = call.query[name]
        if name in _MATCHING:
            matching[name] = value
        else:
            equal[name] = _value(name, value)
    return equal, matching


def _value(name: str, text: str) -> Any:
    if name in _NUMBERS:
        if not text.isdecimal() or len(text) > 9:
            raise Invalid(f"Invalid filter value for {name}: {text[:50]} is not a number.", field=name)
        return int(text)
    if name in _TIMES:
        return _parse(name, text)
    if name == "config_drive":
        return text in TRUE
    if name == "task_state" and text.lower() in ("none", "null", ""):
        return None
    return text


def _statuses(call: Call, admin: bool) -> tuple[str, ...]:
    words = tuple(call.query.getlist("status"))
    for word in words:
        if word.lower() == "deleted" and not admin:
            raise Forbidden("Only administrators may list deleted instances")
        if call.since("2.38") and not states.states_of(word)[0]:
            raise Invalid(f"Invalid status value: {word[:50]}", field="status")
    return words


def _deleted(call: Call, admin: bool) -> bool:
    if not admin:
        return False
    return flag(call, "deleted") or any(word.lower() == "deleted" for word in call.query.getlist("status"))


def _locked(call: Call) -> bool | None:
    if not call.since("2.73") or "locked" not in call.query:
        return None
    text = call.query["locked"]
    if text not in TRUE and text not in FALSE:
        raise Invalid(f"Invalid input for query parameters locked. Value: {text[:50]}. It is not a boolean.",
                      field="locked")  # fmt: skip
    return text in TRUE


def _tags(call: Call) -> dict[str, Any]:
    if not call.since("2.26"):
        return {}
    return {
        field: tuple(tag for text in call.query.getlist(name) for tag in text.split(",") if tag)
        for name, field in _TAGS.items()
    }


def _moment(call: Call, name: str) -> datetime | None:
    return _parse(name, call.query[name]) if call.query.get(name) else None


def _parse(name: str, text: str) -> datetime:
    try:
        return moments.parse(text)
    except ValueError as error:
        raise Invalid(f"Invalid input for query parameters {name}. Value: {text[:50]}. It is not a date and time.",
                      field=name) from error  # fmt: skip
