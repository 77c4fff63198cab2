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


def test_quotas_of_networks_have_compute_names_of_old(admin: Cloud, member: Cloud, appliance: Appliance) -> None:
    project = admin.server(member.boot("networked"))["tenant_id"]
    path = f"/os-quota-sets/{project}"
    old = {"fixed_ips": 50, "floating_ips": 7, "security_groups": 8, "security_group_rules": 90}
    assert admin.call("PUT", path, {"quota_set": old}, "2.35").status_code == 200
    shown = member.get(path, "2.35").json["quota_set"]
    assert {name: shown[name] for name in old} == old
    assert not set(old) & set(member.get(path, "2.36").json["quota_set"])
    networks = appliance.get(f"/network/v2.0/quotas/{project}").json["quota"]
    assert (networks["port"], networks["floatingip"], networks["security_group"]) == (50, 7, 8)
    limits = member.get("/limits", "2.35").json["limits"]["absolute"]
    assert (limits["maxTotalFloatingIps"], limits["maxSecurityGroups"], limits["totalSecurityGroupsUsed"]) == (7, 8, 1)
    below = admin.call("PUT", path, {"quota_set": {"security_groups": 0}}, "2.35")
    assert below.status_code == 400
