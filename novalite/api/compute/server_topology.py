"""The memory nodes a server's flavor or image has asked for."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.shapes import ROOT
from novalite.api.kit.answers import WHOLE, WHOLE_OR_NULL, Told, array, record
from novalite.api.kit.body import Query
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.compute import servers
from novalite.drivers.compute import properties
from novalite.drivers.compute.base import GuestSpec
from novalite.drivers.compute.wishes import MemoryWish
from novalite.errors import DriverError, Invalid


def _memory(server: servers.Server) -> MemoryWish:
    """Raises ``Invalid`` when the properties contradict each other: such a server never ran."""
    given = {**server.image["properties"], **server.flavor["extra_specs"]}
    texts = {str(name): str(value) for name, value in given.items()}
    spec = GuestSpec(server.id, server.name, server.project_id, server.vcpus, server.memory_mib, (), properties=texts)
    try:
        return properties.read(spec).memory
    except DriverError as error:
        raise Invalid(error.detail) from error


def show(call: Call) -> dict[str, Any]:
    """Which nodes and processors of the host serve them is the host's own business and not told."""
    memory = _memory(servers.get(call.w, call.path["server_id"]))
    nodes = [{"vcpu_set": list(cell.vcpus), "siblings": [], "memory_mb": cell.memory_mib} for cell in memory.cells]
    return {"nodes": nodes, "pagesize_kb": int(memory.page_size) if memory.page_size.isdecimal() else None}


_NODE = {"vcpu_set": array(WHOLE), "siblings": array(array(WHOLE)), "memory_mb": WHOLE}
_TOLD = Told(whole=record({"nodes": array(record(_NODE)), "pagesize_kb": WHOLE_OR_NULL}))
ROUTES = [
    Route("GET", f"{ROOT}/servers/{{server_id}}/topology", show, rule="compute:server:topology:index", unit="read",
          query=Query(strict=True), view=_TOLD, since="2.78"),
]  # fmt: skip
