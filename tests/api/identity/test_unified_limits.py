"""Registered limits and limits, which are the quotas of every service under Keystone's names."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.identity import quotas
from novalite.cloud.identity.catalogue import BLOCK_STORAGE, COMPUTE, IMAGE, NETWORK
from novalite.cloud.identity.registered_limits import OWN
from tests.api.conftest import Appliance, running

V3 = "/identity/v3"
GLANCE, NOVA, NEUTRON, CINDER = IMAGE.id, COMPUTE.id, NETWORK.id, BLOCK_STORAGE.id


def ask(appliance: Appliance, method: str, path: str, body: Any = None, *, status: int = 0, token: str = "") -> Any:
    answer = appliance.call(method, V3 + path, json=body, token=token)
    if status:
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
    return answer.json


def register(appliance: Appliance, *new: dict[str, Any], status: int = 201) -> Any:
    return ask(appliance, "POST", "/registered_limits", {"registered_limits": list(new)}, status=status)


def limit(appliance: Appliance, *new: dict[str, Any], status: int = 201) -> Any:
    return ask(appliance, "POST", "/limits", {"limits": list(new)}, status=status)


def of(service: str, name: str, number: int, **more: Any) -> dict[str, Any]:
    return {"service_id": service, "resource_name": name, "default_limit": number, **more}


def own(service: str, name: str, number: int, **more: Any) -> dict[str, Any]:
    return {"service_id": service, "resource_name": name, "resource_limit": number, **more}


def default(appliance: Appliance, service: str, name: str) -> dict[str, Any]:
    path = f"/registered_limits?service_id={service}&resource_name={name}"
    [found] = ask(appliance, "GET", path, status=200)["registered_limits"]
    return dict(found)


def limits_of(appliance: Appliance, project: str, **wanted: str) -> dict[str, int]:
    query = "&".join(f"{name}={value}" for name, value in {"project_id": project, **wanted}.items())
    found = ask(appliance, "GET", f"/limits?{query}", status=200)["limits"]
    return {each["resource_name"]: each["resource_limit"] for each in found}


@pytest.fixture
def project(appliance: Appliance) -> str:
    made = ask(appliance, "POST", "/projects", {"project": {"name": f"p-{uuid4().hex}"}}, status=201)
    return str(made["project"]["id"])


@pytest.fixture
def service(appliance: Appliance) -> str:
    """Somebody else's."""
    body = {"service": {"type": f"dns-{uuid4().hex}", "name": "designate"}}
    return str(ask(appliance, "POST", "/services", body, status=201)["service"]["id"])


def region(appliance: Appliance) -> str:
    return str(ask(appliance, "POST", "/regions", {"region": {}}, status=201)["region"]["id"])


def own_region(appliance: Appliance) -> str:
    return appliance.built.settings.identity.region


def test_every_quota_of_the_appliance_is_registered(appliance: Appliance) -> None:
    found = ask(appliance, "GET", "/registered_limits", status=200)
    shown = {(each["service_id"], each["resource_name"]): each["default_limit"] for each in found["registered_limits"]}
    assert shown.keys() >= {(service, name) for service, names in OWN.items() for name in names}
    assert (shown[NOVA, "class:VCPU"], shown[NOVA, "class:MEMORY_MB"], shown[NOVA, "servers"]) == (20, 51200, 10)
    assert (shown[GLANCE, "image_size_total"], shown[NEUTRON, "floatingip"], shown[CINDER, "volumes"]) == (-1, 50, 10)
    one = default(appliance, GLANCE, "image_stage_total")
    assert ask(appliance, "GET", f"/registered_limits/{one['id']}", status=200) == {"registered_limit": one}
    assert one["links"]["self"].endswith(f"/identity/v3/registered_limits/{one['id']}")
    assert found["links"]["next"] is None


@pytest.mark.parametrize("path", ["/limits", "/limits/model", "/registered_limits"])
def test_heads_are_as_long_as_their_answers(appliance: Appliance, path: str) -> None:
    head = appliance.call("HEAD", V3 + path)
    assert (head.status_code, head.data) == (200, b"")


def test_the_model_is_flat(appliance: Appliance) -> None:
    assert ask(appliance, "GET", "/limits/model", status=200)["model"]["name"] == "flat"
    assert appliance.client.get(f"{V3}/limits/model").status_code == 401


def test_a_limit_of_images_is_the_project_s_quota(appliance: Appliance, project: str) -> None:
    [made] = limit(appliance, own(GLANCE, "image_size_total", 2000, project_id=project, description="ours"))["limits"]
    assert {name: made[name] for name in ("project_id", "domain_id", "region_id", "resource_limit", "description")} == {
        "project_id": project, "domain_id": None, "region_id": None, "resource_limit": 2000, "description": "ours",
    }  # fmt: skip
    assert ask(appliance, "GET", f"/limits/{made['id']}", status=200) == {"limit": made}
    change = {"limit": {"resource_limit": 0}}
    changed = ask(appliance, "PATCH", f"/limits/{made['id']}", change, status=200)["limit"]
    assert changed == {**made, "resource_limit": 0}
    described = ask(appliance, "PATCH", f"/limits/{made['id']}", {"limit": {"description": None}}, status=200)
    assert (described["limit"]["description"], described["limit"]["resource_limit"]) == (None, 0)
    ask(appliance, "DELETE", f"/limits/{made['id']}", status=204)
    ask(appliance, "GET", f"/limits/{made['id']}", status=404)
    assert limits_of(appliance, project) == {}


def test_glance_holds_a_project_to_its_limit_and_shows_it(appliance: Appliance) -> None:
    name = f"m-{uuid4().hex}"
    token = appliance.member(name)
    [found] = ask(appliance, "GET", f"/projects?name={name}")["projects"]
    limit(appliance, own(GLANCE, "image_count_total", 1, project_id=found["id"]))
    usage = appliance.get("/image/v2/info/usage", token=token).json["usage"]
    assert usage["image_count_total"] == {"limit": 1, "usage": 0}
    assert {name: each["limit"] for name, each in usage.items()} == {
        "image_size_total": -1, "image_stage_total": -1, "image_count_total": 1, "image_count_uploading": -1,
    }  # fmt: skip
    assert appliance.post("/image/v2/images", {"name": "one"}, token=token).status_code == 201
    refused = appliance.post("/image/v2/images", {"name": "two"}, token=token)
    assert refused.status_code == 413
    assert "image_count_total" in refused.text


NOVA_QUOTAS = {
    "servers": "instances", "class:VCPU": "cores", "class:MEMORY_MB": "ram", "server_key_pairs": "key_pairs",
    "server_groups": "server_groups", "server_group_members": "server_group_members",
    "server_metadata_items": "metadata_items", "server_injected_files": "injected_files",
    "server_injected_file_content_bytes": "injected_file_content_bytes",
    "server_injected_file_path_bytes": "injected_file_path_bytes",
}  # fmt: skip
NEUTRON_QUOTAS = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule",
                  "subnetpool", "rbac_policy")  # fmt: skip
CINDER_QUOTAS = ("volumes", "snapshots", "gigabytes", "per_volume_gigabytes", "backups", "backup_gigabytes", "groups")


@pytest.mark.parametrize("name", NOVA_QUOTAS)
def test_nova_shows_limits_and_limits_show_nova_s_quotas(appliance: Appliance, project: str, name: str) -> None:
    quota, path = NOVA_QUOTAS[name], f"/compute/v2.1/os-quota-sets/{project}"
    [made] = limit(appliance, own(NOVA, name, 7, project_id=project))["limits"]
    assert appliance.get(path).json["quota_set"][quota] == 7
    answer = appliance.call("PUT", path, json={"quota_set": {quota: 9}})
    assert answer.status_code == 200, answer.text
    assert ask(appliance, "GET", f"/limits/{made['id']}")["limit"]["resource_limit"] == 9
    assert appliance.call("DELETE", path).status_code == 202
    ask(appliance, "GET", f"/limits/{made['id']}", status=404)
    assert appliance.call("PUT", path, json={"quota_set": {quota: 11}}).status_code == 200
    assert limits_of(appliance, project) == {name: 11}


@pytest.mark.parametrize("name", NEUTRON_QUOTAS)
def test_neutron_shows_limits_and_limits_show_neutron_s_quotas(appliance: Appliance, project: str, name: str) -> None:
    path = f"/network/v2.0/quotas/{project}"
    [made] = limit(appliance, own(NEUTRON, name, 7, project_id=project))["limits"]
    assert appliance.get(path).json["quota"][name] == 7
    assert appliance.call("PUT", path, json={"quota": {name: 9}}).status_code == 200
    assert ask(appliance, "GET", f"/limits/{made['id']}")["limit"]["resource_limit"] == 9
    ask(appliance, "DELETE", f"/limits/{made['id']}", status=204)
    assert appliance.get(path).json["quota"][name] == default(appliance, NEUTRON, name)["default_limit"]


@pytest.mark.parametrize("name", CINDER_QUOTAS)
def test_cinder_shows_limits_and_limits_show_cinder_s_quotas(appliance: Appliance, project: str, name: str) -> None:
    path = f"/volume/v3/os-quota-sets/{project}"
    [made] = limit(appliance, own(CINDER, name, 7, project_id=project))["limits"]
    assert appliance.get(path).json["quota_set"][name] == 7
    assert appliance.call("PUT", path, json={"quota_set": {name: 9}}).status_code == 200
    assert ask(appliance, "GET", f"/limits/{made['id']}")["limit"]["resource_limit"] == 9


def test_a_registered_limit_is_the_default_class_and_survives_a_start(tmp_path: Path) -> None:
    classes = "/compute/v2.1/os-quota-class-sets/default"
    with running(tmp_path / "state", quota__instances=12) as one:
        servers = default(one, NOVA, "servers")
        assert servers["default_limit"] == 12
        path = f"/registered_limits/{servers['id']}"
        shown = ask(one, "PATCH", path, {"registered_limit": {"default_limit": 5}}, status=200)["registered_limit"]
        assert shown == {**servers, "default_limit": 5}
        assert one.get(classes).json["quota_class_set"]["instances"] == 5
        assert one.call("PUT", classes, json={"quota_class_set": {"instances": 6}}).status_code == 200
        assert ask(one, "GET", path)["registered_limit"]["default_limit"] == 6
        size = default(one, GLANCE, "image_size_total")
        ask(one, "PATCH", f"/registered_limits/{size['id']}", {"registered_limit": {"default_limit": 1000}}, status=200)
        assert one.get("/image/v2/info/usage").json["usage"]["image_size_total"]["limit"] == 1000
        ask(one, "DELETE", f"/registered_limits/{default(one, NEUTRON, 'port')['id']}", status=204)
    with running(tmp_path / "state", quota__instances=12) as again:
        assert default(again, NOVA, "servers") == {**servers, "default_limit": 6}
        assert default(again, GLANCE, "image_size_total") == {**size, "default_limit": 1000}
        assert default(again, NEUTRON, "port")["default_limit"] == 500
        ask(again, "DELETE", path, status=204)
        assert again.get(classes).json["quota_class_set"]["instances"] == 12
        [made] = register(again, of(NOVA, "servers", 3))["registered_limits"]
        assert again.get(classes).json["quota_class_set"]["instances"] == 3
        assert made["id"] != servers["id"]


def test_what_is_registered_is_not_registered_twice(appliance: Appliance, service: str) -> None:
    for twice in (
        of(GLANCE, "image_size_total", 1),
        of(GLANCE, "image_size_total", 1, region_id=own_region(appliance)),
    ):
        told = register(appliance, of(service, "a", 1), twice, status=409)["error"]["message"]
        assert told == "Conflict occurred attempting to store registered_limit - Duplicate entry."
    register(appliance, of(service, "a", 1), of(service, "a", 2), status=409)
    assert ask(appliance, "GET", f"/registered_limits?service_id={service}")["registered_limits"] == []
    far = region(appliance)
    made = register(appliance, of(service, "a", 1), of(service, "a", 2, region_id=far), of(service, "b", 3))
    assert [each["default_limit"] for each in made["registered_limits"]] == [1, 2, 3]
    assert "links" not in made
    register(appliance, of(service, "a", 1), status=409)
    found = ask(appliance, "GET", f"/registered_limits?service_id={service}&region_id={far}")["registered_limits"]
    assert [each["default_limit"] for each in found] == [2]


def test_a_registered_limit_is_changed_while_nobody_has_limits_of_it(
    appliance: Appliance, service: str, project: str
) -> None:
    [made] = register(appliance, of(service, "zones", 5))["registered_limits"]
    path, far = f"/registered_limits/{made['id']}", region(appliance)
    values = {"resource_name": "records", "region_id": far, "default_limit": 6, "description": "of each zone"}
    changed = ask(appliance, "PATCH", path, {"registered_limit": values}, status=200)["registered_limit"]
    assert changed == {**made, **values}
    moved = ask(appliance, "PATCH", path, {"registered_limit": {"region_id": None}}, status=200)["registered_limit"]
    assert moved == {**changed, "region_id": None}
    itself = {"registered_limit": {"resource_name": "records"}}
    ask(appliance, "PATCH", path, itself, status=409)
    register(appliance, of(service, "zones", 1))
    ask(appliance, "PATCH", path, {"registered_limit": {"resource_name": "zones"}}, status=409)
    [mine] = limit(appliance, own(service, "records", 9, project_id=project))["limits"]
    for method, body in (("PATCH", {"registered_limit": {"default_limit": 1}}), ("DELETE", None)):
        told = ask(appliance, method, path, body, status=403)["error"]["message"]
        assert told == (f"Unable to update or delete registered limit {made['id']} because there are project limits "
                        "associated with it.")  # fmt: skip
    ask(appliance, "DELETE", f"/limits/{mine['id']}", status=204)
    ask(appliance, "DELETE", path, status=204)
    assert ask(appliance, "GET", path, status=404)["error"]["message"] == (
        f"Could not find registered limit for {made['id']}."
    )


def test_a_name_becomes_a_quota_and_stops_being_one(tmp_path: Path) -> None:
    with running(tmp_path / "state") as one:
        count = default(one, GLANCE, "image_count_total")
        path = f"/registered_limits/{count['id']}"
        ask(one, "PATCH", path, {"registered_limit": {"default_limit": 4}}, status=200)
        ask(one, "PATCH", path, {"registered_limit": {"resource_name": "albums"}}, status=200)
        assert one.get("/image/v2/info/usage").json["usage"]["image_count_total"]["limit"] == -1
        assert default(one, GLANCE, "albums")["default_limit"] == 4
        body = {"registered_limit": {"resource_name": "image_count_total", "region_id": own_region(one)}}
        ask(one, "PATCH", path, body, status=200)
        ask(one, "PATCH", path, {"registered_limit": {"default_limit": 7}}, status=200)
        assert one.get("/image/v2/info/usage").json["usage"]["image_count_total"]["limit"] == 7
    with running(tmp_path / "state") as again:
        assert default(again, GLANCE, "image_count_total")["id"] == count["id"]


def test_unknown_names_are_kept_and_are_no_quota(appliance: Appliance, service: str, project: str) -> None:
    far = region(appliance)
    register(
        appliance, of(service, "zones", 5), of(GLANCE, f"x{far}", 6), of(NOVA, "servers", 1, region_id=far)
    )  # fmt: skip
    made = limit(
        appliance, own(service, "zones", 8, project_id=project), own(NOVA, "servers", 2, project_id=project,
                                                                      region_id=far),
    )["limits"]  # fmt: skip
    assert [each["region_id"] for each in made] == [None, far]
    assert limits_of(appliance, project) == {"zones": 8, "servers": 2}
    assert limits_of(appliance, project, region_id=far) == {"servers": 2}
    assert limits_of(appliance, project, service_id=service) == {"zones": 8}
    assert limits_of(appliance, project, resource_name="zones") == {"zones": 8}
    assert appliance.get(f"/compute/v2.1/os-quota-sets/{project}").json["quota_set"]["instances"] == 10


def test_a_limit_needs_a_registered_limit_and_is_there_once(appliance: Appliance, service: str, project: str) -> None:
    told = limit(appliance, own(service, "zones", 1, project_id=project), status=403)["error"]["message"]
    assert told == "Unable to create a limit that has no corresponding registered limit."
    register(appliance, of(service, "zones", 5))
    one = own(service, "zones", 1, project_id=project)
    limit(appliance, one, own(service, "else", 1, project_id=project), status=403)
    told = limit(appliance, one, one, status=409)["error"]["message"]
    assert told == "Conflict occurred attempting to store limit - Duplicate entry."
    assert limits_of(appliance, project) == {}
    limit(appliance, one)
    limit(appliance, one, status=409)
    appliance.call("PUT", f"/compute/v2.1/os-quota-sets/{project}", json={"quota_set": {"cores": 3}})
    limit(appliance, own(NOVA, "class:VCPU", 4, project_id=project), status=409)
    here = own_region(appliance)
    limit(appliance, own(NOVA, "servers", 4, project_id=project, region_id=here))
    limit(appliance, own(NOVA, "servers", 5, project_id=project), status=409)
    assert limits_of(appliance, project) == {"zones": 1, "class:VCPU": 3, "servers": 4}


def test_a_domain_has_limits_of_its_own(appliance: Appliance, project: str) -> None:
    domain = ask(appliance, "POST", "/domains", {"domain": {"name": f"d-{uuid4().hex}"}}, status=201)["domain"]["id"]
    made = limit(
        appliance, own(NOVA, "servers", 3, domain_id=domain), own(NOVA, "class:VCPU", 4, project_id=domain),
        own(NOVA, "servers", 5, project_id=project),
    )["limits"]  # fmt: skip
    assert [(each["project_id"], each["domain_id"]) for each in made] == [(None, domain)] * 2 + [(project, None)]
    found = ask(appliance, "GET", f"/limits?domain_id={domain}", status=200)["limits"]
    assert {each["resource_name"]: each["resource_limit"] for each in found} == {"servers": 3, "class:VCPU": 4}
    assert ask(appliance, "GET", f"/limits/{made[0]['id']}", status=200)["limit"]["domain_id"] == domain
    limit(appliance, own(NOVA, "servers", 3, domain_id=domain), status=409)
    ask(appliance, "PATCH", f"/domains/{domain}", {"domain": {"enabled": False}}, status=200)
    ask(appliance, "DELETE", f"/domains/{domain}", status=204)
    ask(appliance, "GET", f"/limits/{made[0]['id']}", status=404)


def test_limits_end_with_their_project_and_their_service(appliance: Appliance, service: str, project: str) -> None:
    [registered] = register(appliance, of(service, "zones", 5))["registered_limits"]
    other = ask(appliance, "POST", "/projects", {"project": {"name": f"p-{uuid4().hex}"}})["project"]["id"]
    [gone] = limit(appliance, own(service, "zones", 1, project_id=other))["limits"]
    [kept] = limit(appliance, own(service, "zones", 1, project_id=project))["limits"]
    ask(appliance, "DELETE", f"/projects/{other}", status=204)
    ask(appliance, "GET", f"/limits/{gone['id']}", status=404)
    ask(appliance, "DELETE", f"/services/{service}", status=204)
    ask(appliance, "GET", f"/limits/{kept['id']}", status=404)
    ask(appliance, "GET", f"/registered_limits/{registered['id']}", status=404)


def test_a_region_with_limits_stays(appliance: Appliance, service: str) -> None:
    far = region(appliance)
    [made] = register(appliance, of(service, "zones", 5, region_id=far))["registered_limits"]
    ask(appliance, "DELETE", f"/regions/{far}", status=403)
    ask(appliance, "DELETE", f"/registered_limits/{made['id']}", status=204)
    ask(appliance, "DELETE", f"/regions/{far}", status=204)


def _token_of_domain(appliance: Appliance, name: str, role: str = "reader") -> str:
    """Of somebody who has the role in the default domain."""
    body = {"user": {"name": name, "password": "a-long-passphrase"}}
    user = ask(appliance, "POST", "/users", body, status=201)["user"]["id"]
    [found] = ask(appliance, "GET", f"/roles?name={role}")["roles"]
    ask(appliance, "PUT", f"/domains/default/users/{user}/roles/{found['id']}", status=204)
    password = {"user": {"name": name, "domain": {"id": "default"}, "password": "a-long-passphrase"}}
    auth = {"identity": {"methods": ["password"], "password": password}, "scope": {"domain": {"id": "default"}}}
    answer = appliance.client.post(f"{V3}/auth/tokens", json={"auth": auth})
    assert answer.status_code == 201, answer.text
    return answer.headers["X-Subject-Token"]


def test_who_sees_which_limits(appliance: Appliance, project: str) -> None:
    name = f"m-{uuid4().hex}"
    member = appliance.member(name)
    mine = ask(appliance, "GET", f"/projects?name={name}")["projects"][0]["id"]
    domain = ask(appliance, "POST", "/domains", {"domain": {"name": f"d-{uuid4().hex}"}}, status=201)["domain"]["id"]
    made = limit(
        appliance, own(NOVA, "servers", 3, project_id=mine), own(NOVA, "servers", 4, project_id=project),
        own(NOVA, "servers", 5, domain_id=domain), own(NOVA, "servers", 6, domain_id="default"),
    )["limits"]  # fmt: skip
    ids = [each["id"] for each in made]

    def seen(token: str, query: str = "") -> list[str]:
        found = ask(appliance, "GET", f"/limits{query}", status=200, token=token)["limits"]
        return [each["id"] for each in found if each["id"] in ids]

    def shown(token: str) -> list[int]:
        return [appliance.get(f"{V3}/limits/{id_}", token=token).status_code for id_ in [*ids, uuid4().hex]]

    assert sorted(seen("")) == sorted(ids)
    assert seen(member) == seen(member, f"?project_id={mine}") == ids[:1]
    assert seen(member, f"?project_id={project}") == seen(member, f"?domain_id={domain}") == []
    assert shown(member) == [200, 403, 403, 403, 403]
    of_domain = _token_of_domain(appliance, f"{name}-d")
    assert sorted(seen(of_domain)) == sorted([ids[0], ids[1], ids[3]])
    assert shown(of_domain) == [200, 200, 403, 200, 403]
    assert shown("") == [200, 200, 200, 200, 404]
    admin_of_domain = _token_of_domain(appliance, f"{name}-a", "admin")
    assert sorted(seen(admin_of_domain)) == sorted(ids)
    registered = f"/registered_limits/{default(appliance, NOVA, 'class:VCPU')['id']}"
    for method, path, body in (
        ("POST", "/limits", {"limits": [own(NOVA, "class:VCPU", 1, project_id=mine)]}),
        ("PATCH", f"/limits/{ids[0]}", {"limit": {"resource_limit": -1}}),
        ("DELETE", f"/limits/{ids[0]}", None),
        ("POST", "/registered_limits", {"registered_limits": [of(NOVA, "x", 1)]}),
        ("PATCH", registered, {"registered_limit": {"default_limit": 1}}),
        ("DELETE", registered, None),
    ):
        for token in (member, of_domain, admin_of_domain):
            ask(appliance, method, path, body, token=token, status=403)
    ask(appliance, "DELETE", f"/limits/{ids[3]}", status=204)


BAD_VALUES: dict[str, tuple[Any, ...]] = {
    "service_id": (None, "", 1, "unknown", "x" * 65, ["a"]),
    "region_id": ("nowhere", 1, "x" * 256, {}),
    "resource_name": (None, "", "   ", 1, "x" * 256, "a\0b"),
    "description": (1, [], "x" * 60001),
    "links": ({},),
    "id": ("0" * 32,),
}
NUMBERS = (None, "1", 1.5, True, -2, 2**31, 2**63, 10**30)


def _bad(good: dict[str, Any], number: str) -> list[dict[str, Any]]:
    found = [{**good, name: value} for name, values in {**BAD_VALUES, number: NUMBERS}.items() for value in values]
    return found + [{key: value for key, value in good.items() if key != left_out}
                    for left_out in ("service_id", "resource_name", number)]  # fmt: skip


def _refused(appliance: Appliance, method: str, path: str, body: Any) -> None:
    answer = appliance.call(method, V3 + path, json=body)
    assert answer.status_code == 400, f"{answer.status_code} for {str(body)[:200]}"
    assert answer.json["error"]["message"]


def test_bad_registered_limits_are_refused_and_leave_nothing(appliance: Appliance, service: str) -> None:
    good = of(service, "zones", 5, region_id=None, description=None)
    for bad in _bad(good, "default_limit"):
        _refused(appliance, "POST", "/registered_limits", {"registered_limits": [good, bad]})
    for body in ({}, {"registered_limits": []}, {"registered_limits": good}, {"registered_limits": [1]}, [], None,
                 {"registered_limits": [good], "more": 1}):  # fmt: skip
        _refused(appliance, "POST", "/registered_limits", body)
    assert ask(appliance, "GET", f"/registered_limits?service_id={service}")["registered_limits"] == []
    [made] = register(appliance, good)["registered_limits"]
    path = f"/registered_limits/{made['id']}"
    for name, values in {**BAD_VALUES, "default_limit": NUMBERS}.items():
        for value in values:
            _refused(appliance, "PATCH", path, {"registered_limit": {name: value}})
    _refused(appliance, "PATCH", path, {"registered_limit": []})
    assert ask(appliance, "GET", path) == {"registered_limit": made}
    ask(appliance, "PATCH", "/registered_limits/none", {"registered_limit": {"default_limit": 1}}, status=404)
    ask(appliance, "DELETE", "/registered_limits/none", status=404)


def test_bad_limits_are_refused_and_leave_nothing(appliance: Appliance, service: str, project: str) -> None:
    register(appliance, of(service, "zones", 5))
    good = own(service, "zones", 5, project_id=project)
    bad_ones = _bad(good, "resource_limit")
    bad_ones += [{**good, "project_id": value} for value in (None, "", 1, "unknown", "x" * 65, "domain:default")]
    bad_ones += [{**good, "domain_id": "default"}, {key: value for key, value in good.items() if key != "project_id"}]
    bad_ones += [own(service, "zones", 5, domain_id=value) for value in (None, "", "unknown", project, 1)]
    for bad in bad_ones:
        _refused(appliance, "POST", "/limits", {"limits": [good, bad]})
    for body in ({}, {"limits": []}, {"limits": good}, {"limit": [good]}, None):
        _refused(appliance, "POST", "/limits", body)
    assert limits_of(appliance, project) == {}
    [made] = limit(appliance, good)["limits"]
    for name, values in {"resource_limit": NUMBERS, "description": BAD_VALUES["description"]}.items():
        for value in values:
            _refused(appliance, "PATCH", f"/limits/{made['id']}", {"limit": {name: value}})
    for name in ("project_id", "service_id", "resource_name", "region_id", "id"):
        _refused(appliance, "PATCH", f"/limits/{made['id']}", {"limit": {name: made[name]}})
    assert ask(appliance, "GET", f"/limits/{made['id']}") == {"limit": made}
    ask(appliance, "PATCH", "/limits/none", {"limit": {"resource_limit": 1}}, status=404)
    ask(appliance, "DELETE", "/limits/none", status=404)


def test_quotas_of_what_can_be_no_project_are_refused(appliance: Appliance) -> None:
    for name in ("class:default", "domain:default"):
        assert appliance.call("PUT", f"/network/v2.0/quotas/{name}", json={"quota": {"port": 1}}).status_code == 400
    assert default(appliance, NEUTRON, "port")["default_limit"] == 500


def test_of_many_who_ask_at_once_one_gets_the_limit(appliance: Appliance, service: str, project: str) -> None:
    token, ready = appliance.token(), threading.Barrier(8)

    def send(what: str, body: dict[str, Any]) -> int:
        ready.wait(60)
        return int(appliance.call("POST", f"{V3}/{what}", json={what: [body]}, token=token).status_code)

    with ThreadPoolExecutor(8) as pool:
        for what, body in (
            ("registered_limits", of(service, "zones", 5)),
            ("limits", own(service, "zones", 6, project_id=project)),
        ):
            assert sorted(pool.map(send, [what] * 8, [body] * 8)) == [201] + [409] * 7
    assert limits_of(appliance, project) == {"zones": 6}


def test_many_limits_are_made_at_once(appliance: Appliance, service: str, project: str) -> None:
    names = [f"r{number}" for number in range(200)]
    made = register(appliance, *(of(service, name, 1) for name in names))["registered_limits"]
    assert [each["resource_name"] for each in made] == names
    limit(appliance, *(own(service, name, 2, project_id=project) for name in names))
    assert len(limits_of(appliance, project)) == 200


def test_each_own_resource_is_a_quota() -> None:
    behind = [resource for names in OWN.values() for resource in names.values()]
    assert sorted(behind) == sorted(quotas.RESOURCES)
