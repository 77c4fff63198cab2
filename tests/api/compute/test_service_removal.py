"""A compute service is forgotten only when its host holds nothing, and takes its place in aggregates with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.api.conftest import Appliance

from .conftest import Cloud


def _two_hosts(fresh: Callable[..., Any]) -> Cloud:
    appliance: Appliance = fresh(compute__fake_hosts=2)
    return Cloud(appliance, appliance.token(), appliance.image())


def test_removing_services(fresh: Callable[..., Any]) -> None:
    admin = _two_hosts(fresh)
    first, second = admin.get("/os-services?binary=nova-compute").json["services"]
    aggregate = admin.call("POST", "/os-aggregates", {"aggregate": {"name": "a"}}).json["aggregate"]["id"]
    for service in (first, second):
        body = {"add_host": {"host": service["host"]}}
        assert admin.call("POST", f"/os-aggregates/{aggregate}/action", body).status_code == 200
    server = admin.boot("held", availability_zone=f"nova:{first['host']}")
    assert admin.call("DELETE", f"/os-services/{first['id']}").status_code == 409
    assert admin.call("DELETE", f"/os-services/{second['id']}").status_code == 204
    assert admin.call("DELETE", f"/os-services/{second['id']}").status_code == 404
    assert [one["host"] for one in admin.get("/os-services?binary=nova-compute").json["services"]] == [first["host"]]
    assert admin.get(f"/os-aggregates/{aggregate}").json["aggregate"]["hosts"] == [first["host"]]
    admin.gone(server)


def test_ids_that_are_none(fresh: Callable[..., Any]) -> None:
    admin = _two_hosts(fresh)
    assert admin.call("DELETE", "/os-services/7").status_code == 400
    assert admin.call("DELETE", "/os-services/x", version="2.52").status_code == 400
    assert admin.call("DELETE", "/os-services/99", version="2.52").status_code == 404
