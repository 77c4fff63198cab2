"""Rows of Compute: what other services do today and Compute once proxied, and what is gone."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.versions import Version
from tests.api.contract.table import Row
from tests.api.contract.world import World

_IMAGE = "/v2.1/images/{image_id}"
_VOLUME, _SNAPSHOT = "/v2.1/os-volumes/{id}", "/v2.1/os-snapshots/{id}"
_CONSOLES = "/v2.1/servers/{server_id}/consoles"
_GONE = (
    "GET /v2.1/os-agents", "POST /v2.1/os-agents", "PUT /v2.1/os-agents/{agent_id}",
    "DELETE /v2.1/os-agents/{agent_id}", "GET /v2.1/os-cloudpipe", "POST /v2.1/os-cloudpipe",
    "PUT /v2.1/os-cloudpipe/{which}", "GET /v2.1/os-fping", "GET /v2.1/os-fping/{server_id}",
    "GET /v2.1/os-cells", "POST /v2.1/os-cells", "GET /v2.1/os-cells/detail", "GET /v2.1/os-cells/info",
    "GET /v2.1/os-cells/capacities", "POST /v2.1/os-cells/sync_instances", "GET /v2.1/os-cells/{name}",
    "PUT /v2.1/os-cells/{name}", "DELETE /v2.1/os-cells/{name}", "GET /v2.1/os-cells/{name}/capacities",
    "POST /v2.1/os-certificates", "GET /v2.1/os-certificates/{certificate_id}", f"GET {_CONSOLES}",
    f"POST {_CONSOLES}", f"GET {_CONSOLES}/{{console_id}}", f"DELETE {_CONSOLES}/{{console_id}}",
)  # fmt: skip


_TIES = ("disassociate", "disassociate_host", "disassociate_project", "associate_host")
_ENTRY, _DEFAULTS = "/v2.1/os-floating-ip-dns/{domain}/entries/{name}", "/v2.1/os-security-group-default-rules"
_DNS = (
    "GET /v2.1/os-floating-ip-dns", "PUT /v2.1/os-floating-ip-dns/{domain}",
    "DELETE /v2.1/os-floating-ip-dns/{domain}", f"GET {_ENTRY}", f"PUT {_ENTRY}", f"DELETE {_ENTRY}",
    f"GET {_DEFAULTS}", f"POST {_DEFAULTS}", f"GET {_DEFAULTS}/{{rule_id}}", f"DELETE {_DEFAULTS}/{{rule_id}}",
)  # fmt: skip


def _network(world: World, version: Version) -> Any:
    return {"network": {"label": world.name("network"), "cidr": world.cidr()}}


def _security_group(world: World, version: Version) -> Any:
    return {"security_group": {"name": world.name("group"), "description": "words"}}


def _security_group_rule(world: World, version: Version) -> Any:
    ports = {"from_port": 22, "to_port": 22, "ip_protocol": "tcp", "cidr": world.cidr()}
    return {"security_group_rule": {"parent_group_id": world.new_security_group(), **ports}}


def _volume(world: World, version: Version) -> Any:
    return {"volume": {"size": 1, "display_name": world.name("volume")}}


def _snapshot(world: World, version: Version) -> Any:
    return {"snapshot": {"volume_id": world.new_volume(), "display_name": world.name("snapshot")}}


ROWS = [
    Row("GET /v2.1/images"),
    Row("GET /v2.1/images/detail"),
    Row(f"GET {_IMAGE}"),
    Row(f"DELETE {_IMAGE}", image_id=World.new_image),
    Row(f"GET {_IMAGE}/metadata"),
    Row(f"POST {_IMAGE}/metadata", {"metadata": {"more": "1"}}, image_id=World.new_image),
    Row(f"PUT {_IMAGE}/metadata", {"metadata": {"only": "1"}}, image_id=World.new_image),
    Row(f"GET {_IMAGE}/metadata/{{key}}", image_id=World.image_with_key),
    Row(f"PUT {_IMAGE}/metadata/{{key}}", {"meta": {"key": "value"}}, image_id=World.new_image),
    Row(f"DELETE {_IMAGE}/metadata/{{key}}", image_id=World.image_with_key),
    Row("GET /v2.1/os-networks"),
    Row("GET /v2.1/os-networks/{network_id}"),
    Row("GET /v2.1/os-tenant-networks"),
    Row("GET /v2.1/os-tenant-networks/{network_id}"),
    Row("POST /v2.1/os-networks", _network),
    Row("DELETE /v2.1/os-networks/{network_id}", network_id=World.new_network),
    Row("POST /v2.1/os-networks/add"),
    *(Row(f"POST /v2.1/os-networks/{{network_id}}/action {action}", {action: None}) for action in _TIES),
    Row("POST /v2.1/os-tenant-networks", _network),
    Row("DELETE /v2.1/os-tenant-networks/{network_id}", network_id=World.new_network),
    Row("GET /v2.1/os-floating-ips"),
    Row("POST /v2.1/os-floating-ips"),
    Row("GET /v2.1/os-floating-ips/{floating_id}", floating_id=World.new_floating),
    Row("DELETE /v2.1/os-floating-ips/{floating_id}", floating_id=World.new_floating),
    Row("GET /v2.1/os-floating-ips-bulk"),
    Row("GET /v2.1/os-floating-ips-bulk/{host}", status=404),
    Row("POST /v2.1/os-floating-ips-bulk"),
    Row("PUT /v2.1/os-floating-ips-bulk/delete"),
    Row("GET /v2.1/os-fixed-ips/{address}", address=World.an_address),
    Row("POST /v2.1/os-fixed-ips/{address}/action reserve", {"reserve": "None"}, address=World.free_address),
    Row("POST /v2.1/os-fixed-ips/{address}/action unreserve", {"unreserve": "None"}, address=World.kept_address),
    *(Row(operation, domain="example.org", name="www", rule_id="1") for operation in _DNS),
    Row("GET /v2.1/os-floating-ip-pools"),
    Row("GET /v2.1/os-security-groups"),
    Row("POST /v2.1/os-security-groups", _security_group),
    Row("GET /v2.1/os-security-groups/{group_id}", group_id=World.security_group),
    Row("PUT /v2.1/os-security-groups/{group_id}", _security_group, group_id=World.new_security_group),
    Row("DELETE /v2.1/os-security-groups/{group_id}", group_id=World.new_security_group),
    Row("POST /v2.1/os-security-group-rules", _security_group_rule),
    Row("DELETE /v2.1/os-security-group-rules/{rule_id}", rule_id=World.new_rule),
    Row("GET /v2.1/os-volumes"),
    Row("GET /v2.1/os-volumes/detail"),
    Row("POST /v2.1/os-volumes", _volume),
    Row(f"GET {_VOLUME}", id=World.new_volume),
    Row(f"DELETE {_VOLUME}", id=World.new_volume),
    Row("GET /v2.1/os-snapshots"),
    Row("GET /v2.1/os-snapshots/detail"),
    Row("POST /v2.1/os-snapshots", _snapshot),
    Row(f"GET {_SNAPSHOT}", id=World.new_snapshot),
    Row(f"DELETE {_SNAPSHOT}", id=World.new_snapshot),
    *(Row(operation, agent_id="1", which="configure-project", name="cell", certificate_id="root", console_id="1")
      for operation in _GONE),
    Row("GET /v2.1/os-baremetal-nodes"),
    Row("GET /v2.1/os-baremetal-nodes/{node_id}", node_id="1"),
    Row("POST /v2.1/os-baremetal-nodes"),
    Row("DELETE /v2.1/os-baremetal-nodes/{node_id}", node_id="1"),
    Row("POST /v2.1/os-baremetal-nodes/{node_id}/action", node_id="1"),
]  # fmt: skip
