"""A server as each microversion shows it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from novalite.api.compute.shapes import bookmark, item_links, links
from novalite.api.kit.answers import (
    FLAG,
    LINKS,
    MOMENT,
    MOMENT_OR_NULL,
    TEXT,
    TEXT_BY_NAME,
    TEXT_OR_NULL,
    TEXTS,
    UUID,
    WHOLE,
    array,
    mapping,
    nullable,
    record,
)
from novalite.api.kit.body import JsonSchema
from novalite.api.kit.call import Call
from novalite.api.kit.versions import Version
from novalite.api.kit.view import ABSENT, Field, View, utc_micros, utc_seconds
from novalite.cloud.compute import block_devices, floating_ips, queries, states
from novalite.cloud.compute.block_devices import Attached
from novalite.cloud.compute.queries import Stamp
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.cloud.identity import policy
from novalite.cloud.network import port_views
from novalite.cloud.network.port_views import PortView
from novalite.db.work import Work

Floating = Mapping[tuple[str, str], Sequence[str]]
"""(port id, fixed address) -> floating addresses."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shown:
    """A server with all that its answers need."""

    server: Server
    ports: Sequence[PortView]
    host_status: str = ""
    volumes: Sequence[Attached] = ()
    floating: Floating = field(default_factory=dict)


def load(call: Call, found: Sequence[Server]) -> list[Shown]:
    """The servers with their ports, volumes, floating addresses and, for admins, the health of their hosts: four
    queries for any number."""
    ids = [server.id for server in found]
    ports, volumes = port_views.of_devices(call.w, ids), block_devices.volumes_of(call.w, ids)
    floating = floating_ips.of_ports(call.w, ids)
    health = host_health(call.w, call) if may_see_host(call) and call.since("2.16") else {}
    return [Shown(one, ports[one.id], health.get(one.host or "", ""), volumes[one.id], floating) for one in found]


def host_health(w: Work, call: Call) -> dict[str, str]:
    """Host name -> UP, UNKNOWN, DOWN or MAINTENANCE."""
    seconds = call.parts.settings.scheduler.host_down_seconds

    def health(host: hosts.Host) -> str:
        if host.forced_down:
            return "DOWN"
        if not host.enabled:
            return "MAINTENANCE"
        return "UP" if hosts.is_up(host, w.now, seconds) else "UNKNOWN"

    return {host.name: health(host) for host in hosts.everyone(w)}


def may_see_host(call: Call) -> bool:
    return policy.allows("os_compute_api:os-extended-server-attributes", call.ctx)


@lru_cache(maxsize=4096)
def host_id(project_id: str, host: str) -> str:
    """What tells owners whether two servers share a host, and nothing else."""
    return hashlib.sha224((project_id + host).encode()).hexdigest() if host else ""


def addresses(
    ports: Sequence[PortView], floating: Floating, *, extended: bool = True
) -> dict[str, list[dict[str, Any]]]:
    """Network name -> its addresses, each fixed one followed by the floating ones that lead to it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for port in ports:
        for fixed in port.fixed_ips:
            led = floating.get((port.port_id, fixed), ())
            for kind, address in (("fixed", fixed), *(("floating", each) for each in led)):
                shown: dict[str, Any] = {"version": 6 if ":" in address else 4, "addr": address}
                if extended:
                    shown |= {"OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": port.mac_address}
                found.setdefault(port.network_name, []).append(shown)
    return found


def _addresses(one: Shown, call: Call) -> Any:
    return {} if one.server.task_state == states.SCHEDULING else addresses(one.ports, one.floating)


def _plain_addresses(one: Shown, call: Call) -> Any:
    return addresses(one.ports, one.floating, extended=False)


def _image(one: Shown, call: Call) -> Any:
    image_id = one.server.image_id
    return {"id": image_id, "links": bookmark(call, "images", image_id)} if image_id else ""


def _image_with_properties(one: Shown, call: Call) -> Any:
    image = _image(one, call)
    return {**image, "properties": one.server.image.get("properties", {})} if image else ""


def _flavor_link(one: Shown, call: Call) -> Any:
    flavor_id = one.server.flavor["id"]
    return {"id": flavor_id, "links": bookmark(call, "flavors", flavor_id)}


def _flavor(one: Shown, call: Call) -> Any:
    flavor = one.server.flavor
    return {
        "vcpus": flavor["vcpus"], "ram": flavor["ram"], "disk": flavor["disk"], "ephemeral": flavor["ephemeral"],
        "swap": flavor["swap"], "original_name": flavor["name"], "extra_specs": flavor["extra_specs"],
    }  # fmt: skip


def _volumes(one: Shown, call: Call) -> list[dict[str, Any]]:
    told = call.since("2.3")
    return [
        {"id": each.volume_id, "delete_on_termination": each.delete_on_termination} if told else {"id": each.volume_id}
        for each in one.volumes
    ]


def _groups(one: Shown, call: Call) -> Any:
    names = dict.fromkeys(name for port in one.ports for name in port.security_groups)
    return [{"name": name} for name in names] or ABSENT


def _progress(one: Shown, call: Call) -> Any:
    return one.server.progress if one.server.status in states.PROGRESS_STATUSES else ABSENT


def _fault(one: Shown, call: Call) -> Any:
    fault = one.server.fault
    if not fault or one.server.status not in ("ERROR", "DELETED"):
        return ABSENT
    shown = {key: fault[key] for key in ("code", "message", "created")}
    if fault.get("details") and (call.ctx.is_admin or fault["code"] != 500):
        shown["details"] = fault["details"]
    return shown


def _locked_reason(one: Shown, call: Call) -> Any:
    return one.server.locked_reason if one.server.locked_by else None


def _links(one: Shown, call: Call) -> Any:
    return item_links(call, "servers", one.server.id)


def _image_schema(more: JsonSchema | None = None) -> JsonSchema:
    """An image, or an empty text for servers that boot from a volume."""
    return {"anyOf": [record({"id": UUID, "links": LINKS, **(more or {})}), {"enum": [""]}]}


def _volumes_schema(version: Version) -> JsonSchema:
    return array(record({"id": UUID, **({"delete_on_termination": FLAG} if version >= Version(2, 3) else {})}))


def _address_schema(address: JsonSchema) -> JsonSchema:
    return mapping(array(record(address)))


_ADDRESS = {"version": {"enum": [4, 6]}, "addr": TEXT}
_EXTENDED_ADDRESS = {**_ADDRESS, "OS-EXT-IPS:type": {"enum": ["fixed", "floating"]}, "OS-EXT-IPS-MAC:mac_addr": TEXT}
_FLAVOR = record({
    **dict.fromkeys(("vcpus", "ram", "disk", "ephemeral", "swap"), WHOLE), "original_name": TEXT,
    "extra_specs": TEXT_BY_NAME,
})  # fmt: skip
_FAULT = record({"code": WHOLE, "message": TEXT, "created": MOMENT, "details": TEXT}, optional=["details"])
BASIC = View(Field("id", schema=UUID), Field("name", schema=TEXT), links("servers"))

_PLAIN = (
    Field("id", "server.id", schema=UUID),
    Field("name", "server.name", schema=TEXT),
    Field("status", "server.status", schema=TEXT),
    Field("tenant_id", "server.project_id", schema=TEXT),
    Field("user_id", "server.user_id", schema=TEXT),
    Field("metadata", "server.metadata_items", schema=TEXT_BY_NAME),
    Field("hostId", lambda one, call: host_id(one.server.project_id, one.server.host or ""), schema=TEXT),
    Field("image", _image, until="2.97", schema=_image_schema()),
    Field("image", _image_with_properties, since="2.98", schema=_image_schema({"properties": TEXT_BY_NAME})),
    Field("flavor", _flavor_link, until="2.46", schema=record({"id": TEXT, "links": LINKS})),
    Field("flavor", _flavor, since="2.47", schema=_FLAVOR),
    Field("created", lambda one, call: utc_seconds(one.server.created_at), schema=MOMENT),
    Field("updated", lambda one, call: utc_seconds(one.server.updated_at), schema=MOMENT),
    Field("accessIPv4", "server.access_ip_v4", schema=TEXT),
    Field("accessIPv6", "server.access_ip_v6", schema=TEXT),
    Field("links", _links, schema=LINKS),
    Field("OS-DCF:diskConfig", "server.disk_config", schema={"enum": ["AUTO", "MANUAL"]}),
    Field("progress", _progress, schema=WHOLE),
    Field("fault", _fault, schema=_FAULT),
    Field("locked", lambda one, call: bool(one.server.locked_by), since="2.9", schema=FLAG),
    Field("description", "server.description", since="2.19", schema=TEXT_OR_NULL),
    Field("tags", "server.tags", since="2.26", schema=TEXTS),
    Field("trusted_image_certificates", "server.trusted_image_certificates", since="2.63", schema=nullable(TEXTS)),
    Field("locked_reason", _locked_reason, since="2.73", schema=TEXT_OR_NULL),
    Field(
        "pinned_availability_zone", lambda one, call: one.server.pinned_zone or None, since="2.96", schema=TEXT_OR_NULL
    ),
    Field("scheduler_hints", "server.scheduler_hints", since="2.100", schema={"type": "object"}),
)
_WHERE = "OS-EXT-SRV-ATTR:"


def _extended(since: str = "") -> tuple[Field, ...]:
    """What PUT left out before 2.75."""

    def admin(name: str, get: Any, least: str = "", until: str = "", schema: JsonSchema = TEXT_OR_NULL) -> Field:
        first = max(least, since, key=_order)
        return Field(_WHERE + name, get, since=first, until=until, only=may_see_host, schema=schema)

    return (
        Field("key_name", "server.key_name", since=since, schema=TEXT_OR_NULL),
        Field(
            "config_drive",
            lambda one, call: "True" if one.server.config_drive else "",
            since=since,
            schema={"enum": ["True", ""]},
        ),
        Field("security_groups", _groups, since=since, schema=array(record({"name": TEXT}))),
        Field("OS-EXT-AZ:availability_zone", "server.availability_zone", since=since, schema=TEXT_OR_NULL),
        Field("OS-EXT-STS:task_state", "server.task_state", since=since, schema=TEXT_OR_NULL),
        Field("OS-EXT-STS:vm_state", "server.vm_state", since=since, schema=TEXT),
        Field("OS-EXT-STS:power_state", "server.power_state", since=since, schema=WHOLE),
        Field(
            "OS-SRV-USG:launched_at",
            lambda one, call: utc_micros(one.server.launched_at),
            since=since,
            schema=MOMENT_OR_NULL,
        ),
        Field(
            "OS-SRV-USG:terminated_at",
            lambda one, call: utc_micros(one.server.terminated_at),
            since=since,
            schema=MOMENT_OR_NULL,
        ),
        Field("os-extended-volumes:volumes_attached", _volumes, since=since, schema=_volumes_schema),
        admin("host", "server.host"),
        admin("hypervisor_hostname", "server.host"),
        admin("instance_name", "server.instance_name"),
        admin("reservation_id", "server.reservation_id", "2.3"),
        admin("launch_index", "server.launch_index", "2.3", schema=WHOLE),
        admin("kernel_id", lambda one, call: "", "2.3"),
        admin("ramdisk_id", lambda one, call: "", "2.3"),
        admin("root_device_name", "server.root_device_name", "2.3"),
        admin("user_data", "server.user_data", "2.3"),
        admin("hostname", "server.hostname", "2.3", "2.89"),
        Field(f"{_WHERE}hostname", "server.hostname", since="2.90", schema=TEXT),
        Field("host_status", "host_status", since=max("2.16", since, key=_order), only=may_see_host, schema=TEXT),
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else (0,)


def _group_ids(one: Shown, call: Call) -> list[str]:
    return [one.server.group_id] if one.server.group_id else []


_SHOW_ONLY = Field("server_groups", _group_ids, since="2.71", schema=array(UUID))
DETAIL = View(*_PLAIN, Field("addresses", _addresses, schema=_address_schema(_EXTENDED_ADDRESS)), *_extended())
SHOW = DETAIL.extended(_SHOW_ONLY)
UPDATED = View(
    *_PLAIN,
    Field("addresses", _plain_addresses, until="2.74", schema=_address_schema(_ADDRESS)),
    Field("addresses", _addresses, since="2.75", schema=_address_schema(_EXTENDED_ADDRESS)),
    *_extended("2.75"),
    _SHOW_ONLY,
)


def details(call: Call, wanted: Sequence[Stamp]) -> list[Raw]:
    """The detailed answers about a page of servers, made anew only for those that have changed since the last
    time such an answer was given."""
    rendered, epoch, render = call.parts.rendered, call.parts.rendered.epoch, DETAIL.renderer(call)
    health = host_health(call.w, call) if may_see_host(call) and call.since("2.16") else {}
    keys = [(one.id, one.revision, render, call.origin, call.rooted, health.get(one.host or "")) for one in wanted]
    texts = [rendered.get(key) for key in keys]
    missing = [one.id for one, text in zip(wanted, texts, strict=True) if text is None]
    servers = queries.by_ids(call.w, missing) if missing else {}
    ports = port_views.of_devices(call.w, missing) if missing else {}
    volumes, floating = block_devices.volumes_of(call.w, missing), floating_ips.of_ports(call.w, missing)
    answers = []
    for one, key, text in zip(wanted, keys, texts, strict=True):
        if text is None:
            shown = Shown(servers[one.id], ports[one.id], health.get(one.host or "", ""), volumes[one.id], floating)
            text = Raw(_encode(render(shown, call)))
            rendered.put(key, text, epoch)
        answers.append(text)
    return answers
