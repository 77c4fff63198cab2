"""What a guest is told about itself, gathered from the records."""

from __future__ import annotations

import base64

from novalite.cloud.compute.guest_data import GuestFacts, KeyFact, nic_fact
from novalite.cloud.compute.servers import Server
from novalite.cloud.network import ports
from novalite.db.work import Work


def guest_facts(w: Work, server: Server, *, admin_pass: str = "") -> GuestFacts:
    """The facts of one server, in one query beside the server's own."""
    views = ports.of_device(w, server.id)
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
    )


def _decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")
