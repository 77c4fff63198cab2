"""Host aggregates: groups of hosts, their metadata, and the availability zone they give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from novalite.cloud.hosts import aggregates, hosts
from novalite.context import internal
from novalite.engine.conductor.placement import _view
from novalite.engine.scheduler.snapshot import Request

from .conftest import Cloud

ALL = "/os-aggregates"


@pytest.fixture
def host(admin: Cloud) -> str:
    return str(admin.get("/os-services").json["services"][0]["host"])


@pytest.fixture
def made(admin: Cloud) -> Iterator[Any]:
    """Makes aggregates that are gone afterwards."""
    numbers: list[int] = []

    def make(name: str, zone: str | None = None) -> int:
        values = {"name": name, **({"availability_zone": zone} if zone else {})}
        answer = admin.call("POST", ALL, {"aggregate": values})
        assert answer.status_code == 200, answer.text
        numbers.append(answer.json["aggregate"]["id"])
        return numbers[-1]

    yield make
    for number in numbers:
        for name in admin.get(f"{ALL}/{number}").json.get("aggregate", {}).get("hosts", []):
            _act(admin, number, "remove_host", host=name)
        admin.call("DELETE", f"{ALL}/{number}")
    assert admin.get(ALL).json == {"aggregates": []}


def _act(cloud: Cloud, number: int, action: str, **values: Any) -> Any:
    return cloud.call("POST", f"{ALL}/{number}/action", {action: values})


def _zone_of(admin: Cloud, host: str) -> Any:
    (service,) = admin.get(f"/os-services?binary=nova-compute&host={host}").json["services"]
    return service["zone"]


def test_an_aggregates_life(admin: Cloud, made: Any, host: str) -> None:
    number = made("fast", "mars")
    bare = admin.call("POST", ALL, {"aggregate": {"name": "other"}}, "2.40").json["aggregate"]
    assert not {"hosts", "metadata", "uuid"} & set(bare)
    assert (bare["availability_zone"], bare["deleted"], bare["deleted_at"]) == (None, False, None)
    assert admin.call("DELETE", f"{ALL}/{bare['id']}").status_code == 200
    assert admin.get(f"{ALL}/{bare['id']}").status_code == 404
    shown = admin.get(f"{ALL}/{number}").json["aggregate"]
    assert (shown["hosts"], shown["metadata"]) == ([], {"availability_zone": "mars"})
    assert len(shown["uuid"]) == 36
    assert "uuid" not in admin.get(f"{ALL}/{number}", "2.40").json["aggregate"]
    assert _act(admin, number, "add_host", host=host).json["aggregate"]["hosts"] == [host]
    assert _act(admin, number, "add_host", host=host).status_code == 409
    assert admin.call("DELETE", f"{ALL}/{number}").status_code == 400
    assert [one["hosts"] for one in admin.get(ALL).json["aggregates"]] == [[host]]
    assert _act(admin, number, "remove_host", host=host).json["aggregate"]["hosts"] == []
    assert _act(admin, number, "remove_host", host=host).status_code == 404


def test_metadata_is_merged(admin: Cloud, made: Any) -> None:
    number = made("meta")
    answer = _act(admin, number, "set_metadata", metadata={"ssd": "true", "rack": "1"})
    assert answer.json["aggregate"]["metadata"] == {"ssd": "true", "rack": "1"}
    answer = _act(admin, number, "set_metadata", metadata={"ssd": None, "rack": "2"})
    assert answer.json["aggregate"]["metadata"] == {"rack": "2"}
    zoned = _act(admin, number, "set_metadata", metadata={"availability_zone": "z"}).json["aggregate"]
    assert zoned["availability_zone"] == "z"
    assert _act(admin, number, "set_metadata", metadata={"availability_zone": None}).status_code == 400


def test_a_host_is_in_the_zone_of_its_aggregate(admin: Cloud, made: Any, host: str) -> None:
    number = made("zoned", "mars")
    assert _zone_of(admin, host) == "nova"
    assert _act(admin, number, "add_host", host=host).status_code == 200
    assert _zone_of(admin, host) == "mars"
    assert [zone["zoneName"] for zone in admin.get("/os-availability-zone").json["availabilityZoneInfo"]] == ["mars"]
    moved = {"aggregate": {"name": " venus ", "availability_zone": "venus"}}
    shown = admin.call("PUT", f"{ALL}/{number}", moved).json["aggregate"]
    assert (shown["name"], shown["availability_zone"]) == ("venus", "venus")
    assert _zone_of(admin, host) == "venus"
    assert _act(admin, made("elsewhere", "mars"), "add_host", host=host).status_code == 409
    free = made("free")
    assert _act(admin, free, "add_host", host=host).status_code == 200
    pulled = {"aggregate": {"availability_zone": "mars"}}
    assert admin.call("PUT", f"{ALL}/{free}", pulled).status_code == 400
    assert _act(admin, number, "remove_host", host=host).status_code == 200
    assert _zone_of(admin, host) == "nova"


def test_the_zone_survives_a_restart(admin: Cloud, made: Any, host: str) -> None:
    number = made("kept", "mars")
    _act(admin, number, "add_host", host=host)
    with admin.appliance.built.database.write(internal()) as w:
        hosts.register(w, host, zone="nova", ratios=hosts.Ratios())
    assert _zone_of(admin, host) == "mars"


def test_zones_do_not_change_below_servers(admin: Cloud, member: Cloud, made: Any, host: str) -> None:
    number = made("kept", "mars")
    free = member.boot("free")
    assert _act(admin, number, "add_host", host=host).status_code == 200
    assert member.server(free)["OS-EXT-AZ:availability_zone"] == "mars"
    moved = admin.call("PUT", f"{ALL}/{number}", {"aggregate": {"availability_zone": "venus"}})
    assert (moved.status_code, "contain instances" in moved.json["badRequest"]["message"]) == (400, True)
    pinned = member.boot("pinned", availability_zone="mars")
    assert _act(admin, number, "remove_host", host=host).status_code == 409
    assert _zone_of(admin, host) == "mars"
    member.gone(pinned)
    assert _act(admin, number, "remove_host", host=host).status_code == 200
    assert member.server(free)["OS-EXT-AZ:availability_zone"] == "nova"
    member.gone(free)


def test_the_scheduler_sees_the_metadata(admin: Cloud, made: Any, host: str) -> None:
    number = made("seen")
    _act(admin, number, "add_host", host=host)
    _act(admin, number, "set_metadata", metadata={"ssd": "true"})
    built = admin.appliance.built
    with built.database.read(internal()) as w:
        found, one = aggregates.metadata_of_hosts(w), hosts.by_name(w, host)
        asked = Request(server_id="any")
        assert _view(one, w, built.settings, found[one.id], asked).aggregates_metadata == ({"ssd": "true"},)


BAD: list[tuple[str, str, Any]] = [
    ("POST", ALL, {"aggregate": {}}),
    ("POST", ALL, {"aggregate": {"name": ""}}),
    ("POST", ALL, {"aggregate": {"name": " blank "}}),
    ("POST", ALL, {"aggregate": {"name": "x" * 256}}),
    ("POST", ALL, {"aggregate": {"name": "a", "availability_zone": ""}}),
    ("POST", ALL, {"aggregate": {"name": "a", "availability_zone": "a:b"}}),
    ("POST", ALL, {"aggregate": {"name": "a", "hosts": []}}),
    ("POST", ALL, {"aggregate": {"name": "a"}, "more": 1}),
    ("PUT", f"{ALL}/1", {"aggregate": {}}),
    ("PUT", f"{ALL}/1", {"aggregate": {"name": None}}),
    ("POST", f"{ALL}/1/action", {"add_host": {}}),
    ("POST", f"{ALL}/1/action", {"add_host": {"host": "a b"}}),
    ("POST", f"{ALL}/1/action", {"remove_host": {"host": 1}}),
    ("POST", f"{ALL}/1/action", {"set_metadata": {"metadata": {"k": 1}}}),
    ("POST", f"{ALL}/1/action", {"set_metadata": {"metadata": {"k" * 256: "v"}}}),
    ("POST", f"{ALL}/1/action", {"set_metadata": {"metadata": {"k": "v" * 256}}}),
    ("POST", f"{ALL}/1/action", {"explode": {}}),
    ("GET", f"{ALL}/none", None),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD)
def test_bad_aggregates_are_refused(admin: Cloud, method: str, path: str, body: Any) -> None:
    answer = admin.call(method, path, body)
    assert (answer.status_code, list(answer.json)) == (400, ["badRequest"])
    assert admin.get(ALL).json == {"aggregates": []}


def test_what_is_not_there(admin: Cloud, made: Any) -> None:
    number = made("lonely")
    assert admin.call("POST", ALL, {"aggregate": {"name": "lonely"}}).status_code == 409
    assert _act(admin, number, "add_host", host="nowhere").status_code == 404
    for missing in (10**9, 10**15):
        assert admin.get(f"{ALL}/{missing}").status_code == 404
        assert admin.call("DELETE", f"{ALL}/{missing}").status_code == 404
        assert _act(admin, missing, "add_host", host="x").status_code == 404
        assert _act(admin, missing, "set_metadata", metadata={}).status_code == 404
        assert admin.call("PUT", f"{ALL}/{missing}", {"aggregate": {"name": "n"}}).status_code == 404


OPERATIONS: list[tuple[str, str, Any]] = [
    ("GET", ALL, None), ("GET", f"{ALL}/1", None), ("POST", ALL, {"aggregate": {"name": "n"}}),
    ("PUT", f"{ALL}/1", {"aggregate": {"name": "n"}}), ("DELETE", f"{ALL}/1", None),
    ("POST", f"{ALL}/1/action", {"add_host": {"host": "h"}}),
    ("POST", f"{ALL}/1/action", {"remove_host": {"host": "h"}}),
    ("POST", f"{ALL}/1/action", {"set_metadata": {"metadata": {}}}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), OPERATIONS)
def test_aggregates_are_for_admins(member: Cloud, reader: Cloud, method: str, path: str, body: Any) -> None:
    for cloud in (member, reader):
        assert cloud.call(method, path, body).status_code == 403
