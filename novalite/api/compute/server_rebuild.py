"""Rebuilding a server: what each microversion lets one change with it, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from novalite.api.compute.server_actions import PATH, admin_password
from novalite.api.compute.server_create import DISK_CONFIG
from novalite.api.compute.server_view import UPDATED, Shown, load
from novalite.api.compute.shapes import (
    BOOLEAN,
    CERTIFICATES,
    FQDN,
    HOST_NAME,
    METADATA,
    NAME,
    ROOT,
    RULE,
    TEXT_OR_NULL,
    UUID,
    truth,
)
from novalite.api.kit.answers import TEXT
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Answer, Call
from novalite.api.kit.routes import Route
from novalite.api.kit.view import Field
from novalite.cloud.compute import rebuild, servers
from novalite.cloud.compute.rebuild import KEEP_KEY, NewBuild
from novalite.cloud.identity import policy

_FILES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "contents": {"type": "string", "format": "base64"}},
        "additionalProperties": False,
    },
}
_BODY = Body(
    "rebuild",
    Item("imageRef", UUID, required=True),
    Item("name", NAME),
    Item("adminPass", {"type": "string"}),
    Item("metadata", METADATA),
    Item("preserve_ephemeral", BOOLEAN),
    Item("OS-DCF:diskConfig", DISK_CONFIG),
    Item("accessIPv4", {"type": "string", "format": "ipv4"}),
    Item("accessIPv6", {"type": "string", "format": "ipv6"}),
    Item("personality", _FILES, until="2.56"),
    Item("description", TEXT_OR_NULL, since="2.19"),
    Item("key_name", {"type": ["string", "null"], "minLength": 1, "maxLength": 255}, since="2.54"),
    Item("user_data", {"type": ["string", "null"], "format": "base64", "maxLength": 65535}, since="2.57"),
    Item("trusted_image_certificates", CERTIFICATES, since="2.63"),
    Item("hostname", HOST_NAME, since="2.90", until="2.93"),
    Item("hostname", FQDN, since="2.94"),
)
_COLUMN = {
    "metadata": "metadata_items", "OS-DCF:diskConfig": "disk_config", "accessIPv4": "access_ip_v4",
    "accessIPv6": "access_ip_v6", "description": "description", "user_data": "user_data",
    "trusted_image_certificates": "trusted_image_certificates", "hostname": "hostname",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rebuilt(Shown):
    """A server with the password its next boot is told."""

    admin_pass: str = ""


_VIEW = UPDATED.extended(
    Field("key_name", "server.key_name", since="2.54", schema=TEXT_OR_NULL),
    Field("user_data", "server.user_data", since="2.57", schema=TEXT_OR_NULL),
    Field("adminPass", "admin_pass", schema=TEXT),
    without=("key_name", "OS-EXT-SRV-ATTR:user_data"),
)


def begin(call: Call) -> Answer:
    body, server_id = call.body, call.path["server_id"]
    if "trusted_image_certificates" in body:
        policy.require(RULE + "servers:rebuild:trusted_certs", call.ctx)
    password = admin_password(body)
    values: dict[str, Any] = {column: body[key] for key, column in _COLUMN.items() if key in body}
    if "name" in body:
        values["name"] = body["name"].strip()
    rebuild.request(call.w, server_id, NewBuild(
        body["imageRef"], password, values, key_name=body.get("key_name", KEEP_KEY),
        files=tuple({"path": one.get("path", ""), "contents": one.get("contents", "")}
                    for one in body.get("personality", ())),
        preserve_ephemeral=truth(body.get("preserve_ephemeral", False)), begins_volumes_anew=call.since("2.93"),
    ))  # fmt: skip
    (shown,) = load(call, [servers.get(call.w, server_id)])
    answer = Rebuilt(**{each.name: getattr(shown, each.name) for each in fields(shown)}, admin_pass=password)
    return Answer(answer, headers={"Location": call.link(f"{ROOT}/servers/{server_id}")})


ROUTES = [
    Route("POST", PATH, begin, rule=RULE + "servers:rebuild", action="rebuild", body=_BODY, success=202,
          unit="write", view=_VIEW.one("server")),
]  # fmt: skip
