"""What valid requests need: servers in each state, flavors, images, keys, made when they are asked for."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

from novalite.api.kit.routes import Front
from novalite.api.kit.versions import Version
from novalite.cloud.hosts import hosts
from novalite.context import internal
from tests.api.conftest import Appliance, wait_for

C = "/compute/v2.1"


class Things:
    """Things by the names of the placeholders they fill. ``version`` is that of the request they are for."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.version = Version(2, 1)
        self._numbers = itertools.count(1)
        self._kept: dict[str, str] = {}
        self._servers: list[str] = []
        self._down: list[str] = []

    # How requests are made

    def call(
        self, front: Front, *, method: str, path: str, version: Version, body: Any = None, data: Any = None,
        headers: Any = None,
    ) -> Any:  # fmt: skip
        given: dict[str, Any] = {} if body is None else {"json": body}
        if data is not None:
            given["data"] = data
        asked = dict(headers or {})
        if front.versions:
            asked["OpenStack-API-Version"] = f"{front.versions.service} {version}"
        return self.appliance.call(method, front.prefix + path, headers=asked, **given)

    def compute(self, method: str, path: str, body: Any = None, version: str = "2.95") -> Any:
        given: dict[str, Any] = {} if body is None else {"json": body}
        answer = self.appliance.call(method, C + path, version=version, **given)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json if answer.data else None

    def name(self, noun: str = "thing") -> str:
        return f"{noun}-{next(self._numbers)}"

    def _keep(self, noun: str, make: Any) -> str:
        if noun not in self._kept:
            self._kept[noun] = make()
        return self._kept[noun]

    def forget(self) -> None:
        """Delete the servers that were made since the last time, and let their hosts be up again."""
        self._lift()
        for server_id in self._servers:
            self.appliance.post(f"{C}/servers/{server_id}/action", {"forceDelete": None})
            self._wait_until_gone(server_id)
        self._servers.clear()

    def _wait_until_gone(self, server_id: str) -> None:
        wait_for(lambda: self.appliance.get(f"{C}/servers/{server_id}").status_code == 404)

    # Servers

    def image_id(self) -> str:
        return self._keep("image", self.appliance.image)

    def server(self, **values: Any) -> dict[str, Any]:
        """The body of a request for a server that boots."""
        return {
            "name": self.name("server"),
            "flavorRef": "1",
            "imageRef": self.image_id(),
            "networks": [{"uuid": self.network_id()}],
            **values,
        }

    def new_server(self, **values: Any) -> str:
        made = self.compute("POST", "/servers", {"server": self.server(**values)})
        server_id = str(made["server"]["id"])
        self._servers.append(server_id)
        self.wait(server_id, "ACTIVE")
        return server_id

    def wait(self, server_id: str, status: str) -> None:
        def arrived() -> bool:
            shown = self.compute("GET", f"/servers/{server_id}")["server"]
            return shown["status"] == status and not shown["OS-EXT-STS:task_state"]

        wait_for(arrived, why=f"the server did not become {status}")

    def server_id(self) -> str:
        """One that is ACTIVE and that rows leave as it is."""

        def make() -> str:
            made = self.new_server(metadata={"key": "value"}, tags=["tag"])
            self._servers.remove(made)
            return made

        return self._keep("server", make)

    def after(self, status: str, *actions: dict[str, Any]) -> str:
        """A new server that has been through ``actions``."""
        server_id = self.new_server()
        for action in actions:
            self.compute("POST", f"/servers/{server_id}/action", action)
        self.wait(server_id, status)
        return server_id

    def stopped(self) -> str:
        return self.after("SHUTOFF", {"os-stop": None})

    def paused(self) -> str:
        return self.after("PAUSED", {"pause": None})

    def suspended(self) -> str:
        return self.after("SUSPENDED", {"suspend": None})

    def rescued(self) -> str:
        return self.after("RESCUE", {"rescue": None})

    def shelved(self) -> str:
        return self.after("SHELVED", {"shelve": None})

    def soft_deleted(self) -> str:
        """One of an appliance that keeps deleted servers for a while."""
        made = self.new_server()
        self.compute("DELETE", f"/servers/{made}")
        self.wait(made, "SOFT_DELETED")
        return made

    def with_agent(self) -> str:
        return self.new_server()

    def resized(self) -> str:
        return self.after("VERIFY_RESIZE", {"resize": {"flavorRef": "2"}})

    def _lift(self) -> None:
        for host in self._down:
            self._force_down(host, False)
        self._down.clear()

    def stranded(self) -> str:
        """A server whose host is down until the next ``forget``."""
        self._lift()
        made = self.new_server()
        host = str(self.compute("GET", f"/servers/{made}")["server"]["OS-EXT-SRV-ATTR:host"])
        self._force_down(host, True)
        self._down.append(host)
        return made

    def _force_down(self, host: str, down: bool) -> None:
        found = self.compute("GET", f"/os-services?host={host}&binary=nova-compute")["services"]
        self.compute("PUT", f"/os-services/{found[0]['id']}", {"forced_down": down})

    def locked(self) -> str:
        return self.after("ACTIVE", {"lock": None})

    def with_second_card(self) -> str:
        server_id = self.new_server()
        body = {"interfaceAttachment": {"net_id": self.network_id()}}
        made = self.compute("POST", f"/servers/{server_id}/os-interface", body)
        self._kept["second card"] = made["interfaceAttachment"]["port_id"]
        return server_id

    def second_card(self) -> str:
        """Of the server made last by ``with_second_card``."""
        return self._kept["second card"]

    def new_volume(self) -> str:
        body = {"volume": {"size": 1, "name": self.name("volume")}}
        answer = self.appliance.post("/volume/v3/volumes", body)
        assert answer.status_code == 202, answer.text
        volume_id = str(answer.json["volume"]["id"])
        self.wait_for_volume(volume_id, "available")
        return volume_id

    def wait_for_volume(self, volume_id: str, status: str) -> None:
        def arrived() -> bool:
            answer = self.appliance.get(f"/volume/v3/volumes/{volume_id}")
            return bool(answer.json["volume"]["status"] == status)

        wait_for(arrived, why=f"the volume did not become {status}")

    def new_snapshot(self) -> str:
        body = {"snapshot": {"volume_id": self.new_volume(), "name": self.name("snapshot")}}
        snapshot_id = str(self.appliance.post("/volume/v3/snapshots", body).json["snapshot"]["id"])
        path = f"/volume/v3/snapshots/{snapshot_id}"
        wait_for(lambda: self.appliance.get(path).json["snapshot"]["status"] == "available")
        return snapshot_id

    def with_volume(self) -> str:
        server_id, volume_id = self.new_server(), self.new_volume()
        body = {"volumeAttachment": {"volumeId": volume_id}}
        self.compute("POST", f"/servers/{server_id}/os-volume_attachments", body)
        self.wait_for_volume(volume_id, "in-use")
        self._kept["its volume"] = volume_id
        return server_id

    def its_volume(self) -> str:
        """Of the server made last by ``with_volume``."""
        return self._kept["its volume"]

    def console_token(self) -> str:
        body = {"remote_console": {"protocol": "serial", "type": "serial"}}
        made = self.compute("POST", f"/servers/{self.server_id()}/remote-consoles", body)["remote_console"]
        return str(made["url"]).rpartition("token=")[2]

    def request_id(self) -> str:
        return str(
            self.compute("GET", f"/servers/{self.server_id()}/os-instance-actions")["instanceActions"][0]["request_id"]
        )

    def label(self) -> str:
        return "private"

    def key(self) -> str:
        return "key"

    def tag(self) -> str:
        return "tag"

    def port_id(self) -> str:
        cards = self.compute("GET", f"/servers/{self.server_id()}/os-interface")["interfaceAttachments"]
        return str(cards[0]["port_id"])

    # Catalogues

    def new_flavor(self, **values: Any) -> str:
        body = {"flavor": {"name": self.name("flavor"), "ram": 64, "vcpus": 1, "disk": 0, **values}}
        return str(self.compute("POST", "/flavors", body)["flavor"]["id"])

    def flavor_id(self) -> str:
        return self._keep("flavor", self.flavor_with_spec)

    def flavor_with_spec(self) -> str:
        made = self.new_flavor()
        self.compute("POST", f"/flavors/{made}/os-extra_specs", {"extra_specs": {"key": "value"}})
        return made

    def private_flavor(self) -> str:
        made = self.new_flavor(**{"os-flavor-access:is_public": False})
        self.compute("POST", f"/flavors/{made}/action", {"addTenantAccess": {"tenant": self.other_project()}})
        return made

    def new_image(self) -> str:
        return self.appliance.image(self.name("image"))

    def image_with_key(self) -> str:
        made = self.new_image()
        patch = [{"op": "add", "path": "/key", "value": "value"}]
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        answer = self.appliance.call("PATCH", f"/image/v2/images/{made}", data=json.dumps(patch), headers=headers)
        assert answer.status_code == 200, answer.text
        return made

    def new_keypair(self) -> str:
        made = self.compute(
            "POST", "/os-keypairs", {"keypair": {"name": self.name("key"), "public_key": self.key_text()}}
        )
        return str(made["keypair"]["name"])

    def key_text(self) -> str:
        """A public key in OpenSSH's form."""
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))
        return f"ssh-ed25519 {base64.b64encode(blob).decode()} someone"

    def new_group(self) -> str:
        body = {"server_group": {"name": self.name("group"), "policy": "soft-affinity"}}
        return str(self.compute("POST", "/os-server-groups", body)["server_group"]["id"])

    def group_id(self) -> str:
        return self._keep("group", self.new_group)

    def new_aggregate(self) -> str:
        body = {"aggregate": {"name": self.name("aggregate")}}
        return str(self.compute("POST", "/os-aggregates", body)["aggregate"]["id"])

    def aggregate_id(self) -> str:
        return self._keep("aggregate", self.new_aggregate)

    def filled_aggregate(self) -> str:
        made = self.new_aggregate()
        self.compute("POST", f"/os-aggregates/{made}/action", {"add_host": {"host": self.host()}})
        return made

    # The cloud

    def host(self) -> str:
        return next(iter(self.appliance.built.hosts))

    def since(self, minor: int) -> bool:
        return self.version.minor >= minor

    def hypervisor_id(self) -> str:
        version = "2.95" if self.since(53) else "2.52"
        return str(self.compute("GET", "/os-hypervisors", version=version)["hypervisors"][0]["id"])

    def service_id(self) -> str:
        version = "2.95" if self.since(53) else "2.52"
        found = self.compute("GET", "/os-services?binary=nova-compute", version=version)["services"]
        return str(found[0]["id"])

    def class_name(self) -> str:
        return "default"

    def project_id(self) -> str:
        token = self.appliance.call(
            "GET", "/identity/v3/auth/tokens", headers={"X-Subject-Token": self.appliance.token()}
        )
        return str(token.json["token"]["project"]["id"])

    def other_project(self) -> str:
        def make() -> str:
            body = {"project": {"name": self.name("project")}}
            return str(self.appliance.post("/identity/v3/projects", body).json["project"]["id"])

        return self._keep("project", make)

    def stranger(self) -> str:
        """A token of a member of another project."""
        return self._keep("stranger", lambda: self.appliance.member("stranger"))

    def alias(self) -> str:
        return "os-keypairs"

    def version_id(self) -> str:
        return "v2.1"

    def before(self) -> str:
        return "2026-01-02 03:04:05"

    def security_group(self) -> str:
        return str(self.appliance.get("/network/v2.0/security-groups").json["security_groups"][0]["id"])

    def dead_service(self) -> str:
        """The service of a host that is no more."""
        host = self.name("dead")
        with self.appliance.built.database.write(internal()) as w:
            hosts.register(w, host, zone="nova", ratios=hosts.Ratios(1, 1, 1))
        found = self.compute("GET", f"/os-services?host={host}", version="2.95" if self.since(53) else "2.52")
        return str(found["services"][0]["id"])

    def network_id(self) -> str:
        """The network made at first start, which servers are on."""
        return str(self.appliance.get("/network/v2.0/networks?name=private").json["networks"][0]["id"])
