"""All that valid requests need: the things, and networks with their addresses and groups."""

from __future__ import annotations

from typing import Any

from tests.api.contract.things import Things

UNKNOWN = "00000000-0000-4000-8000-000000000000"


class World(Things):
    """What rows draw from."""

    def cidr(self) -> str:
        """A range that nothing else has."""
        return f"10.77.{next(self._numbers) % 256}.0/24"

    def new_network(self) -> str:
        body = {"network": {"label": self.name("network"), "cidr": self.cidr()}}
        return str(self.compute("POST", "/os-networks", body, version="2.35")["network"]["id"])

    def group_name(self) -> str:
        name = self.name("group")
        body = {"security_group": {"name": name, "description": "words"}}
        self.compute("POST", "/os-security-groups", body, version="2.35")
        return name

    def new_security_group(self) -> str:
        body = {"security_group": {"name": self.name("group"), "description": "words"}}
        made = self.compute("POST", "/os-security-groups", body, version="2.35")
        return str(made["security_group"]["id"])

    def new_rule(self) -> str:
        rule = {"parent_group_id": self.new_security_group(), "ip_protocol": "icmp", "from_port": -1, "to_port": -1}
        made = self.compute("POST", "/os-security-group-rules", {"security_group_rule": rule}, version="2.35")
        return str(made["security_group_rule"]["id"])

    def _new_floating(self) -> Any:
        return self.compute("POST", "/os-floating-ips", version="2.35")["floating_ip"]

    def new_floating(self) -> str:
        return str(self._new_floating()["id"])

    def floating_address(self) -> str:
        return str(self._new_floating()["ip"])

    def led_address(self) -> str:
        """A floating address of the server made last."""
        address = self.floating_address()
        body = {"addFloatingIp": {"address": address}}
        self.compute("POST", f"/servers/{self._servers[-1]}/action", body, version="2.35")
        return address

    def with_two_addresses(self) -> str:
        made = self.new_server()
        body = {"addFixedIp": {"networkId": self.network_id()}}
        self.compute("POST", f"/servers/{made}/action", body, version="2.43")
        return made

    def last_address(self) -> str:
        """An address of the server made last."""
        found = self.compute("GET", f"/servers/{self._servers[-1]}/ips")["addresses"]
        return str(next(iter(found.values()))[0]["addr"])

    def an_address(self) -> str:
        found = self.compute("GET", f"/servers/{self.server_id()}/ips")["addresses"]
        return str(next(iter(found.values()))[0]["addr"])

    def free_address(self) -> str:
        network, _, _ = self.an_address().rpartition(".")
        return f"{network}.{200 + next(self._numbers) % 50}"

    def kept_address(self) -> str:
        address = self.free_address()
        self.compute("POST", f"/os-fixed-ips/{address}/action", {"reserve": "None"}, version="2.35")
        return address
