"""RBAC policies: what others see and use of a project's networks and groups."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.api.network.conftest import MINE, OTHERS, Neutron

POLICIES = "/v2.0/rbac-policies"


def _ask(neutron: Neutron, object_id: str, *, who: str = "member", **more: Any) -> Any:
    fields = {"object_type": "network", "object_id": object_id, "action": "access_as_shared", "target_tenant": OTHERS}
    return neutron.call("POST", POLICIES, {"rbac_policy": fields | more}, who=who)


def _shared(neutron: Neutron, network_id: str, who: str) -> bool:
    return bool(neutron.get(f"/v2.0/networks/{network_id}", who=who)["network"]["shared"])


@pytest.fixture
def network(neutron: Neutron) -> str:
    made = neutron.new("network", name="mine")
    neutron.new("subnet", network_id=made["id"], cidr="10.2.0.0/24")
    return str(made["id"])


def test_a_network_is_shared_with_one_project_until_it_is_not(neutron: Neutron, network: str) -> None:
    assert "mine" not in neutron.names("networks", who="other")
    answer = _ask(neutron, network)
    assert answer.status_code == 201, answer.text
    policy = answer.json["rbac_policy"]
    assert (policy["target_tenant"], policy["project_id"], policy["object_type"]) == (OTHERS, MINE, "network")
    assert "mine" in neutron.names("networks", who="other")
    assert (_shared(neutron, network, "other"), _shared(neutron, network, "member")) == (True, False)
    assert len(neutron.get("/v2.0/subnets?cidr=10.2.0.0/24", who="other")["subnets"]) == 1
    port = neutron.new("port", network_id=network, who="other")
    path = f"{POLICIES}/{policy['id']}"
    in_use = neutron.call("DELETE", path)
    assert (in_use.status_code, "other objects depend on it" in in_use.text) == (409, True)
    assert neutron.call("PUT", path, {"rbac_policy": {"target_tenant": MINE}}).status_code == 409
    assert neutron.call("DELETE", f"/v2.0/ports/{port['id']}", who="other").status_code == 204
    assert neutron.call("DELETE", path).status_code == 204
    assert neutron.call("GET", path).status_code == 404
    assert "mine" not in neutron.names("networks", who="other")


def test_everybody_is_for_administrators_and_is_what_shared_says(neutron: Neutron, network: str) -> None:
    assert _ask(neutron, network, target_tenant="*").status_code == 403
    policy = _ask(neutron, network, target_tenant="*", who="admin").json["rbac_policy"]
    assert _shared(neutron, network, "member")
    update = {"network": {"shared": False}}
    assert neutron.call("PUT", f"/v2.0/networks/{network}", update, who="admin").json["network"]["shared"] is False
    assert neutron.call("GET", f"{POLICIES}/{policy['id']}", who="admin").status_code == 404
    shared = neutron.call("PUT", f"/v2.0/networks/{network}", {"network": {"shared": True}}, who="admin")
    assert shared.json["network"]["shared"] is True
    (found,) = neutron.get(f"{POLICIES}?object_id={network}", who="admin")["rbac_policies"]
    assert (found["target_tenant"], found["action"]) == ("*", "access_as_shared")
    assert neutron.call("DELETE", f"{POLICIES}/{found['id']}", who="admin").status_code == 204
    assert not _shared(neutron, network, "member")


def test_an_external_network_is_for_those_it_is_given_to(neutron: Neutron) -> None:
    made = neutron.new("network", name="outside", who="admin")
    neutron.new("subnet", network_id=made["id"], cidr="10.9.0.0/24", who="admin")
    answer = _ask(neutron, made["id"], action="access_as_external", who="admin")
    assert answer.status_code == 201, answer.text
    seen = neutron.get(f"/v2.0/networks/{made['id']}", who="other")["network"]
    assert (seen["router:external"], seen["shared"]) == (True, False)
    router = neutron.new("router", name="r", external_gateway_info={"network_id": made["id"]}, who="other")
    policy = f"{POLICIES}/{answer.json['rbac_policy']['id']}"
    assert neutron.call("DELETE", policy, who="admin").status_code == 409
    assert neutron.call("DELETE", f"/v2.0/routers/{router['id']}", who="other").status_code == 204
    assert neutron.call("DELETE", policy, who="admin").status_code == 204
    assert neutron.call("GET", f"/v2.0/networks/{made['id']}", who="other").status_code == 404
    assert neutron.get(f"/v2.0/networks/{made['id']}", who="admin")["network"]["router:external"] is False


def test_a_shared_group_is_used_and_not_changed(neutron: Neutron, network: str) -> None:
    group = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "g"}}).json["security_group"]
    assert _ask(neutron, network).status_code == 201
    refused = {"port": {"network_id": network, "security_groups": [group["id"]]}}
    assert neutron.call("POST", "/v2.0/ports", refused, who="other").status_code == 400
    policy = _ask(neutron, group["id"], object_type="security_group").json["rbac_policy"]
    port = neutron.new("port", network_id=network, security_groups=[group["id"]], who="other")
    assert port["security_groups"] == [group["id"]]
    shown = neutron.get(f"/v2.0/security-groups/{group['id']}", who="other")["security_group"]
    assert (shown["shared"], len(shown["security_group_rules"])) == (True, 2)
    assert len(neutron.get(f"/v2.0/security-group-rules?security_group_id={group['id']}", who="other")
               ["security_group_rules"]) == 2  # fmt: skip
    path = f"/v2.0/security-groups/{group['id']}"
    assert neutron.call("PUT", path, {"security_group": {"name": "x"}}, who="other").status_code == 403
    assert neutron.call("DELETE", path, who="other").status_code == 403
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    answer = neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rule": rule}, who="other")
    assert answer.status_code == 403
    assert neutron.call("DELETE", f"{POLICIES}/{policy['id']}").status_code == 409


def test_bad_policies_are_refused(neutron: Neutron, network: str) -> None:
    for fields, status in (
        ({"object_type": "server"}, 400),
        ({"action": "access_as_owner"}, 400),
        ({"object_type": "security_group", "action": "access_as_external"}, 400),
        ({"object_id": str(uuid4())}, 404),
        ({"object_id": "x"}, 400),
        ({"target_tenant": ""}, 400),
        ({"surprise": 1}, 400),
    ):
        asked = {"object_id": network, **fields}
        answer = _ask(neutron, **asked)
        assert answer.status_code == status, answer.text
    assert neutron.get(f"{POLICIES}?object_id={network}")["rbac_policies"] == []
    assert _ask(neutron, network).status_code == 201
    assert _ask(neutron, network).status_code == 409, "the same again"
    assert _ask(neutron, network, who="other", target_tenant=MINE).status_code == 400, "not theirs to give"
    assert neutron.get(POLICIES, who="other")["rbac_policies"] == []


def test_policies_are_counted_and_go_with_their_object(neutron: Neutron, network: str) -> None:
    quota = {"quota": {"rbac_policy": 1}}
    assert neutron.call("PUT", f"/v2.0/quotas/{MINE}", quota, who="admin").status_code == 200
    (first,) = neutron.get(POLICIES, who="admin")["rbac_policies"]
    assert (first["object_id"], first["target_tenant"]) == (neutron.first, "*"), "the shared network of the first start"
    answer = _ask(neutron, network)
    assert (answer.status_code, "rbac_policy" in answer.text) == (409, True)
    assert neutron.call("PUT", f"/v2.0/quotas/{MINE}", {"quota": {"rbac_policy": 2}}, who="admin").status_code == 200
    assert _ask(neutron, network).status_code == 201
    for found in neutron.get(f"/v2.0/subnets?network_id={network}")["subnets"]:
        assert neutron.call("DELETE", f"/v2.0/subnets/{found['id']}").status_code == 204
    assert neutron.call("DELETE", f"/v2.0/networks/{network}").status_code == 204
    assert neutron.get(f"{POLICIES}?object_id={network}")["rbac_policies"] == []


def test_only_administrators_make_a_network_external(neutron: Neutron, network: str) -> None:
    """The machine would be on it: more than its owner may ask for."""
    assert _ask(neutron, network, action="access_as_external").status_code == 403
    assert neutron.get(f"/v2.0/networks/{network}")["network"]["router:external"] is False
    assert _ask(neutron, network, action="access_as_external", who="admin").status_code == 201
    assert neutron.get(f"/v2.0/networks/{network}", who="other")["network"]["router:external"] is True
    back = neutron.call("PUT", f"/v2.0/networks/{network}", {"network": {"router:external": False}}, who="admin")
    assert back.status_code == 200, back.text
    assert neutron.call("GET", f"/v2.0/networks/{network}", who="other").status_code == 404
