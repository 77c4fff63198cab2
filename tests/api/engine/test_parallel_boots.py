"""Fifty at once on a host with room for twenty: exactly twenty fit, and the others are told why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.api.engine.conftest import House

ROOMY = {"quota__instances": -1, "quota__cores": -1, "quota__ram_mib": -1}


def _boot_all(house: House, number: int) -> dict[str, list[dict[str, object]]]:
    """Servers by status, once nothing goes on any more."""
    house.ask("warm-up")  # so that the image is there
    house.idle()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda n: house.ask(f"s{n}"), range(number - 1)))
    house.idle()
    listed = house.appliance.get("/compute/v2.1/servers/detail", version="2.95").json["servers"]
    assert len(listed) == number
    by_status: dict[str, list[dict[str, object]]] = {}
    for server in listed:
        by_status.setdefault(server["status"], []).append(server)
    return by_status


def test_fifty_boots_on_a_host_with_room_for_twenty(build: Callable[..., House]) -> None:
    house = build(compute__fake_memory_mib=20 * 256 + 512, **ROOMY)  # 512 MiB are the host's own
    servers = _boot_all(house, 50)
    assert {status: len(found) for status, found in servers.items()} == {"ACTIVE": 20, "ERROR": 30}
    assert set(house.claims().values()) == {(20, 20 * 256)}
    assert len(house.guests()) == 20
    assert set(house.guests()) == {server["id"] for server in servers["ACTIVE"]}
    for server in servers["ERROR"]:
        fault = server["fault"]
        assert isinstance(fault, dict)
        assert fault["code"] == 500
        assert "No valid host was found" in fault["message"]
        assert "ram removed 1 of 1" in fault["message"].lower()
        assert server["OS-EXT-SRV-ATTR:host"] is None
    assert house.findings() == []


def test_room_that_comes_free_is_given_again_and_those_in_error_go_without_a_trace(
    build: Callable[..., House],
) -> None:
    house = build(compute__fake_memory_mib=2 * 256 + 512, **ROOMY)
    servers = _boot_all(house, 4)
    for found in servers.values():
        for server in found:
            assert house.delete(str(server["id"])) == 204
    house.assert_empty()
    house.boot("again")


def test_fifty_boots_on_two_hosts_fill_both_to_the_brim(build: Callable[..., House]) -> None:
    house = build(compute__fake_memory_mib=10 * 256 + 512, compute__fake_hosts=2, **ROOMY)
    servers = _boot_all(house, 50)
    assert {status: len(found) for status, found in servers.items()} == {"ACTIVE": 20, "ERROR": 30}
    assert list(house.claims().values()) == [(10, 2560), (10, 2560)]
    assert set(Counter(str(server["OS-EXT-SRV-ATTR:host"]) for server in servers["ACTIVE"]).values()) == {10}
    assert "of 2" in str(servers["ERROR"][0]["fault"])
