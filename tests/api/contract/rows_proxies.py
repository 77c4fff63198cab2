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
    Row("GET /v2.1/os-floating-ip-pools"),
    Row("GET /v2.1/os-security-groups"),
    Row("GET /v2.1/os-security-groups/{group_id}", group_id=World.security_group),
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
