"""The rules that new security groups begin with."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.api.network.conftest import OTHERS, Neutron

RULES = "/v2.0/default-security-group-rules"


def _new(neutron: Neutron, **fields: Any) -> Any:
    return neutron.call("POST", RULES, {"default_security_group_rule": fields}, who="admin")


def _rules(neutron: Neutron, name: str, *, who: str = "member") -> list[tuple[str, str, str, int]]:
    (group,) = neutron.get(f"/v2.0/security-groups?name={name}", who=who)["security_groups"]
    return sorted((rule["direction"], rule["ethertype"], rule["protocol"] or "", rule["port_range_min"] or 0)
                  for rule in group["security_group_rules"])  # fmt: skip


def test_the_first_ones_are_those_that_neutron_has(neutron: Neutron) -> None:
    found = neutron.get(RULES)["default_security_group_rules"]
    assert sorted((rule["direction"], rule["ethertype"], rule["remote_group_id"], rule["used_in_default_sg"],
                   rule["used_in_non_default_sg"]) for rule in found) == [
        ("egress", "IPv4", None, True, True), ("egress", "IPv6", None, True, True),
        ("ingress", "IPv4", "PARENT", True, False), ("ingress", "IPv6", "PARENT", True, False),
    ]  # fmt: skip
    assert neutron.get(f"{RULES}/{found[0]['id']}")["default_security_group_rule"] == found[0]


def test_new_groups_begin_with_them_and_old_ones_stay(neutron: Neutron) -> None:
    neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "before"}})
    ssh = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    made = _new(neutron, **ssh)
    assert made.status_code == 201, made.text
    rule = made.json["default_security_group_rule"]
    assert (rule["used_in_default_sg"], rule["used_in_non_default_sg"]) == (False, True)
    again = _new(neutron, **ssh)
    assert (again.status_code, rule["id"] in again.text) == (409, True)
    neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "after"}})
    assert ("ingress", "IPv4", "tcp", 22) not in _rules(neutron, "before")
    assert ("ingress", "IPv4", "tcp", 22) in _rules(neutron, "after")
    assert neutron.call("DELETE", f"{RULES}/{rule['id']}", who="admin").status_code == 204
    assert neutron.call("GET", f"{RULES}/{rule['id']}").status_code == 404
    neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "later"}})
    assert _rules(neutron, "later") == [("egress", "IPv4", "", 0), ("egress", "IPv6", "", 0)]


def test_a_default_group_begins_with_those_meant_for_it(neutron: Neutron) -> None:
    ping = {"direction": "ingress", "protocol": "icmp", "remote_group_id": "PARENT", "used_in_default_sg": True,
            "used_in_non_default_sg": False}  # fmt: skip
    assert _new(neutron, **ping).status_code == 201
    assert ("ingress", "IPv4", "icmp", 0) in _rules(neutron, "default", who="other")
    (group,) = neutron.get("/v2.0/security-groups?name=default", who="other")["security_groups"]
    remotes = {rule["remote_group_id"] for rule in group["security_group_rules"] if rule["direction"] == "ingress"}
    assert (remotes, group["project_id"]) == ({group["id"]}, OTHERS)


def test_only_administrators_change_them(neutron: Neutron) -> None:
    body = {"default_security_group_rule": {"direction": "ingress"}}
    assert neutron.call("POST", RULES, body).status_code == 403
    rule = neutron.get(RULES)["default_security_group_rules"][0]
    assert neutron.call("DELETE", f"{RULES}/{rule['id']}").status_code == 403
    for bad in ({}, {"direction": "in"}, {"direction": "ingress", "port_range_min": 5},
                {"direction": "ingress", "remote_ip_prefix": "x"}):  # fmt: skip
        assert _new(neutron, **bad).status_code == 400


def test_what_they_name_is_there_or_they_go(neutron: Neutron) -> None:
    for remote in ("remote_group_id", "remote_address_group_id"):
        assert _new(neutron, direction="ingress", **{remote: str(uuid4())}).status_code == 404
    group = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "g"}}).json["security_group"]
    rule = _new(neutron, direction="ingress", remote_group_id=group["id"]).json["default_security_group_rule"]
    assert neutron.call("DELETE", f"/v2.0/security-groups/{group['id']}").status_code == 204
    assert neutron.call("GET", f"{RULES}/{rule['id']}").status_code == 404
    named = neutron.call("POST", "/v2.0/address-groups", {"address_group": {"addresses": []}}).json["address_group"]
    assert _new(neutron, direction="ingress", remote_address_group_id=named["id"]).status_code == 201
    assert neutron.call("DELETE", f"/v2.0/address-groups/{named['id']}").status_code == 409
    assert neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "h"}}).status_code == 201
