"""Subnet pools and address scopes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from novalite.cloud.network import subnet_pools
from novalite.cloud.network.records import Subnet
from novalite.errors import Conflict, Invalid
from tests.api.network.conftest import MINE, WHO, Neutron

POOLS, SCOPES = "/v2.0/subnetpools", "/v2.0/address-scopes"


def _pool(neutron: Neutron, *, who: str = "member", **fields: Any) -> dict[str, Any]:
    return neutron.new("subnetpool", who=who, **{"name": "p", "prefixes": ["10.50.0.0/16"], **fields})


def _allocate(neutron: Neutron, pool_id: str, **asked: Any) -> str:
    """As a subnet does, which stays."""
    with neutron.database.write(WHO["member"]) as w:
        cidr = subnet_pools.allocate(w, pool_id, project_id=MINE, **asked)
        w.session.add(_subnet(w, neutron.first, pool_id, cidr))
    return cidr


def _subnet(w: Any, network_id: str, pool_id: str, cidr: str) -> Subnet:
    more = {"pool_first": 0, "pool_last": 0, "gateway_ip": ""} if hasattr(Subnet, "pool_first") else {}
    return Subnet(network_id=network_id, project_id=MINE, cidr=cidr, subnetpool_id=pool_id, created_at=w.now,
                  updated_at=w.now, **more)  # fmt: skip


def test_a_pool_is_made_shown_changed_and_deleted(neutron: Neutron) -> None:
    made = _pool(neutron, prefixes=["10.50.0.0/17", "10.50.128.0/17"], default_prefixlen="24", tags=["t"])
    assert made["prefixes"] == ["10.50.0.0/16"], "what lies side by side is one"
    assert (made["ip_version"], made["default_prefixlen"], made["min_prefixlen"], made["max_prefixlen"]) == (
        4, 24, 8, 32,
    )  # fmt: skip
    assert (made["shared"], made["is_default"], made["default_quota"], made["tags"]) == (False, False, None, ["t"])
    path = f"{POOLS}/{made['id']}"
    change = {"name": "new", "prefixes": ["10.50.0.0/16", "10.60.0.0/16"], "max_prefixlen": 28, "default_quota": 1024}
    changed = neutron.call("PUT", path, {"subnetpool": change}).json["subnetpool"]
    assert changed | change == changed
    fewer = neutron.call("PUT", path, {"subnetpool": {"prefixes": ["10.60.0.0/16"]}})
    assert (fewer.status_code, "must be a subset" in fewer.text) == (400, True)
    assert neutron.call("DELETE", path).status_code == 204
    assert neutron.call("GET", path).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"prefixes": []},
        {"prefixes": ["x"]},
        {"prefixes": ["10.0.0.1/8"]},
        {"prefixes": ["10.0.0.0/8", "2001:db8::/32"]},
        {"min_prefixlen": 24, "max_prefixlen": 20},
        {"default_prefixlen": 33},
        {"default_prefixlen": 6},
        {"default_quota": -1},
        {"address_scope_id": "x"},
    ],
)
def test_a_pool_that_cannot_be_is_refused(neutron: Neutron, fields: dict[str, Any]) -> None:
    asked = {"name": "p", "prefixes": ["10.0.0.0/8"], **fields}
    assert neutron.call("POST", POOLS, {"subnetpool": asked}).status_code == 400
    assert neutron.get(POOLS)["subnetpools"] == []


def test_ranges_are_given_without_gaps_and_overlaps(neutron: Neutron) -> None:
    pool = _pool(neutron, default_prefixlen=24)["id"]
    assert _allocate(neutron, pool) == "10.50.0.0/24"
    assert _allocate(neutron, pool, cidr="10.50.2.0/24") == "10.50.2.0/24"
    assert _allocate(neutron, pool) == "10.50.1.0/24"
    assert _allocate(neutron, pool, prefixlen=23) == "10.50.4.0/23"
    assert _allocate(neutron, pool) == "10.50.3.0/24"
    for asked in ({"cidr": "10.50.4.0/24"}, {"cidr": "10.51.0.0/24"}, {"prefixlen": 16}, {"cidr": "2001:db8::/64"}):
        with pytest.raises((Conflict, Invalid)):
            _allocate(neutron, pool, **asked)
    assert neutron.call("DELETE", f"{POOLS}/{pool}").status_code == 400, "subnets are of it"


def test_ipv6_pools_and_what_they_have_left(neutron: Neutron) -> None:
    pool = _pool(neutron, prefixes=["2001:db8::/63"], default_prefixlen=64)
    assert (pool["ip_version"], pool["min_prefixlen"], pool["max_prefixlen"]) == (6, 64, 128)
    assert _allocate(neutron, pool["id"]) == "2001:db8::/64"
    assert _allocate(neutron, pool["id"]) == "2001:db8:0:1::/64"
    with pytest.raises(Conflict, match="Insufficient prefix space"):
        _allocate(neutron, pool["id"])
    with pytest.raises(Invalid, match="minimum allowed prefix is 64"):
        _allocate(neutron, pool["id"], prefixlen=60)


def test_each_project_has_its_share(neutron: Neutron) -> None:
    pool = _pool(neutron, default_prefixlen=24, default_quota=300)["id"]
    _allocate(neutron, pool)
    with pytest.raises(Conflict, match="quota"):
        _allocate(neutron, pool)
    assert _allocate(neutron, pool, prefixlen=27)


def test_there_is_one_default_of_each_version_and_administrators_make_it(neutron: Neutron) -> None:
    for fields in ({"is_default": True}, {"shared": True}):
        asked = {"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/8"], **fields}}
        assert neutron.call("POST", POOLS, asked).status_code == 403
    _pool(neutron, who="admin", is_default=True, shared=True)
    second = {"subnetpool": {"name": "q", "prefixes": ["10.60.0.0/16"], "is_default": True}}
    assert neutron.call("POST", POOLS, second, who="admin").status_code == 400
    _pool(neutron, who="admin", is_default=True, prefixes=["2001:db8::/48"])
    (seen,) = neutron.get(POOLS, who="other")["subnetpools"]
    assert (seen["shared"], seen["is_default"]) == (True, True)
    path = f"{POOLS}/{seen['id']}"
    assert neutron.call("PUT", path, {"subnetpool": {"name": "x"}}, who="other").status_code == 403


def test_pools_of_a_scope_do_not_overlap(neutron: Neutron) -> None:
    answer = neutron.call("POST", SCOPES, {"address_scope": {"name": "s", "ip_version": 4}})
    assert answer.status_code == 201, answer.text
    scope = answer.json["address_scope"]
    assert (scope["ip_version"], scope["shared"], scope["project_id"]) == (4, False, MINE)
    _pool(neutron, address_scope_id=scope["id"])
    for fields, status in (
        ({"prefixes": ["10.50.3.0/24"]}, 409), ({"prefixes": ["2001:db8::/48"]}, 400),
        ({"address_scope_id": str(uuid4())}, 404),
    ):  # fmt: skip
        asked = {"name": "q", "prefixes": ["10.60.0.0/16"], "address_scope_id": scope["id"], **fields}
        assert neutron.call("POST", POOLS, {"subnetpool": asked}).status_code == status
    other = _pool(neutron, name="free")
    move = neutron.call("PUT", f"{POOLS}/{other['id']}", {"subnetpool": {"address_scope_id": scope["id"]}})
    assert (move.status_code, "unique prefixes" in move.text) == (409, True)
    path = f"{SCOPES}/{scope['id']}"
    assert neutron.call("DELETE", path).status_code == 409
    assert neutron.call("GET", path, who="other").status_code == 404
    assert neutron.call("PUT", path, {"address_scope": {"shared": True}}).status_code == 403
    assert neutron.call("PUT", path, {"address_scope": {"shared": True}}, who="admin").status_code == 200
    assert neutron.get(path, who="other")["address_scope"]["shared"] is True
    assert neutron.call("PUT", path, {"address_scope": {"shared": False}}, who="admin").status_code == 409
    assert neutron.call("PUT", path, {"address_scope": {"name": "x"}}).json["address_scope"]["name"] == "x"
    for pool in neutron.get(POOLS)["subnetpools"]:
        assert neutron.call("DELETE", f"{POOLS}/{pool['id']}").status_code == 204
    assert neutron.call("DELETE", path).status_code == 204


def _on(neutron: Neutron, network: dict[str, Any], *, who: str = "member", **fields: Any) -> Any:
    return neutron.call("POST", "/v2.0/subnets", {"subnet": {"network_id": network["id"], **fields}}, who=who)


def test_subnets_are_made_of_pools(neutron: Neutron) -> None:
    pool, other = _pool(neutron, default_prefixlen=24), _pool(neutron, prefixes=["10.60.0.0/16"])
    network = neutron.new("network", name="n")
    made = _on(neutron, network, subnetpool_id=pool["id"], tags=["t"])
    assert made.status_code == 201, made.text
    subnet = made.json["subnet"]
    assert (subnet["cidr"], subnet["subnetpool_id"], subnet["gateway_ip"], subnet["tags"]) == (
        "10.50.0.0/24", pool["id"], "10.50.0.1", ["t"],
    )  # fmt: skip
    assert _on(neutron, network, subnetpool_id=pool["id"], prefixlen=26).json["subnet"]["cidr"] == "10.50.1.0/26"
    assert _on(neutron, network, subnetpool_id=pool["id"], cidr="10.50.9.0/24").status_code == 201
    refused: tuple[tuple[dict[str, Any], int], ...] = (
        ({"subnetpool_id": other["id"]}, 400),
        ({"cidr": "10.2.0.0/24"}, 400),
        ({"subnetpool_id": pool["id"], "cidr": "10.50.9.0/25"}, 409),
        ({"subnetpool_id": pool["id"], "cidr": "10.50.10.0/24", "prefixlen": 24}, 400),
        ({"subnetpool_id": pool["id"], "ip_version": 6}, 400),
        ({"subnetpool_id": str(uuid4())}, 404),
        ({"use_default_subnetpool": True}, 400),
        ({}, 400),
    )
    for fields, status in refused:
        assert _on(neutron, network, **fields).status_code == status, fields
    assert neutron.call("DELETE", f"/v2.0/subnets/{subnet['id']}").status_code == 204
    assert _on(neutron, network, subnetpool_id=pool["id"]).json["subnet"]["cidr"] == "10.50.0.0/24", "free again"


def test_the_default_pool_is_taken_when_asked_for(neutron: Neutron) -> None:
    answer = neutron.call("POST", SCOPES, {"address_scope": {"name": "s", "ip_version": 4}}, who="admin")
    scope = answer.json["address_scope"]["id"]
    _pool(neutron, who="admin", is_default=True, shared=True, default_prefixlen=24, address_scope_id=scope)
    network = neutron.new("network", name="n", who="other")
    made = _on(neutron, network, who="other", use_default_subnetpool=True, ip_version=4)
    assert made.json["subnet"]["cidr"] == "10.50.0.0/24"
    shown = neutron.get(f"/v2.0/networks/{network['id']}", who="other")["network"]
    assert (shown["ipv4_address_scope"], shown["ipv6_address_scope"]) == (scope, None)


def test_prefixes_are_added_and_removed(neutron: Neutron) -> None:
    pool = _pool(neutron, default_prefixlen=24)["id"]
    assert _allocate(neutron, pool) == "10.50.0.0/24"
    path = f"{POOLS}/{pool}"
    more = neutron.call("PUT", f"{path}/add_prefixes", {"prefixes": ["10.60.0.0/16"]})
    assert more.json == {"prefixes": ["10.50.0.0/16", "10.60.0.0/16"]}
    less = neutron.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.60.128.0/17"]})
    assert less.json == {"prefixes": ["10.50.0.0/16", "10.60.0.0/17"]}
    assert neutron.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.50.0.0/20"]}).status_code == 409
    assert neutron.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.70.0.0/16"]}).status_code == 400
