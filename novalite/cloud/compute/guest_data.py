"""What a guest is told about itself, as files: shared by the config drive and the metadata service.

Forms follow Nova's metadata versions and EC2's instance metadata; cloud-init and cloudbase-init read both.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import msgspec

from novalite.drivers.network.base import tap_name

EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04",
)  # fmt: skip
OPENSTACK_VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22",
    "2018-08-27", "2020-10-14",
)  # fmt: skip
LATEST = "latest"
Tree = dict[str, "str | Tree"]
_SEED_BYTES = 512


@dataclass(frozen=True)
class KeyFact:
    """A public key to install. ``type`` is ssh or x509."""

    name: str
    public_key: str
    type: str = "ssh"


@dataclass(frozen=True)
class AddressFact:
    """An address of a card, and what its subnet tells. ``server_ip`` is the network's own DHCP and name server, if
    any; ``routes`` are (range, next hop); ``mode`` is Neutron's IPv6 address mode."""

    ip_address: str
    cidr: str
    gateway_ip: str = ""
    dhcp: bool = True
    server_ip: str = ""
    dns_servers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    mode: str = ""

    @property
    def is_v6(self) -> bool:
        return ":" in self.ip_address

    @property
    def name_servers(self) -> tuple[str, ...]:
        return self.dns_servers or ((self.server_ip,) if self.server_ip else ())


@dataclass(frozen=True)
class NicFact:
    """A network card and its addresses. ``mtu`` in bytes; ``tag`` is the user's word for the card. Without addresses
    its guest takes one from a DHCP server that is not ours (``lan``), or has none."""

    port_id: str
    network_id: str
    mac_address: str
    addresses: tuple[AddressFact, ...] = ()
    mtu: int = 1500
    tag: str = ""
    lan: bool = False

    @property
    def ip_address(self) -> str:
        """The first IPv4 address; empty without any."""
        return next((one.ip_address for one in self.addresses if not one.is_v6), "")


@dataclass(frozen=True)
class DiskFact:
    """A volume with the user's word for it. ``serial`` is the volume's id, of which guests see the beginning, or
    what they see."""

    serial: str
    bus: str
    tag: str


@dataclass(frozen=True)
class GuestFacts:
    """``user_data`` is what the user sent, decoded; ``admin_pass`` is known at the first boot only. ``files`` are
    (path, content) to be written by the guest. ``security_groups`` are names; ``block_devices`` maps EC2's words
    for disks to their names."""

    id: str
    name: str
    hostname: str
    project_id: str
    user_data: bytes = b""
    metadata: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[KeyFact, ...] = ()
    admin_pass: str = ""
    availability_zone: str = "nova"
    launch_index: int = 0
    flavor_name: str = ""
    image_id: str = ""
    reservation_id: str = ""
    nics: tuple[NicFact, ...] = ()
    security_groups: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    disks: tuple[DiskFact, ...] = ()
    block_devices: Mapping[str, str] = field(default_factory=lambda: {"ami": "vda", "root": "/dev/vda"})
    public_ip: str = ""


@dataclass(frozen=True)
class GuestData:
    """Facts with the random bytes told beside them."""

    facts: GuestFacts
    seed: bytes


def guest_data(facts: GuestFacts, seed: bytes = b"") -> GuestData:
    """``seed`` empty: new random bytes."""
    return GuestData(facts, seed or secrets.token_bytes(_SEED_BYTES))


def known_version(version: str) -> bool:
    return version == LATEST or version in OPENSTACK_VERSIONS


def openstack_names(data: GuestData, version: str) -> tuple[str, ...]:
    """Names of the files below ``openstack/VERSION`` (dates compare as texts, ``latest`` is above all)."""
    names = ["meta_data.json"]
    if data.facts.user_data:
        names.append("user_data")
    if version >= "2013-10-17":
        names.append("vendor_data.json")
    if version >= "2015-10-15":
        names.append("network_data.json")
    if version >= "2016-10-06":
        names.append("vendor_data2.json")
    return tuple(names)


def openstack_file(data: GuestData, version: str, name: str) -> bytes | None:
    """The content of ``openstack/VERSION/NAME``; None when there is no such file in that version."""
    if not known_version(version) or name not in openstack_names(data, version):
        return None
    if name == "user_data":
        return data.facts.user_data
    documents = {"meta_data.json": _meta_data, "network_data.json": _network_data}
    build = documents.get(name)
    return msgspec.json.encode(build(data, version) if build else {})


def _meta_data(data: GuestData, version: str) -> dict[str, Any]:
    facts = data.facts
    found: dict[str, Any] = {
        "uuid": facts.id,
        "name": facts.name,
        "hostname": facts.hostname,
        "availability_zone": facts.availability_zone,
        "launch_index": facts.launch_index,
    }
    if facts.metadata:
        found["meta"] = dict(facts.metadata)
    if facts.keys:
        found["public_keys"] = {key.name: key.public_key for key in facts.keys}
        found["keys"] = [{"name": key.name, "type": key.type, "data": key.public_key} for key in facts.keys]
    if facts.files:
        found["files"] = [{"path": path, "content_path": f"/content/{index:04}"}
                          for index, (path, _) in enumerate(facts.files)]  # fmt: skip
    if version >= "2013-04-04" and facts.admin_pass:
        found["admin_pass"] = facts.admin_pass
    if version >= "2013-10-17":
        found["random_seed"] = base64.b64encode(data.seed).decode()
    if version >= "2015-10-15":
        found["project_id"] = facts.project_id
    if version >= "2016-06-30":
        found["devices"] = _devices(facts)
    if version >= "2020-10-14":
        found["dedicated_cpus"] = []
    return found


def _devices(facts: GuestFacts) -> list[dict[str, Any]]:
    """What users have given words to. Where on a bus it is, is the host's choice."""
    nics = [{"type": "nic", "bus": "none", "address": "none", "mac": nic.mac_address, "tags": [nic.tag]}
            for nic in facts.nics if nic.tag]  # fmt: skip
    disks = [{"type": "disk", "bus": disk.bus, "address": "none", "serial": disk.serial, "tags": [disk.tag]}
             for disk in facts.disks if disk.tag]  # fmt: skip
    return [*nics, *disks]


def _network_data(data: GuestData, version: str) -> dict[str, Any]:
    nics = data.facts.nics
    servers = dict.fromkeys(server for nic in nics for one in nic.addresses for server in one.name_servers)
    entries = [entry for nic in nics for entry in _networks(nic, first=nic is nics[0])]
    return {
        "links": [
            {
                "id": tap_name(nic.port_id),
                "vif_id": nic.port_id,
                "type": "bridge",
                "mtu": nic.mtu,
                "ethernet_mac_address": nic.mac_address,
            }
            for nic in nics
        ],
        "networks": [{"id": f"network{index}", **entry} for index, entry in enumerate(entries)],
        "services": [{"type": "dns", "address": server} for server in servers],
    }


def _networks(nic: NicFact, *, first: bool) -> list[dict[str, Any]]:
    """One entry for each address; of those that DHCP gives, one for each IP version. ``first``: the card that leads
    outside."""
    shared = {"link": tap_name(nic.port_id), "network_id": nic.network_id}
    if nic.lan and not nic.addresses:
        return [{**shared, "type": "ipv4_dhcp"}]
    found: list[dict[str, Any]] = []
    for one in nic.addresses:
        told = {"type": _DYNAMIC[one.is_v6, one.mode]} if one.dhcp else _static(one, first=first)
        if not (one.dhcp and {**shared, **told} in found):
            found.append({**shared, **told})
    return found


_DYNAMIC = {
    (False, ""): "ipv4_dhcp",
    (True, ""): "ipv6_dhcp",
    (True, "dhcpv6-stateful"): "ipv6_dhcpv6-stateful",
    (True, "dhcpv6-stateless"): "ipv6_dhcpv6-stateless",
    (True, "slaac"): "ipv6_slaac",
}


def _static(one: AddressFact, *, first: bool) -> dict[str, Any]:
    range_ = ip_network(one.cidr)
    routes = [_route(destination, hop) for destination, hop in one.routes]
    if first and one.gateway_ip:
        routes.append(_route("::/0" if one.is_v6 else "0.0.0.0/0", one.gateway_ip))
    return {
        "type": "ipv6" if one.is_v6 else "ipv4",
        "ip_address": one.ip_address,
        "netmask": str(range_.netmask),
        "routes": routes,
        "services": [{"type": "dns", "address": server} for server in one.name_servers],
    }


def _route(destination: str, hop: str) -> dict[str, str]:
    range_ = ip_network(destination)
    return {"network": str(range_.network_address), "netmask": str(range_.netmask), "gateway": hop}


def ec2_id(prefix: str, id: str) -> str:
    """``i-0123456789abcdef0``: EC2's form of an id, derived from ours."""
    return f"{prefix}-{id.replace('-', '')[:17]}"


def ec2_tree(data: GuestData) -> Tree:
    """What is below ``meta-data``: texts, and directories as trees. Only what exists is listed, since guests try
    again and again to read what an index names."""
    facts = data.facts
    address = next((nic.ip_address for nic in facts.nics if nic.ip_address), "")
    tree: Tree = {
        "ami-id": ec2_id("ami", facts.image_id) if facts.image_id else "",
        "ami-launch-index": str(facts.launch_index),
        "block-device-mapping": dict(facts.block_devices),
        "hostname": facts.hostname,
        "instance-action": "none",
        "instance-id": ec2_id("i", facts.id),
        "instance-type": facts.flavor_name,
        "local-hostname": facts.hostname,
        "local-ipv4": address,
        "placement": {"availability-zone": facts.availability_zone},
        "public-hostname": facts.hostname,
        "public-ipv4": facts.public_ip,
        "reservation-id": facts.reservation_id,
        "security-groups": "\n".join(facts.security_groups),
    }
    ssh_keys = [key for key in facts.keys if key.type == "ssh"]
    if ssh_keys:
        tree["public-keys"] = {f"{index}={key.name}": {"openssh-key": key.public_key}
                               for index, key in enumerate(ssh_keys)}  # fmt: skip
    return tree


def config_drive_files(data: GuestData) -> dict[str, bytes]:
    """All files of the config drive: path below its root -> content."""
    files: dict[str, bytes] = {}
    for version in (*OPENSTACK_VERSIONS, LATEST):
        for name in openstack_names(data, version):
            content = openstack_file(data, version, name)
            if content is not None:
                files[f"openstack/{version}/{name}"] = content
    for index, (_, content) in enumerate(data.facts.files):
        files[f"openstack/content/{index:04}"] = content
    for version in (EC2_VERSIONS[-1], LATEST):
        files[f"ec2/{version}/meta-data.json"] = msgspec.json.encode(_ec2_drive(data))
        if data.facts.user_data:
            files[f"ec2/{version}/user-data"] = data.facts.user_data
    return files


def _ec2_drive(data: GuestData) -> dict[str, Any]:
    tree: dict[str, Any] = dict(ec2_tree(data))
    keys = [key for key in data.facts.keys if key.type == "ssh"]
    if keys:
        tree["public-keys"] = {str(index): {"_name": f"{index}={key.name}", "openssh-key": key.public_key}
                               for index, key in enumerate(keys)}  # fmt: skip
    return tree
