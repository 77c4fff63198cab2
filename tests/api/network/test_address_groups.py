"""Address groups, and rules that name them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.network import security_groups
from novalite.context import internal
from novalite.drivers.network.base import RuleSpec
from tests.api.network.conftest import OTHERS, Neutron

GROUPS = "/v2.0/address-groups"


def _new(neutron: Neutron, *, who: str = "member", **fields: Any) -> dict[str, Any]:
    answer = neutron.call("POST", GROUPS, {"address_group": fields}, who=who)
    assert answer.status_code == 201, answer.text
    return dict(answer.json["address_group"])


def _rules(neutron: Neutron, group_id: str) -> tuple[RuleSpec, ...]:
    with neutron.database.read(internal()) as w:
        (spec,) = security_groups.specs(w, [group_id])
    return tuple(rule for rule in spec.rules if rule.inbound)


def test_a_group_is_made_shown_changed_and_deleted(neutron: Neutron) -> None:
    made = _new(neutron, name="offices", addresses=["192.0.2.7/24", "2001:db8::1"])
    assert made["addresses"] == ["192.0.2.0/24", "2001:db8::1/128"]
    assert (made["shared"], made["description"], made["revision_number"]) == (False, "", 0)
    path = f"{GROUPS}/{made['id']}"
    changed = neutron.call("PUT", path, {"address_group": {"name": "new", "description": "d"}}).json["address_group"]
    assert (changed["name"], changed["description"], changed["revision_number"]) == ("new", "d", 1)
    more = neutron.call("PUT", f"{path}/add_addresses", {"addresses": ["198.51.100.0/24"]}).json["address_group"]
    assert more["addresses"][-1] == "198.51.100.0/24"
    less = neutron.call("PUT", f"{path}/remove_addresses", {"addresses": ["192.0.2.0/24"]}).json["address_group"]
    assert less["addresses"] == ["2001:db8::1/128", "198.51.100.0/24"]
    assert [one["name"] for one in neutron.get(GROUPS)["address_groups"]] == ["new"]
    assert neutron.call("DELETE", path).status_code == 204
    assert neutron.call("GET", path).status_code == 404


@pytest.mark.parametrize("addresses", [["x"], ["10.0.0.0/33"], [5], "10.0.0.0/8"])
def test_what_is_no_range_is_refused(neutron: Neutron, addresses: Any) -> None:
    answer = neutron.call("POST", GROUPS, {"address_group": {"addresses": addresses}})
    assert (answer.status_code, "addresses" in answer.text) == (400, True)
    assert neutron.get(GROUPS)["address_groups"] == []


def test_addresses_that_are_there_or_are_not_are_told(neutron: Neutron) -> None:
    path = f"{GROUPS}/{_new(neutron, addresses=['10.0.0.0/8'])['id']}"
    assert neutron.call("PUT", f"{path}/add_addresses", {"addresses": ["10.0.0.0/8"]}).status_code == 400
    assert neutron.call("PUT", f"{path}/remove_addresses", {"addresses": ["10.1.0.0/16"]}).status_code == 404
    assert neutron.call("PUT", f"{path}/add_addresses", {"addresses": []}).status_code == 400


def test_rules_let_in_what_the_group_holds_of_their_version(neutron: Neutron) -> None:
    named = _new(neutron, addresses=["192.0.2.0/24", "2001:db8::/64"])
    group = _group(neutron)
    for ethertype in ("IPv4", "IPv6"):
        rule = {"security_group_id": group, "direction": "ingress", "ethertype": ethertype, "protocol": "tcp",
                "remote_address_group_id": named["id"]}  # fmt: skip
        made = neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rule": rule})
        assert (made.status_code, made.json["security_group_rule"]["remote_address_group_id"]) == (201, named["id"])
        assert neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rule": rule}).status_code == 409
    four, six = sorted(_rules(neutron, group), key=lambda rule: rule.version)
    assert (four.remotes, six.remotes) == (("192.0.2.0/24",), ("2001:db8::/64",))
    gone = {"addresses": ["2001:db8::/64"]}
    heard: list[str] = []
    neutron.database.listen(lambda topic, id, project_id: heard.append(id))
    assert neutron.call("PUT", f"{GROUPS}/{named['id']}/remove_addresses", gone).status_code == 200
    assert group in heard, "guests that run are told"
    six = next(rule for rule in _rules(neutron, group) if rule.version == 6)
    assert (six.remotes, six.nobody) == ((), True)
    assert neutron.call("DELETE", f"{GROUPS}/{named['id']}").status_code == 409


def _group(neutron: Neutron) -> str:
    answer = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "g"}})
    return str(answer.json["security_group"]["id"])


def test_only_one_kind_of_remote_is_named(neutron: Neutron) -> None:
    named, group = _new(neutron, addresses=[])["id"], _group(neutron)
    both = {"security_group_id": group, "direction": "ingress", "remote_address_group_id": named}
    for more in ({"remote_ip_prefix": "10.0.0.0/8"}, {"remote_group_id": group}):
        answer = neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rule": both | more})
        assert (answer.status_code, "Only one of" in answer.text) == (400, True)
    unknown = both | {"remote_address_group_id": str(uuid4())}
    assert neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rule": unknown}).status_code == 404


def test_others_see_a_group_when_it_is_shared_and_do_not_change_it(neutron: Neutron) -> None:
    made = _new(neutron, name="g", addresses=["10.0.0.0/8"])
    path = f"{GROUPS}/{made['id']}"
    assert neutron.call("GET", path, who="other").status_code == 404
    share = {"object_type": "address_group", "object_id": made["id"], "action": "access_as_shared",
             "target_tenant": OTHERS}  # fmt: skip
    policy = neutron.call("POST", "/v2.0/rbac-policies", {"rbac_policy": share}).json["rbac_policy"]
    assert neutron.get(path, who="other")["address_group"]["shared"] is True
    assert neutron.get(path)["address_group"]["shared"] is False
    assert neutron.call("PUT", path, {"address_group": {"name": "x"}}, who="other").status_code == 403
    group = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "o"}}, who="other").json
    rule = {"security_group_id": group["security_group"]["id"], "direction": "ingress",
            "remote_address_group_id": made["id"]}  # fmt: skip
    made_rule = neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rule": rule}, who="other")
    assert made_rule.status_code == 201
    end = f"/v2.0/rbac-policies/{policy['id']}"
    assert neutron.call("DELETE", end).status_code == 409, "a rule of theirs needs it"
    rule_path = f"/v2.0/security-group-rules/{made_rule.json['security_group_rule']['id']}"
    assert neutron.call("DELETE", rule_path, who="other").status_code == 204
    assert neutron.call("DELETE", end).status_code == 204
    assert neutron.call("GET", path, who="other").status_code == 404
