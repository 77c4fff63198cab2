"""The network that a project gets without making one."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.api.network.shapes import ROOT
from novalite.cloud.identity import policy
from novalite.cloud.network import auto_topology
from novalite.errors import Forbidden


def _project(call: Call) -> str:
    """Whose: the caller's, or any that an administrator names."""
    project_id = call.path["project_id"]
    if project_id in ("None", "null"):  # what clients send that know no project
        return call.ctx.project_id
    if project_id != call.ctx.project_id and not call.ctx.is_admin:
        raise Forbidden("Only an administrator may see another project's network.", code="policy.other_project")
    return project_id


def show(call: Call) -> dict[str, Any]:
    """Makes it when there is none. ``?fields=dry-run`` only tells whether it could."""
    project_id = _project(call)
    with call.parts.database.read(call.ctx) as w:
        found = auto_topology.find(w, project_id)
        if "dry-run" in call.query.getlist("fields"):
            auto_topology.outside(w)
            return _told("dry-run=pass", project_id)
    if found is None:
        policy.require("create_network", call.ctx, project_id=project_id)
        used = call.parts.network_driver.used_ranges()
        with call.parts.database.write(call.ctx) as w:
            found = auto_topology.ensure(w, project_id, machine_uses=used)
    return _told(found, project_id)


def _told(id_: str, project_id: str) -> dict[str, Any]:
    return {"auto_allocated_topology": {"id": id_, "tenant_id": project_id, "project_id": project_id}}


def delete(call: Call) -> None:
    auto_topology.remove(call.w, _project(call))


_ONE = f"{ROOT}/auto-allocated-topology/{{project_id}}"
ROUTES = [
    Route("GET", _ONE, show, rule="get_auto_allocated_topology"),
    Route("DELETE", _ONE, delete, rule="delete_auto_allocated_topology", success=204, unit="write"),
]
