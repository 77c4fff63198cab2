"""Rows of Compute: flavors, key pairs, groups, quotas, and what describes the API."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.versions import Version
from tests.api.contract.table import Row
from tests.api.contract.world import World

_F = "/v2.1/flavors"
_FLAVOR = _F + "/{flavor_id}"
_QUOTAS = "/v2.1/os-quota-sets/{project_id}"


def _flavor(world: World, version: Version) -> Any:
    more: dict[str, Any] = {"description": "words"} if version.minor >= 55 else {}
    return {"flavor": {"name": world.name("flavor"), "ram": 64, "vcpus": 1, "disk": 1, "swap": 8, **more}}


def _keypair(world: World, version: Version) -> Any:
    more = {"type": "ssh"} if version.minor >= 2 else {}
    return {"keypair": {"name": world.name("key"), "public_key": world.key_text(), **more}}


def _group(world: World, version: Version) -> Any:
    if version.minor < 64:
        return {"server_group": {"name": world.name("group"), "policies": ["anti-affinity"]}}
    rules = {"max_server_per_host": 2}
    return {"server_group": {"name": world.name("group"), "policy": "anti-affinity", "rules": rules}}


ROWS = [
    Row("GET /"),
    Row("GET /v2.1"),
    Row("GET /v2.1/versions/{version_id}"),
    Row("GET /versions/{version_id}"),
    Row("GET /v2.1/extensions"),
    Row("GET /v2.1/extensions/{alias}"),
    Row(f"GET {_F}"),
    Row(f"GET {_F}/detail"),
    Row(f"POST {_F}", _flavor),
    Row(f"GET {_FLAVOR}"),
    Row(f"PUT {_FLAVOR}", {"flavor": {"description": "other words"}}),
    Row(f"DELETE {_FLAVOR}", flavor_id=World.new_flavor),
    Row(f"GET {_FLAVOR}/os-extra_specs"),
    Row(f"POST {_FLAVOR}/os-extra_specs", {"extra_specs": {"key": "value", "number": "1"}}),
    Row(f"GET {_FLAVOR}/os-extra_specs/{{key}}"),
    Row(f"PUT {_FLAVOR}/os-extra_specs/{{key}}", {"key": "value"}),
    Row(f"DELETE {_FLAVOR}/os-extra_specs/{{key}}", flavor_id=World.flavor_with_spec),
    Row(f"GET {_FLAVOR}/os-flavor-access", flavor_id=World.private_flavor),
    Row(f"POST {_FLAVOR}/action addTenantAccess", lambda world, version: {"addTenantAccess": {
        "tenant": world.project_id()}}, flavor_id=World.private_flavor),
    Row(f"POST {_FLAVOR}/action removeTenantAccess", lambda world, version: {"removeTenantAccess": {
        "tenant": world.other_project()}}, flavor_id=World.private_flavor),
    Row("GET /v2.1/os-keypairs"),
    Row("POST /v2.1/os-keypairs", _keypair),
    Row("GET /v2.1/os-keypairs/{name:path}", name=World.new_keypair),
    Row("DELETE /v2.1/os-keypairs/{name:path}", name=World.new_keypair),
    Row("GET /v2.1/os-server-groups"),
    Row("POST /v2.1/os-server-groups", _group),
    Row("GET /v2.1/os-server-groups/{group_id}"),
    Row("DELETE /v2.1/os-server-groups/{group_id}", group_id=World.new_group),
    Row("GET /v2.1/limits"),
    Row(f"GET {_QUOTAS}"),
    Row(f"GET {_QUOTAS}/defaults"),
    Row(f"GET {_QUOTAS}/detail"),
    Row(f"PUT {_QUOTAS}", {"quota_set": {"cores": 10}}, project_id=World.other_project),
    Row(f"DELETE {_QUOTAS}", project_id=World.other_project),
    Row("GET /v2.1/os-quota-class-sets/{class_name}"),
    Row("PUT /v2.1/os-quota-class-sets/{class_name}", {"quota_class_set": {"cores": 10}}, class_name="other"),
    Row("GET /v2.1/os-simple-tenant-usage"),
    Row("GET /v2.1/os-simple-tenant-usage/{project_id}"),
]  # fmt: skip
