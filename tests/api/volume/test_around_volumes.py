"""What stands around volumes: versions, quotas, limits, services, pools, zones, extensions."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.api.volume.front import FRONT
from tests.api.conftest import Appliance

from .conftest import Cinder


def test_the_catalogue_leads_to_the_version(cloud: Appliance) -> None:
    catalog = cloud.get("/identity/v3/auth/catalog").json["catalog"]
    urls = {entry["type"]: entry["endpoints"][0]["url"] for entry in catalog}
    assert urls["block-storage"] == urls["volumev3"] == "http://localhost/volume/v3"
    many, one = cloud.client.get("/volume/"), cloud.client.get("/volume/v3/")
    assert (many.status_code, one.status_code) == (300, 200)
    (version,) = one.json["versions"]
    assert (version["id"], version["min_version"], version["version"]) == ("v3.0", "3.0", "3.70")


def test_versions_are_negotiated(member: Cinder) -> None:
    assert member.call("GET", "/limits", version="latest").headers["OpenStack-API-Version"] == "volume 3.70"
    assert member.call("GET", "/limits", version="3.71").status_code == 406
    assert member.call("GET", "/limits", version="x").status_code == 400


def test_the_project_may_stand_in_the_path(member: Cinder) -> None:
    project_id = member.volume()["os-vol-tenant-attr:tenant_id"]
    assert len(member.get(f"/{project_id}/volumes")["volumes"]) == 1
    assert member.refused("GET", f"/{'0' * 32}/volumes")[0] == 400


def test_quotas(admin: Cinder, member: Cinder, other: Cinder) -> None:
    project_id = member.volume(size=2)["os-vol-tenant-attr:tenant_id"]
    path = f"/os-quota-sets/{project_id}"
    assert member.get(path)["quota_set"]["gigabytes"] == 100
    used = member.get(f"{path}?usage=True")["quota_set"]
    assert used["volumes"]["limit"] == 30
    assert used["volumes"]["in_use"] >= 1
    assert used["backups"] == {"limit": 10, "in_use": 0, "reserved": 0}
    assert other.refused("GET", path)[0] == 403
    assert member.refused("PUT", path, {"quota_set": {"volumes": 50}})[0] == 403
    changed = admin.call("PUT", path, {"quota_set": {"volumes": 50, "gigabytes": "-1"}}).json["quota_set"]
    assert (changed["volumes"], changed["gigabytes"], changed["snapshots"]) == (50, -1, 10)
    bad: list[Any] = [{"volumes": -2}, {"volumes": "x"}, {"cores": 5}, {"backups": None}, {}]
    assert {admin.refused("PUT", path, {"quota_set": body})[0] for body in bad} == {400}
    assert admin.refused("PUT", path, {"quota_set": {"volumes": 0, "skip_validation": False}})[0] == 400
    assert admin.call("DELETE", path).status_code == 200
    assert member.get(path)["quota_set"]["volumes"] == 30
    assert admin.get(f"{path}/defaults")["quota_set"]["volumes"] == 30


def test_quotas_of_compute_stay_when_those_of_volumes_go(admin: Cinder) -> None:
    project_id = admin.volume()["os-vol-tenant-attr:tenant_id"]
    compute = f"/compute/v2.1/os-quota-sets/{project_id}"
    admin.appliance.call("PUT", compute, json={"quota_set": {"cores": 77}})
    admin.call("DELETE", f"/os-quota-sets/{project_id}")
    assert admin.appliance.get(compute).json["quota_set"]["cores"] == 77


def test_the_default_class(admin: Cinder, member: Cinder) -> None:
    assert admin.get("/os-quota-class-sets/default")["quota_class_set"]["snapshots"] == 10
    changed = admin.call("PUT", "/os-quota-class-sets/default", {"quota_class_set": {"snapshots": 7}})
    assert changed.json["quota_class_set"]["snapshots"] == 7
    assert member.get("/limits")["limits"]["absolute"]["maxTotalSnapshots"] == 7
    assert member.refused("GET", "/os-quota-class-sets/default")[0] == 403
    admin.call("PUT", "/os-quota-class-sets/default", {"quota_class_set": {"snapshots": 10}})


def test_limits(member: Cinder) -> None:
    numbers = member.get("/limits")["limits"]["absolute"]
    volumes = member.get("/volumes/detail")["volumes"]
    assert (numbers["maxTotalVolumes"], numbers["maxTotalVolumeGigabytes"]) == (30, 100)
    assert numbers["totalVolumesUsed"] == len(volumes)
    assert numbers["totalGigabytesUsed"] == sum(one["size"] for one in volumes)


def test_services_and_pools_are_for_admins(admin: Cinder, member: Cinder) -> None:
    services = admin.get("/os-services")["services"]
    assert {one["binary"] for one in services} == {"cinder-scheduler", "cinder-volume", "cinder-backup"}
    assert {one["state"] for one in services} == {"up"}
    (service,) = admin.get("/os-services?binary=cinder-volume")["services"]
    by_host = f"/os-services?host={service['host'].partition('@')[0]}"
    assert len(admin.get(by_host)["services"]) == 3
    assert admin.get("/os-services?host=mars")["services"] == []
    (pool,) = admin.get("/scheduler-stats/get_pools?detail=True")["pools"]
    assert pool["name"].endswith("@fake#fake")
    assert pool["capabilities"]["total_capacity_gb"] > 0
    assert "capabilities" not in admin.get("/scheduler-stats/get_pools")["pools"][0]
    for name in (pool["name"], pool["name"].partition("#")[0]):
        told = admin.get(f"/capabilities/{name.replace('#', '%23')}")
        assert (told["storage_protocol"], told["volume_backend_name"]) == ("fake", "fake")
    assert admin.refused("GET", "/capabilities/mars")[0] == 404
    (host,) = admin.get("/os-hosts?service=cinder-volume")["hosts"]
    assert host["host_name"].endswith("@fake")
    total = admin.get(f"/os-hosts/{host['host_name']}")["host"][0]["resource"]
    listed = admin.get("/volumes/detail?all_tenants=1")["volumes"]
    assert (total["project"], total["volume_count"]) == ("(total)", str(len(listed)))
    assert total["total_volume_gb"] == str(sum(one["size"] for one in listed))
    assert admin.refused("GET", "/os-hosts/mars")[0] == 404
    assert member.refused("GET", "/os-hosts")[0] == 403
    assert member.refused("GET", "/os-services")[0] == member.refused("GET", "/scheduler-stats/get_pools")[0] == 403


def test_zones_extensions_and_filters(member: Cinder) -> None:
    (zone,) = member.get("/os-availability-zone")["availabilityZoneInfo"]
    assert zone == {"zoneName": "nova", "zoneState": {"available": True}}
    aliases = [one["alias"] for one in member.get("/extensions")["extensions"]]
    assert "os-volume-actions" in aliases
    assert member.get(f"/extensions/{aliases[0]}")["extension"]["alias"] == aliases[0]
    assert member.refused("GET", "/extensions/fly")[0] == 404
    (of_volumes,) = member.get("/resource_filters?resource=volume")["resource_filters"]
    for name in of_volumes["filters"]:
        value = {"metadata": "{}", "bootable": "true", "multiattach": "true", "created_at": "gt:2001-01-01"}
        value["updated_at"] = value["created_at"]
        assert "volumes" in member.get(f"/volumes?{name}={value.get(name, 'x')}")


@pytest.mark.parametrize("path", ["/clusters"])
def test_what_is_not_offered_is_not_there(member: Cinder, path: str) -> None:
    assert member.call("GET", path).status_code == 404


def test_every_field_and_every_answer_is_declared() -> None:
    fields = {
        f"{route.method} {route.path}: {field.name}"
        for route in FRONT.routes
        for field in getattr(getattr(route.view, "view", None), "fields", ())
        if field.schema is None
    }
    silent = {
        f"{route.method} {route.path} {route.action}"
        for route in FRONT.routes
        if route.view is None and route.success in (200, 300) and route.method in ("GET", "POST", "PUT")
    }
    assert fields == set()
    assert silent == {
        "POST /v3/volumes/{id}/action os-set_bootable", "POST /v3/volumes/{id}/action os-unset_image_metadata",
        "PUT /v3/os-services/freeze ", "PUT /v3/os-services/thaw ",
    }  # fmt: skip
