"""Types of volumes."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import UNKNOWN, Cinder


def new(admin: Cinder, name: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = admin.ask("/types", {"volume_type": {"name": name, **fields}}, 200)["volume_type"]
    return made


def test_there_is_a_default_type(member: Cinder, admin: Cinder) -> None:
    default = member.get("/types/default")["volume_type"]
    assert (default["name"], default["is_public"]) == ("__DEFAULT__", True)
    assert member.get(f"/types/{default['id']}")["volume_type"] == default
    assert "qos_specs_id" not in default
    assert admin.refused("DELETE", f"/types/{default['id']}")[0] == 400


def test_the_life_of_a_type(admin: Cinder, member: Cinder) -> None:
    made = new(admin, "fast", description="ssd", extra_specs={"volume_backend_name": "x", "multiattach": "<is> True"})
    path = f"/types/{made['id']}"
    assert member.get(path)["volume_type"]["extra_specs"] == {"multiattach": "<is> True"}
    specs = f"{path}/extra_specs"
    assert member.refused("GET", f"{specs}/volume_backend_name")[0] == 404
    assert admin.get(f"{specs}/volume_backend_name") == {"volume_backend_name": "x"}
    assert member.get(f"{specs}/multiattach") == {"multiattach": "<is> True"}
    assert admin.refused("POST", "/types", {"volume_type": {"name": "fast"}})[0] == 409
    changed = admin.call("PUT", path, {"volume_type": {"name": "faster", "is_public": False}}).json["volume_type"]
    assert (changed["name"], changed["is_public"]) == ("faster", False)
    assert admin.ask(specs, {"extra_specs": {"a": "1"}}, 200) == {"extra_specs": {"a": "1"}}
    assert admin.call("PUT", f"{specs}/a", {"a": "2"}).json == {"a": "2"}
    assert admin.refused("PUT", f"{specs}/a", {"b": "2"})[0] == 400
    assert admin.get(f"{specs}/a") == {"a": "2"}
    assert admin.call("DELETE", f"{specs}/a").status_code == 202
    assert admin.refused("GET", f"{specs}/a")[0] == 404
    assert set(admin.get(specs)["extra_specs"]) == {"volume_backend_name", "multiattach"}
    assert admin.call("DELETE", path).status_code == 202
    assert admin.refused("GET", path)[0] == 404


def test_types_that_are_not_public(admin: Cinder, member: Cinder, other: Cinder) -> None:
    made = new(admin, "hidden", **{"os-volume-type-access:is_public": False})
    path, project_id = f"/types/{made['id']}", member.volume()["os-vol-tenant-attr:tenant_id"]
    names = lambda who, query="": [one["name"] for one in who.get(f"/types{query}")["volume_types"]]  # noqa: E731
    assert "hidden" not in names(member)
    assert member.refused("GET", path)[0] == 404
    admin.ask(f"{path}/action", {"addProjectAccess": {"project": project_id}})
    assert admin.refused("POST", f"{path}/action", {"addProjectAccess": {"project": project_id}})[0] == 409
    assert "hidden" in names(member)
    assert "hidden" not in names(other)
    assert ("hidden" in names(admin), "hidden" in names(admin, "?is_public=None")) == (False, True)
    listed = admin.get(f"{path}/os-volume-type-access")["volume_type_access"]
    assert {"volume_type_id": made["id"], "project_id": project_id} in listed
    volume = member.volume(volume_type="hidden")
    assert admin.refused("DELETE", path)[0] == 400
    member.delete("volumes", volume["id"])
    admin.ask(f"{path}/action", {"removeProjectAccess": {"project": project_id}})
    assert admin.refused("POST", f"{path}/action", {"removeProjectAccess": {"project": project_id}})[0] == 404
    assert member.refused("GET", path)[0] == 404


@pytest.mark.parametrize(
    "fields",
    [{}, {"name": ""}, {"name": " "}, {"name": "x" * 256}, {"name": "x", "extra_specs": {"a": 1}},
     {"name": "x", "is_public": "perhaps"}, {"name": "x", "os-volume-type-access:is_public": "perhaps"}],
)  # fmt: skip
def test_bad_input(admin: Cinder, fields: dict[str, Any]) -> None:
    assert admin.refused("POST", "/types", {"volume_type": fields})[0] == 400


def test_types_are_the_admins(member: Cinder) -> None:
    assert member.refused("POST", "/types", {"volume_type": {"name": "mine"}})[0] == 403
    assert member.refused("DELETE", f"/types/{UNKNOWN}")[0] == 403
    assert member.refused("GET", f"/types/{UNKNOWN}")[0] == 404
