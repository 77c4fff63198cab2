"""Floating addresses as Compute told of them, those of servers, and networks made by Compute's old words."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.identity import quotas
from tests.api.compute.conftest import Cloud
from tests.api.compute.volumes import Volumes

UNKNOWN = "6e0bd4f7-3a58-4d4a-8c65-8a2b1a6a7a11"
OLD = "2.35"


@pytest.fixture(scope="module")
def server(member: Cloud) -> str:
    return member.boot()


def _new(cloud: Cloud, body: Any = None) -> Any:
    answer = cloud.call("POST", "/os-floating-ips", body, OLD)
    assert answer.status_code == 200, answer.text
    return answer.json["floating_ip"]


def _act(cloud: Cloud, server: str, name: str, value: Any, version: str = "2.43") -> int:
    return int(cloud.act(server, name, value, version).status_code)


def _addresses(cloud: Cloud, server: str) -> list[tuple[str, str]]:
    [found] = cloud.server(server)["addresses"].values()
    return [(one["OS-EXT-IPS:type"], one["addr"]) for one in found]


def test_an_address_is_taken_shown_and_given_back(member: Cloud, stranger: Cloud, admin: Cloud) -> None:
    made = _new(member)
    assert set(made) == {"id", "ip", "pool", "fixed_ip", "instance_id"}
    assert (made["pool"], made["fixed_ip"], made["instance_id"]) == ("public", None, None)
    path = f"/os-floating-ips/{made['id']}"
    assert member.get(path, OLD).json == {"floating_ip": made}
    assert made in member.get("/os-floating-ips", "2.1").json["floating_ips"]
    assert stranger.get(path, OLD).status_code == 404
    assert made not in admin.get("/os-floating-ips", OLD).json["floating_ips"]
    assert stranger.call("DELETE", path, version=OLD).status_code == 404
    assert member.get(path, "2.36").status_code == 404
    assert member.call("DELETE", path, version=OLD).status_code == 202
    assert member.get(path, OLD).status_code == 404


def test_a_pool_may_be_named(member: Cloud) -> None:
    made = _new(member, {"pool": "public"})
    assert member.call("POST", "/os-floating-ips", {"pool": "no-such-pool"}, OLD).status_code == 404
    assert member.call("POST", "/os-floating-ips", {"pool": 5}, OLD).status_code == 400
    assert member.call("DELETE", f"/os-floating-ips/{made['id']}", version=OLD).status_code == 202


def test_quotas_hold(member: Cloud) -> None:
    mine = Volumes(member)
    with mine.database.write(mine.ctx) as w:
        quotas.set_limits(w, mine.ctx.project_id, {"floatingip": 0})
    answer = member.call("POST", "/os-floating-ips", None, OLD)
    assert (answer.status_code, "over quota" in answer.text) == (403, True)
    with mine.database.write(mine.ctx) as w:
        quotas.set_limits(w, mine.ctx.project_id, {"floatingip": -1})


def test_an_address_leads_to_a_server(member: Cloud, stranger: Cloud, admin: Cloud, server: str) -> None:
    made = _new(member)
    [(_, fixed)] = _addresses(member, server)
    assert _act(member, server, "addFloatingIp", {"address": made["ip"]}) == 202
    assert _addresses(member, server) == [("fixed", fixed), ("floating", made["ip"])]
    shown = member.get(f"/os-floating-ips/{made['id']}", OLD).json["floating_ip"]
    assert (shown["fixed_ip"], shown["instance_id"]) == (fixed, server)
    listed = next(one for one in member.get("/servers/detail").json["servers"] if one["id"] == server)
    [of_list] = listed["addresses"].values()
    assert [one["addr"] for one in of_list] == [fixed, made["ip"]]
    [plain] = member.get(f"/servers/{server}/ips").json["addresses"].values()
    assert {one["addr"] for one in plain} == {fixed, made["ip"]}
    bulk = admin.get("/os-floating-ips-bulk", OLD).json["floating_ip_info"]
    assert [one["instance_uuid"] for one in bulk if one["address"] == made["ip"]] == [server]
    host = admin.server(server)["OS-EXT-SRV-ATTR:host"]
    assert admin.get(f"/os-floating-ips-bulk/{host}", OLD).json["floating_ip_info"]
    assert admin.get("/os-floating-ips-bulk/nowhere", OLD).status_code == 404
    assert member.get("/os-floating-ips-bulk", OLD).status_code == 403
    assert _act(stranger, server, "removeFloatingIp", {"address": made["ip"]}) == 404
    assert _act(member, server, "removeFloatingIp", {"address": made["ip"]}) == 202
    assert _addresses(member, server) == [("fixed", fixed)]
    assert _act(member, server, "removeFloatingIp", {"address": made["ip"]}) == 409
    assert member.call("DELETE", f"/os-floating-ips/{made['id']}", version=OLD).status_code == 202


def test_an_address_moves_to_another_server(member: Cloud, server: str) -> None:
    made, second = _new(member), member.boot("second")
    [(_, fixed)] = _addresses(member, server)
    value = {"address": made["ip"], "fixed_address": fixed}
    assert _act(member, server, "addFloatingIp", value) == 202
    assert _act(member, second, "addFloatingIp", {"address": made["ip"]}) == 202
    assert _addresses(member, server) == [("fixed", fixed)]
    assert ("floating", made["ip"]) in _addresses(member, second)
    assert member.call("DELETE", f"/os-floating-ips/{made['id']}", version=OLD).status_code == 202
    assert len(_addresses(member, second)) == 1
    member.gone(second)


def test_what_is_refused(member: Cloud, stranger: Cloud, server: str) -> None:
    made, theirs = _new(member), _new(stranger)
    for status, value in (
        (404, {"address": "203.0.113.77"}),
        (404, {"address": theirs["ip"]}),
        (400, {"address": made["ip"], "fixed_address": "10.99.99.99"}),
        (400, {"address": "not-an-address"}),
        (400, {}),
        (400, None),
    ):
        assert _act(member, server, "addFloatingIp", value) == status, value
    assert _act(member, server, "removeFloatingIp", {"address": "203.0.113.77"}) == 404
    assert _act(member, server, "addFloatingIp", {"address": made["ip"]}, "2.44") == 404
    bare = member.boot("bare", networks="none")
    assert _act(member, bare, "addFloatingIp", {"address": made["ip"]}) == 400


def test_networks_by_compute_s_old_words(admin: Cloud, member: Cloud) -> None:
    new = {"label": "old-words", "cidr": "10.211.0.0/24", "dns1": "192.0.2.1", "allowed_start": "10.211.0.10",
           "allowed_end": "10.211.0.20", "enable_dhcp": False}  # fmt: skip
    assert member.call("POST", "/os-networks", {"network": new}, OLD).status_code == 403
    made = admin.call("POST", "/os-networks", {"network": new}, OLD)
    assert (made.status_code, made.json["network"]["label"]) == (200, "old-words")
    network = made.json["network"]["id"]
    [subnet] = [
        one for one in admin.appliance.get("/network/v2.0/subnets").json["subnets"] if one["network_id"] == network
    ]
    assert subnet["allocation_pools"] == [{"start": "10.211.0.10", "end": "10.211.0.20"}]
    assert (subnet["dns_nameservers"], subnet["enable_dhcp"]) == (["192.0.2.1"], False)
    server = admin.boot(networks=[{"uuid": network}])
    assert admin.call("DELETE", f"/os-networks/{network}", version=OLD).status_code == 409
    admin.gone(server)
    assert admin.call("DELETE", f"/os-networks/{network}", version=OLD).status_code == 202
    assert admin.get(f"/os-networks/{network}", OLD).status_code == 404
    for bad in ({"label": "x"}, {"label": "x", "cidr": "no"}, {**new, "vlan": 5}, {**new, "allowed_end": None}):
        assert admin.call("POST", "/os-networks", {"network": bad}, OLD).status_code == 400


def test_networks_of_tenants(admin: Cloud, member: Cloud) -> None:
    new = {"network": {"label": "tenants", "cidr": "10.212.0.0/24"}}
    assert member.call("POST", "/os-tenant-networks", new, OLD).status_code == 403
    made = admin.call("POST", "/os-tenant-networks", new, OLD).json["network"]
    assert (made["label"], made["cidr"]) == ("tenants", "10.212.0.0/24")
    assert member.call("DELETE", f"/os-tenant-networks/{made['id']}", version=OLD).status_code == 404
    assert admin.call("DELETE", f"/os-tenant-networks/{made['id']}", version=OLD).status_code == 202


GONE: list[tuple[str, str, Any]] = [
    ("POST", "/os-networks/add", {"id": UNKNOWN}),
    ("POST", f"/os-networks/{UNKNOWN}/action", {"disassociate": None}),
    ("POST", f"/os-networks/{UNKNOWN}/action", {"associate_host": "x"}),
    ("POST", "/os-floating-ips-bulk", {"floating_ips_bulk_create": {"ip_range": "192.0.2.0/28"}}),
    ("PUT", "/os-floating-ips-bulk/delete", {"ip_range": "192.0.2.0/28"}),
]


@pytest.mark.parametrize(("method", "path", "body"), GONE)
def test_what_has_no_real_part_is_gone(admin: Cloud, member: Cloud, method: str, path: str, body: Any) -> None:
    assert admin.call(method, path, body, OLD).status_code == 410
    assert member.call(method, path, body, OLD).status_code == 403
    assert admin.call(method, path, body, "2.36").status_code == 404
