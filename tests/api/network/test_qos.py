"""QoS policies and the limits they set."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.network import rates
from novalite.cloud.network.records import Network, Port
from novalite.context import internal
from novalite.drivers.network.base import RateSpec
from tests.api.network.conftest import MINE, OTHERS, Neutron

POLICIES = "/v2.0/qos/policies"


def _new(neutron: Neutron, *, who: str = "admin", **fields: Any) -> dict[str, Any]:
    answer = neutron.call("POST", POLICIES, {"policy": {"name": "q", **fields}}, who=who)
    assert answer.status_code == 201, answer.text
    return dict(answer.json["policy"])


def _limit(neutron: Neutron, policy_id: str, *, who: str = "admin", **fields: Any) -> Any:
    path = f"{POLICIES}/{policy_id}/bandwidth_limit_rules"
    return neutron.call("POST", path, {"bandwidth_limit_rule": fields}, who=who)


def test_a_policy_is_made_shown_changed_and_deleted(neutron: Neutron) -> None:
    made = _new(neutron, description="d", tags=["t"])
    assert (made["shared"], made["is_default"], made["rules"], made["tags"]) == (False, False, [], ["t"])
    path = f"{POLICIES}/{made['id']}"
    changed = neutron.call("PUT", path, {"policy": {"name": "new", "shared": True}}, who="admin").json["policy"]
    assert (changed["name"], changed["shared"], changed["revision_number"]) == ("new", True, 1)
    assert neutron.get(path, who="other")["policy"]["shared"] is True
    assert neutron.call("PUT", path, {"policy": {"shared": False}}, who="admin").status_code == 200
    assert neutron.call("GET", path, who="other").status_code == 404
    assert neutron.get("/v2.0/qos/rule-types")["rule_types"] == [{"type": "bandwidth_limit"}]
    assert neutron.call("POST", POLICIES, {"policy": {"name": "x"}}).status_code == 403
    assert neutron.call("DELETE", path, who="admin").status_code == 204
    assert neutron.call("GET", path, who="admin").status_code == 404


def test_a_policy_limits_each_direction_once(neutron: Neutron) -> None:
    policy = _new(neutron)["id"]
    made = _limit(neutron, policy, max_kbps=1000, max_burst_kbps="800")
    assert made.status_code == 201, made.text
    rule = made.json["bandwidth_limit_rule"]
    assert rule == {"id": rule["id"], "direction": "egress", "max_kbps": 1000, "max_burst_kbps": 800}
    again = _limit(neutron, policy, max_kbps=5)
    assert (again.status_code, "conflicts with rule" in again.text) == (409, True)
    second = _limit(neutron, policy, max_kbps=5, direction="ingress").json["bandwidth_limit_rule"]
    shown = neutron.get(f"{POLICIES}/{policy}")["policy"]["rules"]
    assert [(one["type"], one["direction"], one["qos_policy_id"]) for one in shown] == [
        ("bandwidth_limit", "egress", policy), ("bandwidth_limit", "ingress", policy),
    ]  # fmt: skip
    path = f"{POLICIES}/{policy}/bandwidth_limit_rules"
    assert len(neutron.get(path)["bandwidth_limit_rules"]) == 2
    body = {"bandwidth_limit_rule": {"max_kbps": 7}}
    assert neutron.call("PUT", f"{path}/{second['id']}", body, who="admin").json["bandwidth_limit_rule"][
        "max_kbps"] == 7  # fmt: skip
    turn = {"bandwidth_limit_rule": {"direction": "egress"}}
    assert neutron.call("PUT", f"{path}/{second['id']}", turn, who="admin").status_code == 409
    alias = f"/v2.0/qos/alias-bandwidth-limit-rules/{second['id']}"
    assert neutron.get(alias)["bandwidth_limit_rule"]["max_kbps"] == 7
    assert neutron.call("DELETE", alias, who="admin").status_code == 204
    for gone in (alias, f"{path}/{second['id']}", f"{POLICIES}/{uuid4()}/bandwidth_limit_rules/{rule['id']}"):
        assert neutron.call("GET", gone).status_code == 404


@pytest.mark.parametrize("fields", [{}, {"max_kbps": -1}, {"max_kbps": "x"}, {"max_kbps": 1, "direction": "up"}])
def test_a_limit_that_cannot_be_is_refused(neutron: Neutron, fields: dict[str, Any]) -> None:
    policy = _new(neutron)["id"]
    assert _limit(neutron, policy, **fields).status_code == 400
    assert neutron.get(f"{POLICIES}/{policy}")["policy"]["rules"] == []


def test_a_project_has_one_default(neutron: Neutron) -> None:
    first = _new(neutron, is_default=True)
    assert first["is_default"] is True
    again = neutron.call("POST", POLICIES, {"policy": {"name": "r", "is_default": True}}, who="admin")
    assert (again.status_code, MINE in again.text) == (409, True)
    _new(neutron, is_default=True, project_id=OTHERS)


def _told(neutron: Neutron, port_id: str) -> RateSpec | None:
    with neutron.database.read(internal()) as w:
        return rates.of_ports(w, [port_id]).get(port_id)


def test_a_port_has_its_own_limits_else_its_networks(neutron: Neutron) -> None:
    """What the machine is told, in its words: in is towards the guest."""
    own, common = _new(neutron)["id"], _new(neutron)["id"]
    _limit(neutron, own, max_kbps=100, max_burst_kbps=80)
    _limit(neutron, common, max_kbps=9000, direction="ingress")
    network = neutron.new("network", name="n")
    neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    port = neutron.new("port", network_id=network["id"])["id"]
    assert _told(neutron, port) is None
    neutron.call("PUT", f"{POLICIES}/{common}", {"policy": {"shared": True}}, who="admin")
    put = {"network": {"qos_policy_id": common}}
    shown = neutron.call("PUT", f"/v2.0/networks/{network['id']}", put)
    assert (shown.status_code, shown.json["network"]["qos_policy_id"]) == (200, common), shown.text
    assert _told(neutron, port) == RateSpec(in_kbps=9000)
    put = {"port": {"qos_policy_id": own}}
    assert neutron.call("PUT", f"/v2.0/ports/{port}", put).json["port"]["qos_policy_id"] == own
    assert _told(neutron, port) == RateSpec(out_kbps=100, out_burst_kb=80)
    for policy in (own, common):
        answer = neutron.call("DELETE", f"{POLICIES}/{policy}", who="admin")
        assert (answer.status_code, "is used by" in answer.text) == (409, True)
    with neutron.database.write(internal()) as w:
        w.session.get_one(Port, port).host = "here"
        w.session.get_one(Port, port).qos_policy_id = None
        assert w.session.get_one(Network, network["id"]).qos_policy_id == common
    heard: list[tuple[str, str]] = []
    neutron.database.listen(lambda topic, id, project_id: heard.append((topic, id)))
    _limit(neutron, common, max_kbps=5)
    assert ("port_groups", port) in heard, "the guest that runs is limited anew"


def test_ports_and_networks_are_made_with_policies_that_the_project_sees(neutron: Neutron) -> None:
    policy = _new(neutron, project_id=OTHERS)["id"]
    _limit(neutron, policy, max_kbps=100)
    network = neutron.new("network", name="n", qos_policy_id=policy, who="other")
    assert network["qos_policy_id"] == policy
    neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24", who="other")
    port = neutron.new("port", network_id=network["id"], qos_policy_id=policy, who="other")
    assert (port["qos_policy_id"], _told(neutron, port["id"])) == (policy, RateSpec(out_kbps=100))
    answer = neutron.call("POST", "/v2.0/networks", {"network": {"name": "m", "qos_policy_id": str(uuid4())}})
    assert (answer.status_code, "m" in neutron.names("networks")) == (404, False)
    _new(neutron, project_id=OTHERS, is_default=True, name="d")
    assert neutron.new("network", name="k", who="other")["qos_policy_id"] is not None
    assert neutron.new("network", name="l", who="other", qos_policy_id=None)["qos_policy_id"] is None
