"""The URL below which Compute is asked: /v2, /v2.1, a project's id in it; and what the newest versions refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Appliance

from .conftest import Cloud


def test_the_old_version_has_a_document_of_its_own(appliance: Appliance) -> None:
    one = appliance.client.get("/compute/v2/").json["version"]
    assert (one["id"], one["status"], one["version"], one["min_version"]) == ("v2.0", "SUPPORTED", "", "")
    assert one["links"][0]["href"] == "http://localhost/compute/v2/"
    assert appliance.client.get("/compute/versions/v2.1").json["version"]["id"] == "v2.1"
    assert appliance.client.get("/compute/versions/v9").status_code == 404


def _send(appliance: Appliance, method: str, path: str, **more: Any) -> Any:
    return appliance.call(method, f"/compute{path}", **more)


def test_the_old_version_drops_what_it_does_not_know(appliance: Appliance) -> None:
    body = {"keypair": {"name": "k-old", "colour": "red", "type": "x509"}, "beside": 1}
    assert _send(appliance, "POST", "/v2.1/os-keypairs", json=body).status_code == 400
    made = _send(appliance, "POST", "/v2/os-keypairs", json=body)
    assert (made.status_code, made.json["keypair"]["name"]) == (200, "k-old")
    bad = _send(appliance, "POST", "/v2/os-keypairs", json={"keypair": {"name": 7}})
    assert bad.status_code == 400
    assert "name" in bad.json["badRequest"]["message"]


def test_the_old_version_stays_at_its_version(appliance: Appliance) -> None:
    flavor = _send(appliance, "GET", "/v2/flavors/detail", version="2.104").json["flavors"][0]
    assert "extra_specs" not in flavor
    assert "rxtx_factor" in flavor


def test_links_begin_as_the_callers_url_did(admin: Cloud, appliance: Appliance) -> None:
    project = appliance.get("/identity/v3/projects?name=admin").json["projects"][0]["id"]
    for root, own, bookmark in (
        ("/v2.1", "/v2.1", ""),
        ("/v2", "/v2", ""),
        (f"/v2.1/{project}", f"/v2.1/{project}", f"/{project}"),
    ):
        first = _send(appliance, "GET", f"{root}/flavors").json["flavors"][0]
        links = {link["rel"]: link["href"].removeprefix("http://localhost/compute") for link in first["links"]}
        assert links == {"self": f"{own}/flavors/{first['id']}", "bookmark": f"{bookmark}/flavors/{first['id']}"}


@pytest.mark.parametrize("path", ["/os-aggregates", "/os-keypairs", "/flavors", "/limits", "/os-services"])
def test_the_newest_versions_refuse_unknown_parameters_everywhere(admin: Cloud, path: str) -> None:
    assert admin.get(f"{path}?colour=red", "2.1").status_code == 200
    refused = admin.get(f"{path}?colour=red", "2.102")
    assert refused.status_code == 400
    assert "colour" in refused.json["badRequest"]["message"]


def test_flavors_are_filtered_by_name(admin: Cloud) -> None:
    names = [each["name"] for each in admin.get("/flavors", "2.102").json["flavors"]]
    found = [each["name"] for each in admin.get("/flavors?name=^m1.s", "2.102").json["flavors"]]
    assert found == [name for name in names if name.startswith("m1.s")]
    assert found
    assert admin.get("/flavors?name=(", "2.102").status_code == 400
    assert len(admin.get("/flavors?name=^m1.s", "2.1").json["flavors"]) == len(names)
    shown = admin.get("/flavors/1", "2.102").json["flavor"]
    assert not {"rxtx_factor", "OS-FLV-DISABLED:disabled"} & set(shown)


def test_a_server_is_tied_to_its_zone_and_let_go(admin: Cloud) -> None:
    path = f"/servers/{admin.boot()}"

    def pinned(value: object, version: str = "2.104") -> tuple[int, object]:
        answer = admin.call("PUT", path, {"server": {"pinned_availability_zone": value}}, version)
        return answer.status_code, answer.json.get("server", {}).get("pinned_availability_zone")

    zone = admin.get(path, "2.104").json["server"]["OS-EXT-AZ:availability_zone"]
    assert pinned(zone, "2.103")[0] == 400
    assert pinned(None) == (200, None)
    assert pinned("elsewhere")[0] == 409
    assert pinned(zone) == (200, zone)
    assert pinned(zone) == (200, zone)
    assert pinned("elsewhere")[0] == 409
    assert pinned(None) == (200, None)
