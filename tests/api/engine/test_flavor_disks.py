"""What a flavor promises beside the root disk reaches the host, in its size and ready to be used."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Appliance, wait_for


def test_swap_and_ephemeral_disks_are_formatted_and_as_large_as_the_flavor_says(appliance: Appliance) -> None:
    flavor = {"name": "roomy", "vcpus": 1, "ram": 256, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": 2, "swap": 300}
    flavor_id = appliance.post("/compute/v2.1/flavors", {"flavor": flavor}).json["flavor"]["id"]
    body = {"server": {"name": "roomy", "flavorRef": flavor_id, "imageRef": appliance.image()}}
    server_id = appliance.post("/compute/v2.1/servers", body).json["server"]["id"]

    def active() -> Any:
        return appliance.get(f"/compute/v2.1/servers/{server_id}").json["server"]["status"] == "ACTIVE"

    wait_for(active)
    root, ephemeral, swap = appliance.driver._known("test", server_id).spec.disks
    assert (root.name, root.size_gib) == ("root", 1)
    assert (ephemeral.device, ephemeral.size_gib, ephemeral.content) == ("vdb", 2, "ext4")
    assert (swap.device, swap.size_mib, swap.content) == ("vdc", 300, "swap")
