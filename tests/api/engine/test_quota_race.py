"""Fifty at once against a quota with room for twenty: it is used up, and never exceeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.api.engine.conftest import House, V

C = "/compute/v2.1"


def _used(house: House) -> tuple[int, int]:
    """(instances, cores) that the quota says are used."""
    absolute = house.appliance.get(f"{C}/limits", version=V).json["limits"]["absolute"]
    return absolute["totalInstancesUsed"], absolute["totalCoresUsed"]


def test_fifty_servers_where_twenty_are_allowed(build: Callable[..., House]) -> None:
    house = build(quota__instances=20, quota__cores=-1, quota__ram_mib=-1)
    image_id = house.appliance.image()
    house.appliance.token()

    def ask(number: int) -> int:
        body = {"name": f"s{number}", "imageRef": image_id, "flavorRef": "1", "networks": "none"}
        return int(house.appliance.post(f"{C}/servers", {"server": body}, version=V).status_code)

    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(ask, range(50)))
    assert answers == {202: 20, 403: 30}
    assert _used(house) == (20, 20)
    house.idle()
    listed = house.appliance.get(f"{C}/servers/detail", version=V).json["servers"]
    assert [server["status"] for server in listed] == ["ACTIVE"] * 20


def test_many_resizes_where_few_are_allowed(build: Callable[..., House]) -> None:
    """From one core to two each: what was admitted counts at once, long before the servers have it."""
    house = build(quota__instances=-1, quota__cores=20, quota__ram_mib=-1)
    servers = [house.ask(f"s{number}", networks="none") for number in range(15)]
    house.idle()
    gate = house.driver.hold("keep_disks")

    def resize(server_id: str) -> int:
        return house.act(server_id, "resize", {"flavorRef": "3"})

    with ThreadPoolExecutor(15) as pool:
        answers = Counter(pool.map(resize, servers))
    assert answers == {202: 5, 403: 10}
    assert _used(house) == (15, 20)
    gate.set()
    house.idle()
    listed = house.appliance.get(f"{C}/servers/detail", version=V).json["servers"]
    assert Counter(server["status"] for server in listed) == {"VERIFY_RESIZE": 5, "ACTIVE": 10}
    assert sum(server["flavor"]["vcpus"] for server in listed) == 20
    assert _used(house) == (15, 20)
    assert house.findings() == []
