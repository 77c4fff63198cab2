"""POST /servers: what may be asked for in each microversion, and the request it becomes."""

from __future__ import annotations

import secrets
from typing import Any

from novalite.api.compute.block_device_forms import block_device_items, devices_of
from novalite.api.compute.shapes import (
    BOOLEAN,
    CERTIFICATES,
    FQDN,
    HOST_NAME,
    METADATA,
    NAME,
    POSITIVE,
    ROOT,
    TAG,
    TEXT_OR_NULL,
    UUID,
    item_links,
    plain_address,
    truth,
)  # fmt: skip
from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Answer, Call
from novalite.cloud.compute import new_servers
from novalite.cloud.compute.new_servers import NewServer
from novalite.cloud.identity import policy
from novalite.cloud.network.networks import NetworkRequest
from novalite.errors import Invalid


def _network(tagged: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "fixed_ip": {"type": "string", "format": "ip"},
        "port": {"oneOf": [{"type": "null"}, UUID]},
        "uuid": UUID,
    }
    if tagged:
        properties["tag"] = TAG
    item = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"type": "array", "items": item, "maxItems": 64}


def _networks_or_word(tagged: bool) -> dict[str, Any]:
    return {"oneOf": [_network(tagged), {"type": "string", "enum": ["none", "auto"]}]}


_FILES = {
    "type": "array",
    "maxItems": 1000,
    "items": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "contents": {"type": "string", "format": "base64"}},
        "additionalProperties": False,
        "required": ["path", "contents"],
    },
}
_GROUPS = {
    "type": "array",
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {"name": NAME},
        "additionalProperties": False,
    },
}
_IMAGE = {"anyOf": [UUID, {"type": "string", "maxLength": 0}]}
_HOST = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"}
DISK_CONFIG = {"enum": ["AUTO", "MANUAL"]}
_TAGS = {"type": "array", "items": TAG, "maxItems": 50}
_LIST_OF_IDS = {"anyOf": [{"type": "array", "items": UUID, "maxItems": 100}, UUID]}
HINTS = {
    "type": "object",
    "properties": {"group": UUID, "different_host": _LIST_OF_IDS, "same_host": _LIST_OF_IDS},
    "additionalProperties": True,
    "maxProperties": 20,
}

NEW_SERVER = Body(
    "server",
    Item("name", NAME, required=True),
    Item("flavorRef", {"type": ["string", "integer"], "minLength": 1, "maxLength": 255}, required=True),
    Item("imageRef", _IMAGE),
    Item("adminPass", {"type": "string", "maxLength": 255}),
    Item("metadata", METADATA),
    Item("networks", _network(False), until="2.31"),
    Item("networks", _network(True), since="2.32", until="2.36"),
    Item("networks", _networks_or_word(False), required=True, since="2.37", until="2.41"),
    Item("networks", _networks_or_word(True), required=True, since="2.42"),
    Item("OS-DCF:diskConfig", DISK_CONFIG),
    Item("accessIPv4", {"type": "string", "format": "ipv4"}),
    Item("accessIPv6", {"type": "string", "format": "ipv6"}),
    Item("personality", _FILES, until="2.56"),
    Item("availability_zone", NAME),
    *block_device_items(),
    Item("config_drive", BOOLEAN),
    Item("key_name", NAME),
    Item("min_count", POSITIVE),
    Item("max_count", POSITIVE),
    Item("return_reservation_id", BOOLEAN),
    Item("security_groups", _GROUPS),
    Item("user_data", {"type": "string", "format": "base64", "maxLength": 65535}),
    Item("description", TEXT_OR_NULL, since="2.19"),
    Item("tags", _TAGS, since="2.52"),
    Item("trusted_image_certificates", CERTIFICATES, since="2.63"),
    Item("host", _HOST, since="2.74"),
    Item("hypervisor_hostname", _HOST, since="2.74"),
    Item("hostname", HOST_NAME, since="2.90", until="2.93"),
    Item("hostname", FQDN, since="2.94"),
    beside=(Item("os:scheduler_hints", HINTS), Item("OS-SCH-HNT:scheduler_hints", HINTS)),
)


def create(call: Call) -> Answer:
    new = _request(call)
    made = new_servers.create(call.w, new, boot_seconds=call.parts.settings.compute.boot_timeout_seconds)
    first = made[0]
    location = {"Location": call.link(f"{ROOT}/servers/{first.id}")}
    if truth(call.body.get("return_reservation_id", False)):
        return Answer({"reservation_id": first.reservation_id}, headers=location)
    shown: dict[str, Any] = {
        "id": first.id,
        "links": item_links(call, "servers", first.id),
        "OS-DCF:diskConfig": first.disk_config,
        "security_groups": [{"name": name} for name in new.security_groups or ("default",)],
        "adminPass": new.admin_pass,
    }
    return Answer({"server": shown}, headers=location)


def _request(call: Call) -> NewServer:
    body, document = call.body, call.document
    least = int(body.get("min_count", 1))
    most = int(body.get("max_count", least))
    if least > most:
        raise Invalid("min_count must be <= max_count", field="min_count")
    name, version_has_description = body["name"].strip(), call.since("2.19")
    groups = tuple(dict.fromkeys(group["name"] for group in body.get("security_groups", []) if "name" in group))
    return NewServer(
        name=name, flavor_id=str(body["flavorRef"]), image_id=str(body.get("imageRef") or ""),
        devices=devices_of(call), networks=_networks(body, most),
        security_groups=groups, key_name=body.get("key_name"), user_data=body.get("user_data"),
        metadata=body.get("metadata", {}), tags=tuple(body.get("tags", ())),
        description=body.get("description") if version_has_description else name,
        hostname=body.get("hostname", ""), zone=_zone(call), config_drive=truth(body.get("config_drive", False)),
        admin_pass=body.get("adminPass") or secrets.token_urlsafe(9), min_count=least, max_count=most,
        scheduler_hints=document.get("os:scheduler_hints") or document.get("OS-SCH-HNT:scheduler_hints") or {},
        personality=_files(call), disk_config=body.get("OS-DCF:diskConfig", "MANUAL"),
        access_ip_v4=plain_address(body.get("accessIPv4")), access_ip_v6=plain_address(body.get("accessIPv6")),
        trusted_image_certificates=body.get("trusted_image_certificates"),
    )  # fmt: skip


def _networks(body: dict[str, Any], count: int) -> Any:
    wanted = body.get("networks")
    if not isinstance(wanted, list):
        return wanted
    if not wanted:
        return None
    found = []
    for item in wanted:
        if item.get("port") and item.get("fixed_ip"):
            raise Invalid("Specified Fixed IP cannot be used with port: the port has its own.", field="networks")
        if not item.get("port") and not item.get("uuid"):
            raise Invalid("Bad networks format: network uuid is not in proper format ()", field="networks")
        found.append(NetworkRequest(item.get("uuid"), item.get("port"), item.get("fixed_ip"), item.get("tag", "")))
    return found


def _zone(call: Call) -> str:
    """``zone[:host[:node]]``; a host asked for by name is put behind the zone."""
    zone = str(call.body.get("availability_zone", ""))
    host = call.body.get("host") or call.body.get("hypervisor_hostname") or ""
    if ":" in zone or host:
        policy.require("os_compute_api:servers:create:forced_host", call.ctx)
    if host and ":" in zone:
        raise Invalid("A host is named twice: in availability_zone and in host.", field="availability_zone")
    return f"{zone}:{host}" if host else zone


def _files(call: Call) -> tuple[dict[str, str], ...]:
    return tuple({"path": one["path"], "contents": one["contents"]} for one in call.body.get("personality", []))
