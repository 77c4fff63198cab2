"""Quotas of single users within those of their project."""

from __future__ import annotations

from tests.api.conftest import Appliance

from .conftest import Cloud


def test_a_users_own_limits_count_beside_the_projects(admin: Cloud, member: Cloud, appliance: Appliance) -> None:
    first = member.boot("first")
    server = admin.server(first)
    path = f"/os-quota-sets/{server['tenant_id']}"
    mine = f"{path}?user_id={server['user_id']}"
    before = member.get(path).json["quota_set"]
    assert admin.get(mine).json["quota_set"]["instances"] == before["instances"]

    assert admin.call("PUT", mine, {"quota_set": {"instances": 0}}).status_code == 400
    beyond = {"quota_set": {"instances": before["instances"] + 1}}
    refused = admin.call("PUT", mine, beyond)
    assert (refused.status_code, "instances" in refused.json["badRequest"]["message"]) == (400, True)

    answer = admin.call("PUT", mine, {"quota_set": {"instances": 1}})
    assert (answer.status_code, answer.json["quota_set"]["instances"]) == (200, 1)
    assert member.get(path).json["quota_set"] == before
    detail = admin.get(f"{path}/detail?user_id={server['user_id']}").json["quota_set"]["instances"]
    assert detail == {"limit": 1, "in_use": 1, "reserved": 0}
    over = member.new("second")
    assert over.status_code == 403
    assert "Quota exceeded for instances: Requested 1, but already used 1 of 1" in over.json["forbidden"]["message"]

    assert admin.call("DELETE", mine).status_code == 202
    member.gone(member.boot("second"))
    assert appliance.get(f"/compute/v2.1{mine}").json["quota_set"]["instances"] == before["instances"]
