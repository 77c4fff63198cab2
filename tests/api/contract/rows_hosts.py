"""Rows of Compute: hosts, and what administrators do with them."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.versions import Version
from tests.api.contract.table import Row
from tests.api.contract.world import UNKNOWN, World

_H = "/v2.1/os-hypervisors"
_A = "/v2.1/os-aggregates"
_AGGREGATE = _A + "/{aggregate_id}"


def _service(**more: Any) -> Any:
    return lambda world, version: {"host": world.host(), "binary": "nova-compute", **more}


def _events(world: World, version: Version) -> Any:
    return {"events": [{"name": "network-changed", "server_uuid": world.server_id()}]}


def _assisted(world: World, version: Version) -> Any:
    info = {"snapshot_id": UNKNOWN, "type": "qcow2", "new_file": "name"}
    return {"snapshot": {"volume_id": UNKNOWN, "create_info": info}}


ROWS = [
    Row(f"GET {_H}"),
    Row(f"GET {_H}/detail"),
    Row(f"GET {_H}/statistics"),
    Row(f"GET {_H}/{{hypervisor_id}}"),
    Row(f"GET {_H}/{{hypervisor_id}}/uptime"),
    Row(f"GET {_H}/{{hypervisor_id}}/search", hypervisor_id=World.host),
    Row(f"GET {_H}/{{hypervisor_id}}/servers", hypervisor_id=World.host),
    Row("GET /v2.1/os-services"),
    Row("PUT /v2.1/os-services/enable", _service()),
    Row("PUT /v2.1/os-services/disable", _service()),
    Row("PUT /v2.1/os-services/disable-log-reason", _service(disabled_reason="dust")),
    Row("PUT /v2.1/os-services/force-down", _service(forced_down=False)),
    Row("PUT /v2.1/os-services/{service_id}", {"status": "enabled"}),
    Row("DELETE /v2.1/os-services/{service_id}", service_id=World.dead_service),
    Row("GET /v2.1/os-availability-zone"),
    Row("GET /v2.1/os-availability-zone/detail"),
    Row(f"GET {_A}"),
    Row(f"POST {_A}", lambda world, version: {"aggregate": {"name": world.name("aggregate")}}),
    Row(f"GET {_AGGREGATE}"),
    Row(f"PUT {_AGGREGATE}", lambda world, version: {"aggregate": {"name": world.name("aggregate")}}),
    Row(f"DELETE {_AGGREGATE}", aggregate_id=World.new_aggregate),
    Row(f"POST {_AGGREGATE}/action add_host", lambda world, version: {"add_host": {"host": world.host()}},
        aggregate_id=World.new_aggregate),
    Row(f"POST {_AGGREGATE}/action remove_host", lambda world, version: {"remove_host": {"host": world.host()}},
        aggregate_id=World.filled_aggregate),
    Row(f"POST {_AGGREGATE}/action set_metadata", {"set_metadata": {"metadata": {"key": "value"}}}),
    Row(f"POST {_AGGREGATE}/images", lambda world, version: {"cache": [{"id": world.image_id()}]},
        aggregate_id=World.filled_aggregate),
    Row("GET /v2.1/os-console-auth-tokens/{token}", token=World.console_token),
    Row("POST /v2.1/os-assisted-volume-snapshots", _assisted, status=400),
    Row("DELETE /v2.1/os-assisted-volume-snapshots/{snapshot_id}", status=400, snapshot_id=UNKNOWN,
        query=f"delete_info=%7B%22volume_id%22:%22{UNKNOWN}%22%7D"),
    Row("GET /v2.1/os-migrations"),
    Row("GET /v2.1/os-instance_usage_audit_log"),
    Row("GET /v2.1/os-instance_usage_audit_log/{before}"),
    Row("POST /v2.1/os-server-external-events", _events),
    Row("GET /v2.1/os-hosts"),
    Row("GET /v2.1/os-hosts/{host}"),
    Row("PUT /v2.1/os-hosts/{host}", {"status": "enable"}),
    Row("GET /v2.1/os-hosts/{host}/startup"),
    Row("GET /v2.1/os-hosts/{host}/shutdown"),
    Row("GET /v2.1/os-hosts/{host}/reboot"),
]  # fmt: skip
