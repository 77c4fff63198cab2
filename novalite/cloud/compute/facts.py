"""What a guest is told about itself, gathered from the records."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from novalite.cloud.compute import block_devices, floating_ips
from novalite.cloud.compute.block_devices import BlockDevice
from novalite.cloud.compute.guest_data import DiskFact, GuestFacts, KeyFact, nic_fact
from novalite.cloud.compute.servers import Server
from novalite.cloud.network import ports
from novalite.db.work import Work


def guest_facts(w: Work, server: Server, *, admin_pass: str = "") -> GuestFacts:
    """The facts of one server, in three queries beside the server's own."""
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
        nics=tuple(nic_fact(view) for view in views if view.ip_address),
        security_groups=tuple(sorted({name for view in views for name in view.security_groups})),
        files=tuple((item["path"], _decoded(item["contents"])) for item in server.personality),
        disks=tuple(DiskFact(row.volume_id, row.disk_bus, row.tag) for row in rows if row.volume_id and row.tag),
        block_devices=_block_devices(server, rows),
        public_ip=next((led[0] for led in floating.values()), ""),
    )


def _block_devices(server: Server, rows: Sequence[BlockDevice]) -> dict[str, str]:
    found = {"ami": server.root_device_name.removeprefix("/dev/"), "root": server.root_device_name}
    found |= {disk.name: f"/dev/{disk.device}" for disk in block_devices.local_disks(server, rows)}
    others = [row.device_name for row in rows if row.volume_id and not row.is_root and row.device_name]
    return found | {f"ebs{number}": name for number, name in enumerate(others)}


def _decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")
