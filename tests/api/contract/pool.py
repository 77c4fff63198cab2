"""Things that are there, whose ids are put into requests that would otherwise name nothing."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.api.contract.world import World


@dataclass
class Pool:
    """``ids`` by the names of parameters and of properties that take them; ``seen`` counts statuses."""

    world: World
    tokens: dict[str, str]
    ids: dict[str, list[str]] = field(default_factory=dict)
    seen: Counter[int] = field(default_factory=Counter)

    def salt(self, case: Any, draw: random.Random) -> None:
        """Let most requests be about something that is there."""
        for name in case.path_parameters or {}:
            if self._wanted(case, name) and draw.random() < 0.7:
                case.path_parameters[name] = draw.choice(self._wanted(case, name))
        if isinstance(case.body, dict):
            self._salt_body(case.body, draw)

    def _wanted(self, case: Any, name: str) -> list[str]:
        noun = case.operation.path.split("/")[2] if case.operation.path.count("/") > 1 else ""
        return self.ids.get(f"{noun}:{name}") or self.ids.get(name, [])

    def _salt_body(self, body: Any, draw: random.Random) -> None:
        if isinstance(body, list):
            for item in body:
                self._salt_body(item, draw)
        elif isinstance(body, dict):
            for name, value in body.items():
                if isinstance(value, str | int) and name in self.ids and draw.random() < 0.6:
                    body[name] = draw.choice(self.ids[name])
                else:
                    self._salt_body(value, draw)


def fill(world: World) -> Pool:
    """Some of everything, for an administrator and for a member."""
    appliance = world.appliance
    servers = [world.server_id(), world.with_volume(), world.stopped()]
    volumes = [world.new_volume(), world.its_volume()]
    network, port = world.network_id(), world.port_id()
    user = appliance.post("/identity/v3/users", {"user": {"name": "thrown-away"}}).json["user"]["id"]
    subnet = appliance.get("/network/v2.0/subnets").json["subnets"][0]["id"]
    ids = {
        "server_id": servers, "server_uuid": servers, "flavor_id": ["1", world.flavor_id()], "flavorRef": ["1", "2"],
        "image_id": [world.new_image()], "imageRef": [world.image_id()], "rescue_image_ref": [world.image_id()],
        "volume_id": volumes, "volumeId": volumes, "volumes:id": volumes, "snapshots:id": [world.new_snapshot()],
        "network_id": [network], "net_id": [network], "networkId": [network], "uuid": [network],
        "subnet_id": [subnet], "port_id": [port], "group_id": [world.security_group()],
        "os-server-groups:group_id": [world.new_group()], "security_group_id": [world.security_group()],
        "aggregate_id": [world.new_aggregate()], "host": [world.host()], "project_id": [world.other_project()],
        "tenant": [world.other_project()], "user_id": [user], "hypervisor_id": [world.hypervisor_id()],
        "request_id": [world.request_id()], "key": ["key"], "tag": ["tag"], "class_name": ["default"],
    }  # fmt: skip
    return Pool(world, {"admin": appliance.token(), "member": appliance.member("fuzzer")}, ids)
