"""Tags, and revision numbers that guard changes."""

from __future__ import annotations

from typing import Any

import pytest

from novalite.cloud.network import tags
from tests.api.network.conftest import Neutron


def _objects(neutron: Neutron) -> dict[str, str]:
    """One of each kind that has tags: its path."""
    network = neutron.new("network", name="n")
    group = neutron.call("POST", "/v2.0/security-groups", {"security_group": {"name": "g"}}).json["security_group"]
    public = neutron.new("network", name="public", **{"router:external": True}, who="admin")
    subnet = neutron.new("subnet", network_id=network["id"], cidr="10.2.0.0/24")
    neutron.new("subnet", network_id=public["id"], cidr="10.9.0.0/24", who="admin")
    policy = neutron.call("POST", "/v2.0/qos/policies", {"policy": {"name": "q"}}, who="admin").json["policy"]
    made = {
        "networks": network,
        "subnets": subnet,
        "ports": neutron.new("port", network_id=network["id"]),
        "routers": neutron.new("router", name="r"),
        "floatingips": neutron.new("floatingip", floating_network_id=public["id"]),
        "security-groups": group,
        "security-group-rules": group["security_group_rules"][0],
        "subnetpools": neutron.new("subnetpool", name="p", prefixes=["10.50.0.0/16"]),
        "qos/policies": policy,
    }
    return {kind: f"/v2.0/{kind}/{item['id']}" for kind, item in made.items()}


def test_everything_taggable_has_tags(neutron: Neutron) -> None:
    objects = _objects(neutron)
    assert len(objects) == len(tags.KINDS)
    for path in objects.values():
        who = "admin" if "qos" in path else "member"
        put = neutron.call("PUT", f"{path}/tags", {"tags": ["red", "blue"]}, who=who)
        assert (put.status_code, put.json) == (200, {"tags": ["red", "blue"]}), path
        assert neutron.call("PUT", f"{path}/tags/green", who=who).status_code == 201
        assert neutron.call("POST", f"{path}/tags", {"tags": ["x", "red"]}, who=who).status_code == 201
        assert neutron.call("GET", f"{path}/tags/green", who=who).status_code == 204
        assert neutron.call("DELETE", f"{path}/tags/red", who=who).status_code == 204
        assert neutron.call("GET", f"{path}/tags/red", who=who).status_code == 404
        assert neutron.call("DELETE", f"{path}/tags/red", who=who).status_code == 404
        assert neutron.get(f"{path}/tags", who=who)["tags"] == ["blue", "green", "x"]
        (shown,) = neutron.get(path, who=who).values()
        assert shown["tags"] == ["blue", "green", "x"]
        assert neutron.call("PUT", f"{path}/tags/a", who="reader").status_code == 403
        assert neutron.call("DELETE", f"{path}/tags", who=who).status_code == 204
        assert neutron.get(f"{path}/tags", who=who)["tags"] == []


@pytest.mark.parametrize("wanted", [["a,b"], [""], ["a" * 256], [str(n) for n in range(51)], "red", [1]])
def test_what_is_no_tag_is_refused(neutron: Neutron, wanted: Any) -> None:
    path = f"/v2.0/networks/{neutron.new('network', name='n')['id']}/tags"
    answer = neutron.call("PUT", path, {"tags": wanted})
    assert (answer.status_code, "tags" in answer.text) == (400, True)
    assert neutron.get(path)["tags"] == []


def test_others_tags_are_not_there(neutron: Neutron) -> None:
    path = f"/v2.0/networks/{neutron.new('network', name='n')['id']}/tags"
    for method, body in (("GET", None), ("PUT", {"tags": []}), ("DELETE", None)):
        assert neutron.call(method, path, body, who="other").status_code == 404


def test_lists_are_filtered_by_tags_given_at_creation(neutron: Neutron) -> None:
    for name, given in (("a", ["red"]), ("b", ["red", "blue"]), ("c", [])):
        neutron.new("router", name=name, tags=given)
    for query, names in (
        ("tags=red", "ab"), ("tags=red,blue", "b"), ("tags-any=red,green", "ab"), ("tags-any=green", ""),
        ("not-tags=red,blue", "ac"), ("not-tags-any=blue,red", "c"), ("tags=red&not-tags=blue", "a"),
    ):  # fmt: skip
        assert "".join(neutron.names("routers", f"{query}&sort_key=name")) == names, query


def test_a_change_asks_for_the_revision_it_saw(neutron: Neutron) -> None:
    objects = _objects(neutron)
    for kind, path in objects.items():
        if kind == "security-group-rules":
            continue
        who = "admin" if "qos" in path else "member"
        ((key, shown),) = neutron.get(path, who=who).items()
        good, bad = ({"If-Match": f"revision_number={shown['revision_number'] + more}"} for more in (0, 1))
        body = {key: {"description": "seen"}}
        refused = neutron.call("PUT", path, body, who=who, headers=bad)
        assert refused.status_code == 412, (kind, refused.text)
        assert "current revision is" in refused.json["NeutronError"]["message"]
        assert neutron.call("DELETE", path, who=who, headers=bad).status_code == 412, kind
        assert neutron.call("PUT", path, body, who=who, headers=good).status_code == 200, kind
        assert neutron.call("PUT", path, body, who=who, headers=good).status_code == 412, kind
        assert neutron.call("PUT", path, body, who=who, headers={"If-Match": "revision_number=x"}).status_code == 400
