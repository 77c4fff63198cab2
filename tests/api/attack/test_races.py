"""Many at once at the limit: quotas, addresses and names are never exceeded or given twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from tests.api.attack.conftest import server_body
from tests.api.conftest import Appliance, wait_for

C, N, I = "/compute/v2.1", "/network/v2.0", "/image/v2"  # noqa: E741


def at_once(number: int, what: Callable[[int], Any]) -> Counter[int]:
    """How often each status was answered."""
    start, statuses = threading.Barrier(number), []

    def run(index: int) -> None:
        start.wait(60)
        statuses.append(what(index).status_code)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return Counter(statuses)


def test_parallel_creates_stop_at_the_quota(fresh: Callable[..., Appliance]) -> None:
    appliance = fresh(quota__instances=5)
    image, _ = appliance.image(), appliance.token()
    told = at_once(16, lambda n: appliance.post(f"{C}/servers", server_body("1", image), version="2.90"))
    assert told == {202: 5, 403: 11}
    listed = appliance.get(f"{C}/servers").json["servers"]
    assert len(listed) == 5
    told = at_once(10, lambda n: appliance.call("DELETE", f"{C}/servers/{listed[n % 5]['id']}"))
    assert set(told) <= {204, 404}
    wait_for(lambda: not appliance.get(f"{C}/servers").json["servers"])
    left = [port["device_owner"] for port in appliance.get(f"{N}/ports").json["ports"]]
    assert sorted(left) == ["network:dhcp", "network:dhcp", "network:router_gateway", "network:router_interface"], (
        "those of the first start"
    )


def test_many_at_once_in_one_request_stop_at_the_quota_too(fresh: Callable[..., Appliance]) -> None:
    appliance = fresh(quota__instances=5)
    body = server_body("1", appliance.image(), min_count=2, max_count=3)
    told = at_once(6, lambda n: appliance.post(f"{C}/servers", body, version="2.90"))
    assert told[202] == 2
    assert len(appliance.get(f"{C}/servers").json["servers"]) == 5


def test_the_last_address_is_given_once(appliance: Appliance) -> None:
    net = appliance.post(f"{N}/networks", {"network": {"name": "tight"}}).json["network"]["id"]
    subnet = {"network_id": net, "cidr": "10.97.0.0/29", "ip_version": 4}
    assert appliance.post(f"{N}/subnets", {"subnet": subnet}).status_code == 201
    told = at_once(12, lambda n: appliance.post(f"{N}/ports", {"port": {"network_id": net}}))
    assert told == {201: 4, 409: 8}, "beside the network's own port"
    addresses = [
        port["fixed_ips"][0]["ip_address"] for port in appliance.get(f"{N}/ports?network_id={net}").json["ports"]
    ]
    assert len(set(addresses)) == 5


def test_one_address_asked_for_by_many_is_given_once(appliance: Appliance) -> None:
    net = appliance.get(f"{N}/networks?name=private").json["networks"][0]
    last = appliance.get(f"{N}/subnets/{net['subnets'][0]}").json["subnet"]["allocation_pools"][0]["end"]
    port = {"network_id": net["id"], "fixed_ips": [{"ip_address": str(IPv4Address(last) - 1)}]}
    assert at_once(8, lambda n: appliance.post(f"{N}/ports", {"port": port})) == {201: 1, 409: 7}


def test_names_are_taken_once(appliance: Appliance) -> None:
    key = {"keypair": {"name": "same"}}
    assert at_once(6, lambda n: appliance.post(f"{C}/os-keypairs", key))[200] == 1
    user = {"user": {"name": "same", "password": "a-long-passphrase"}}
    assert at_once(6, lambda n: appliance.post("/identity/v3/users", user))[201] == 1
    image = {"id": "11111111-2222-4333-8444-555555555555"}
    assert at_once(6, lambda n: appliance.post(f"{I}/images", image)) == {201: 1, 409: 5}


def test_one_of_several_uploads_is_taken(appliance: Appliance) -> None:
    body = {"disk_format": "raw", "container_format": "bare"}
    image = appliance.post(f"{I}/images", body).json["id"]

    def put(number: int) -> Any:
        data = bytes([number]) * (1 << 20)
        return appliance.call("PUT", f"{I}/images/{image}/file", data=data, content_type="application/octet-stream")

    assert at_once(6, put) == {204: 1, 409: 5}
    with appliance.get(f"{I}/images/{image}/file") as answer:
        assert len(set(answer.data)) == 1


def test_a_port_goes_to_one_server(appliance: Appliance, flavor: str) -> None:
    net = appliance.get(f"{N}/networks?name=private").json["networks"][0]["id"]
    port = appliance.post(f"{N}/ports", {"port": {"network_id": net}}).json["port"]["id"]
    body = server_body(flavor, appliance.image(), networks=[{"port": port}])
    told = at_once(5, lambda n: appliance.post(f"{C}/servers", body, version="2.90"))
    assert told[202] == 1
    assert set(told) <= {202, 400, 409}


def test_key_and_image_may_go_while_a_server_boots_from_them(fresh: Callable[..., Appliance]) -> None:
    appliance = fresh()
    image = appliance.image()
    appliance.post(f"{C}/os-keypairs", {"keypair": {"name": "k"}})
    gate = appliance.driver.hold("ensure_guest")
    made = appliance.post(f"{C}/servers", server_body("1", image, key_name="k"), version="2.90").json["server"]["id"]
    assert appliance.call("DELETE", f"{C}/os-keypairs/k").status_code == 202
    assert appliance.call("DELETE", f"{I}/images/{image}").status_code == 204
    gate.set()
    status = wait_for(
        lambda: (found := appliance.get(f"{C}/servers/{made}").json["server"])["status"] != "BUILD" and found, 30
    )
    assert status["status"] in ("ACTIVE", "ERROR")
    if status["status"] == "ERROR":
        assert "missing" in status["fault"]["message"]
    assert appliance.call("DELETE", f"{C}/servers/{made}").status_code == 204
    wait_for(lambda: appliance.get(f"{C}/servers/{made}").status_code == 404)


def test_an_image_may_go_while_it_is_uploaded(appliance: Appliance) -> None:
    body = {"disk_format": "raw", "container_format": "bare"}
    for _ in range(5):
        image = appliance.post(f"{I}/images", body).json["id"]

        def act(number: int, image: str = image) -> Any:
            if number:
                return appliance.call("DELETE", f"{I}/images/{image}")
            data = b"x" * (8 << 20)
            return appliance.call("PUT", f"{I}/images/{image}/file", data=data, content_type="application/octet-stream")

        told = at_once(2, act)
        assert set(told) <= {204, 404, 410}, told
        assert image not in appliance.built.store.ids()
