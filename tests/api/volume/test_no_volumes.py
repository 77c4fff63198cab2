"""Block Storage while there are no volumes: it says so, in the shapes its clients read."""

from __future__ import annotations

import pytest

from tests.api.conftest import Appliance


def test_the_catalogue_leads_to_its_version(appliance: Appliance) -> None:
    catalog = appliance.get("/identity/v3/auth/catalog").json["catalog"]
    urls = {entry["type"]: entry["endpoints"][0]["url"] for entry in catalog}
    assert urls["block-storage"] == urls["volumev3"] == "http://localhost/volume/v3"
    many, one = appliance.client.get("/volume/"), appliance.client.get("/volume/v3/")
    assert (many.status_code, one.status_code) == (300, 200)
    assert one.json["versions"][0]["id"] == "v3.0"


@pytest.mark.parametrize("where", ["", "/{project}"])
def test_lists_are_empty_and_quotas_are_nothing(appliance: Appliance, where: str) -> None:
    project = appliance.get("/identity/v3/auth/projects").json["projects"][0]["id"]
    root = "/volume/v3" + where.format(project=project)
    assert appliance.get(f"{root}/volumes/detail").json == {"volumes": []}
    assert appliance.get(f"{root}/snapshots").json == {"snapshots": []}
    quotas = appliance.get(f"{root}/os-quota-sets/{project}").json["quota_set"]
    assert (quotas["id"], quotas["volumes"]) == (project, 0)
    usage = appliance.get(f"{root}/os-quota-sets/{project}?usage=True").json["quota_set"]
    assert usage["gigabytes"] == {"limit": 0, "in_use": 0, "reserved": 0}
    assert appliance.get(f"{root}/limits").json["limits"]["absolute"]["totalVolumesUsed"] == 0


def test_a_volume_is_not_found_and_cannot_be_made(appliance: Appliance) -> None:
    assert appliance.get("/volume/v3/volumes/x").status_code == 404
    assert appliance.post("/volume/v3/volumes", {"volume": {"size": 1}}).status_code == 405
