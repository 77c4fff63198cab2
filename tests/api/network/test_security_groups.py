"""Security groups and their rules over HTTP, as Neutron's clients use them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from novalite.cloud.network import security_groups
from novalite.context import internal
from tests.api.network.conftest import MINE, Neutron

GROUPS, RULES = "/v2.0/security-groups", "/v2.0/security-group-rules"


def _group(neutron: Neutron, name: str = "web", **fields: Any) -> dict[str, Any]:
    answer = neutron.call("POST", GROUPS, {"security_group": {"name": name, **fields}})
    assert answer.status_code == 201, answer.text
    return dict(answer.json["security_group"])


def _refused(neutron: Neutron, group: dict[str, Any], status: int = 400, **fields: Any) -> str:
    asked = {"security_group_id": group["id"], "direction": "ingress", **fields}
    answer = neutron.call("POST", RULES, {"security_group_rule": asked})
    assert answer.status_code == status, answer.text
    return str(answer.json["NeutronError"]["message"])


def _rule(neutron: Neutron, group: dict[str, Any], **fields: Any) -> dict[str, Any]:
    asked = {"security_group_id": group["id"], "direction": "ingress", **fields}
    answer = neutron.call("POST", RULES, {"security_group_rule": asked})
    assert answer.status_code == 201, answer.text
    return dict(answer.json["security_group_rule"])


def _short(group: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return sorted((r["direction"], r["ethertype"], r["remote_group_id"]) for r in group["security_group_rules"])


def test_the_default_group_lets_out_everything_and_in_its_own_members(neutron: Neutron) -> None:
    (group,) = neutron.get(GROUPS)["security_groups"]
    assert (group["name"], group["project_id"], group["stateful"]) == ("default", MINE, True)
    assert _short(group) == [
        ("egress", "IPv4", None), ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]), ("ingress", "IPv6", group["id"]),
    ]  # fmt: skip


def test_a_new_group_lets_everything_out_and_nothing_in(neutron: Neutron) -> None:
    group = _group(neutron, description="a web server")
    assert (group["name"], group["description"], group["tenant_id"]) == ("web", "a web server", MINE)
    assert _short(group) == [("egress", "IPv4", None), ("egress", "IPv6", None)]
    assert neutron.get(f"{GROUPS}/{group['id']}")["security_group"] == group


def test_names_repeat_except_that_of_the_default_group(neutron: Neutron) -> None:
    first, second = _group(neutron), _group(neutron)
    found = neutron.get(f"{GROUPS}?name=web")["security_groups"]
    assert {group["id"] for group in found} == {first["id"], second["id"]}
    for name in ("default", "Default"):
        answer = neutron.call("POST", GROUPS, {"security_group": {"name": name}})
        assert answer.status_code == 409
        assert answer.json["NeutronError"]["type"] == "SecurityGroupDefaultAlreadyExists"
        assert neutron.call("PUT", f"{GROUPS}/{first['id']}", {"security_group": {"name": name}}).status_code == 409


def test_a_group_is_renamed_and_deleted_but_not_the_default_one(neutron: Neutron) -> None:
    group = _group(neutron)
    change = {"security_group": {"name": "new", "description": "other"}}
    changed = neutron.call("PUT", f"{GROUPS}/{group['id']}", change).json["security_group"]
    assert (changed["name"], changed["description"]) == ("new", "other")
    assert changed["revision_number"] > group["revision_number"]
    assert neutron.call("DELETE", f"{GROUPS}/{group['id']}").status_code == 204
    assert neutron.call("GET", f"{GROUPS}/{group['id']}").status_code == 404
    assert neutron.call("DELETE", f"{GROUPS}/{group['id']}").status_code == 404
    default = neutron.get(f"{GROUPS}?name=default")["security_groups"][0]["id"]
    assert neutron.call("DELETE", f"{GROUPS}/{default}").status_code == 409
    assert neutron.call("PUT", f"{GROUPS}/{default}", {"security_group": {"name": "x"}}).status_code == 409
    assert neutron.call("PUT", f"{GROUPS}/{default}", {"security_group": {"description": "x"}}).status_code == 200


def test_a_group_in_use_stays(neutron: Neutron) -> None:
    group = _group(neutron)
    port = neutron.new("port", network_id=neutron.first, security_groups=[group["id"]])
    answer = neutron.call("DELETE", f"{GROUPS}/{group['id']}")
    assert (answer.status_code, answer.json["NeutronError"]["type"]) == (409, "SecurityGroupInUse")
    assert neutron.call("DELETE", f"/v2.0/ports/{port['id']}").status_code == 204
    assert neutron.call("DELETE", f"{GROUPS}/{group['id']}").status_code == 204


def test_groups_of_others_are_not_there(neutron: Neutron) -> None:
    group = _group(neutron)
    rule = group["security_group_rules"][0]
    for method, path in (("GET", f"{GROUPS}/{group['id']}"), ("DELETE", f"{GROUPS}/{group['id']}"),
                         ("GET", f"{RULES}/{rule['id']}"), ("DELETE", f"{RULES}/{rule['id']}")):  # fmt: skip
        assert neutron.call(method, path, who="other").status_code == 404
    asked = {"security_group_id": group["id"], "direction": "ingress"}
    assert neutron.call("POST", RULES, {"security_group_rule": asked}, who="other").status_code == 404
    assert group["id"] in [item["id"] for item in neutron.get(GROUPS, who="admin")["security_groups"]]


def test_readers_change_nothing(neutron: Neutron) -> None:
    group = _group(neutron)
    assert neutron.call("POST", GROUPS, {"security_group": {"name": "x"}}, who="reader").status_code == 403
    assert neutron.call("DELETE", f"{GROUPS}/{group['id']}", who="reader").status_code == 403
    asked = {"security_group_id": group["id"], "direction": "ingress"}
    assert neutron.call("POST", RULES, {"security_group_rule": asked}, who="reader").status_code == 403
    assert neutron.get(f"{GROUPS}/{group['id']}", who="reader")["security_group"]["id"] == group["id"]


def test_a_rule_comes_back_as_it_was_given(neutron: Neutron) -> None:
    group = _group(neutron)
    rule = _rule(neutron, group, protocol="TCP", port_range_min="22", port_range_max=23,
                 remote_ip_prefix="192.0.2.7/24", description="ssh")  # fmt: skip
    wanted = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 23, "remote_ip_prefix": "192.0.2.7/24",
              "normalized_cidr": "192.0.2.0/24", "ethertype": "IPv4", "direction": "ingress", "description": "ssh",
              "remote_group_id": None, "project_id": MINE, "security_group_id": group["id"]}  # fmt: skip
    assert rule | wanted == rule
    assert neutron.get(f"{RULES}/{rule['id']}")["security_group_rule"] == rule
    shown = neutron.get(f"{GROUPS}/{group['id']}")["security_group"]["security_group_rules"]
    assert rule["id"] in [item["id"] for item in shown]
    assert neutron.call("DELETE", f"{RULES}/{rule['id']}").status_code == 204
    assert neutron.call("DELETE", f"{RULES}/{rule['id']}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "protocol"),
    [(None, None), ("any", None), (6, "6"), ("6", "6"), ("udp", "udp"), (0, "0"), ("vrrp", "vrrp"), (255, "255")],
)
def test_protocols_are_names_and_numbers(neutron: Neutron, asked: Any, protocol: str | None) -> None:
    assert _rule(neutron, _group(neutron), protocol=asked)["protocol"] == protocol


def test_an_address_alone_is_a_range_of_one(neutron: Neutron) -> None:
    assert _rule(neutron, _group(neutron), remote_ip_prefix="192.0.2.7")["remote_ip_prefix"] == "192.0.2.7/32"


def test_icmp_has_type_and_code(neutron: Neutron) -> None:
    group = _group(neutron)
    assert _rule(neutron, group, protocol="icmp", port_range_min=8)["port_range_max"] is None
    assert _rule(neutron, group, protocol="icmp", port_range_min=3, port_range_max=0)["port_range_max"] == 0
    assert _rule(neutron, group, protocol="ipv6-icmp", ethertype="IPv6", port_range_min=128)["port_range_min"] == 128


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-16, 80, "Invalid value for port -16"),
        (80, 79, "port_range_min must be <= port_range_max"),
        (80, 65536, "Invalid value for port 65536"),
        (None, 6, "port_range_min must be <= port_range_max"),
        (0, 10, "Invalid value for port 0"),
    ],
)
def test_ports_that_are_none(neutron: Neutron, low: int | None, high: int, told: str) -> None:
    assert told in _refused(neutron, _group(neutron), protocol="tcp", port_range_min=low, port_range_max=high)


@pytest.mark.parametrize(
    ("type_", "code", "told"),
    [
        (1, 256, "Invalid value for ICMP code"),
        (-1, 25, "Invalid value"),
        (None, 6, "ICMP type (port-range-min) is missing"),
        (300, 1, "Invalid value for ICMP type"),
    ],
)
def test_icmp_that_is_none(neutron: Neutron, type_: int | None, code: int, told: str) -> None:
    assert told in _refused(neutron, _group(neutron), protocol="icmp", port_range_min=type_, port_range_max=code)


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": "pigs"},
        {"protocol": 256},
        {"protocol": "gre", "port_range_min": 1, "port_range_max": 2},
        {"port_range_min": 1, "port_range_max": 2},
        {"ethertype": "bad"},
        {"direction": "sideways"},
        {"remote_ip_prefix": "192.168.1./24"},
        {"remote_ip_prefix": "192.168.1.1/33"},
        {"remote_ip_prefix": "256"},
        {"remote_ip_prefix": "2001:db8::/32"},
        {"protocol": "ipv6-icmp"},
        {"port_range_min": "x"},
        {"security_group_id": "x"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(neutron: Neutron, fields: dict[str, Any]) -> None:
    group = _group(neutron)
    _refused(neutron, group, **fields)
    assert len(neutron.get(f"{GROUPS}/{group['id']}")["security_group"]["security_group_rules"]) == 2


def test_a_remote_group_must_be_there_and_the_only_remote(neutron: Neutron) -> None:
    group, other = _group(neutron), _group(neutron, "other")
    _refused(neutron, group, 404, remote_group_id=str(uuid4()))
    _refused(neutron, group, remote_group_id=other["id"], remote_ip_prefix="192.0.2.0/24")
    _rule(neutron, group, remote_group_id=other["id"])
    assert neutron.call("DELETE", f"{GROUPS}/{other['id']}").status_code == 204
    left = neutron.get(f"{GROUPS}/{group['id']}")["security_group"]["security_group_rules"]
    assert len(left) == 2, "a rule goes with the group it names"


def test_a_rule_is_there_once(neutron: Neutron) -> None:
    group = _group(neutron)
    rule = _rule(neutron, group, protocol="tcp", port_range_min=22, port_range_max=22)
    assert rule["id"] in _refused(neutron, group, 409, protocol="6", port_range_min=22, port_range_max=22)
    _rule(neutron, group, protocol="tcp", port_range_min=22, port_range_max=22, direction="egress")


def test_groups_and_rules_are_counted(neutron: Neutron) -> None:
    for number in range(9):
        _group(neutron, f"g{number}")
    answer = neutron.call("POST", GROUPS, {"security_group": {"name": "one too many"}})
    assert answer.status_code == 409
    assert "['security_group']" in answer.json["NeutronError"]["message"]


def test_a_group_may_be_stateless_while_nothing_is_in_it(neutron: Neutron) -> None:
    made = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "s", "stateful": False}})
    group = made.json["security_group"]
    assert (made.status_code, group["stateful"]) == (201, False)
    with neutron.database.read(internal()) as w:
        assert [spec.stateful for spec in security_groups.specs(w, [group["id"]])] == [False]
    path = f"/v2.0/security-groups/{group['id']}"
    assert neutron.call("PUT", path, {"security_group": {"stateful": True}}).json["security_group"]["stateful"] is True
    neutron.new("port", network_id=neutron.first, security_groups=[group["id"]])
    assert neutron.call("PUT", path, {"security_group": {"stateful": True, "name": "t"}}).status_code == 200
    answer = neutron.call("PUT", path, {"security_group": {"stateful": False}})
    assert (answer.status_code, "in use" in answer.text) == (409, True)


def test_thousands_of_rules_are_made_and_told_in_few_statements(neutron: Neutron) -> None:
    """A query for each of them would show."""
    project = {"quota": {"security_group_rule": -1}}
    assert neutron.call("PUT", f"/v2.0/quotas/{MINE}", project, who="admin").status_code == 200
    group = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "big"}}).json["security_group"]
    peer = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "peer"}}).json["security_group"]

    def statements(count: int, base: int) -> int:
        rules = [{"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": port,
                  "port_range_max": port, "remote_group_id": peer["id"]}
                 for port in range(base, base + count)]  # fmt: skip
        seen: list[str] = []

        def note(*given: Any) -> None:
            seen.append(given[2])

        sa.event.listen(neutron.database.engine, "before_cursor_execute", note)
        answer = neutron.call("POST", "/v2.0/security-group-rules", {"security_group_rules": rules})
        assert answer.status_code == 201, answer.text
        with neutron.database.read(internal()) as w:
            (spec,) = security_groups.specs(w, [group["id"]])
        sa.event.remove(neutron.database.engine, "before_cursor_execute", note)
        assert len(spec.rules) >= count
        return len(seen)

    few = statements(10, 1000)
    assert statements(400, 2000) <= few + 2
