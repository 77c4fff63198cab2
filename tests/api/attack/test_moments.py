"""Moments that no calendar in UTC has are refused wherever one can be given."""

from __future__ import annotations

import pytest

from tests.api.conftest import Appliance

NOWHEN = "9999-12-31T23:59:59-14:00"
QUERIES = (
    "/compute/v2.1/servers?changes-since={}",
    "/compute/v2.1/os-migrations?changes-since={}",
    "/compute/v2.1/os-simple-tenant-usage?start={}",
    "/image/v2/images?created_at=gt:{}",
    "/volume/v3/volumes?created_at=gt:{}",
)


@pytest.mark.parametrize("path", QUERIES)
def test_in_queries(appliance: Appliance, path: str) -> None:
    headers = {"OpenStack-API-Version": "compute 2.90, volume 3.60"}
    assert appliance.get(path.format(NOWHEN), headers=headers).status_code == 400


def test_in_bodies(appliance: Appliance) -> None:
    me = appliance.get("/identity/v3/users?name=admin").json["users"][0]["id"]
    body = {"application_credential": {"name": "a", "expires_at": NOWHEN}}
    assert appliance.post(f"/identity/v3/users/{me}/application_credentials", body).status_code == 400
