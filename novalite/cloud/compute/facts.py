"""What a guest is told about itself, gathered from the records."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import sqlalchemy as sa

from novalite.cloud.compute import block_devices, floating_ips
from novalite.cloud.compute.block_devices import BlockDevice
from novalite.cloud.compute.guest_data import AddressFact, DiskFact, GuestFacts, KeyFact, NicFact
from novalite.cloud.compute.servers import Server
from novalite.cloud.network import ports
from novalite.cloud.network.port_views import PortView
from novalite.cloud.network.records import Network, Subnet
from novalite.cloud.volume import attachments
from novalite.db.work import Work
from novalite.drivers.network.base import METADATA_ADDRESS


def guest_facts(w: Work, server: Server, *, admin_pass: str = "") -> GuestFacts:
    """The facts of one server, in five queries beside the server's own."""
    views, rows = ports.of_device(w, server.id), block_devices.of_server(w, server.id)
    floating = floating_ips.of_ports(w, [server.id])
    key = server.key
    return GuestFacts(
        id=server.id,
        name=server.name,
        hostname=server.hostname,
        project_id=server.project_id,
        user_data=_decoded(server.user_data),
        metadata=dict(server.metadata_items),
        keys=(KeyFact(key["name"], key["public_key"], key["type"]),) if key else (),
        admin_pass=admin_pass,
        availability_zone=server.availability_zone or "nova",
        launch_index=server.launch_index,
        flavor_name=server.flavor["name"],
        image_id=server.image_id or "",
        reservation_id=server.reservation_id,
        nics=_nics(w, views),
        security_groups=tuple(sorted({name for view in views for name in view.security_groups})),
        files=tuple((item["path"], _decoded(item["contents"])) for item in server.personality),
        disks=_tagged(w, rows),
        block_devices=_block_devices(server, rows),
        public_ip=next((led[0] for led in floating.values()), ""),
    )


def _tagged(w: Work, rows: Sequence[BlockDevice]) -> tuple[DiskFact, ...]:
    """A volume that took the place of another has the serial by which the guest knows the disk."""
    found = [row for row in rows if row.volume_id and row.tag]
    known = attachments.by_ids(w, [row.attachment_id for row in found if row.attachment_id]) if found else {}
    serials = {row.id: known[row.attachment_id].serial for row in found if row.attachment_id in known}
    return tuple(DiskFact(serials.get(row.id) or str(row.volume_id), row.disk_bus, row.tag) for row in found)


def _nics(w: Work, views: Sequence[PortView]) -> tuple[NicFact, ...]:
    subnets = {subnet.id: subnet for subnet in w.session.scalars(_subnets_of(views))}
    lans = set(w.session.scalars(sa.select(Network.id).where(_is_of(views), Network.lan)))
    return tuple(
        NicFact(
            view.port_id,
            view.network_id,
            view.mac_address,
            tuple(_address(ip_address, subnets[subnet_id]) for ip_address, subnet_id in view.addresses),
            view.mtu,
            view.tag,
            view.network_id in lans,
        )
        for view in views
    )


def _is_of(views: Sequence[PortView]) -> sa.ColumnElement[bool]:
    return Network.id.in_({view.network_id for view in views})


def _subnets_of(views: Sequence[PortView]) -> sa.Select[Subnet]:
    return sa.select(Subnet).where(Subnet.id.in_({subnet_id for view in views for _, subnet_id in view.addresses}))


def _address(ip_address: str, subnet: Subnet) -> AddressFact:
    routes = tuple((route["destination"], route["nexthop"]) for route in subnet.host_routes)
    if subnet.server_ip and subnet.ip_version == 4:
        routes += ((f"{METADATA_ADDRESS}/32", subnet.server_ip),)
    return AddressFact(ip_address, subnet.cidr, subnet.gateway_ip or "", subnet.enable_dhcp, subnet.server_ip,
                       tuple(subnet.dns_servers), routes, subnet.ipv6_address_mode or "")  # fmt: skip


def _block_devices(server: Server, rows: Sequence[BlockDevice]) -> dict[str, str]:
    found = {"ami": server.root_device_name.removeprefix("/dev/"), "root": server.root_device_name}
    found |= {disk.name: f"/dev/{disk.device}" for disk in block_devices.local_disks(server, rows)}
    others = [row.device_name for row in rows if row.volume_id and not row.is_root and row.device_name]
    return found | {f"ebs{number}": name for number, name in enumerate(others)}


def _decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")
