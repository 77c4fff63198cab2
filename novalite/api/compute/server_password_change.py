"""Setting the password of a guest's administrator, through the agent that runs in the guest."""

from __future__ import annotations

from typing import Any

from novalite.api.compute.server_actions import action_route
from novalite.api.kit.call import Call
from novalite.cloud.compute import passwords
from novalite.cloud.compute.servers import Server
from novalite.drivers.compute.base import Power
from novalite.errors import Conflict, DriverError, Unsupported

_PASSWORD: dict[str, Any] = {
    "type": "object",
    "properties": {"adminPass": {"type": "string"}},
    "required": ["adminPass"],
    "additionalProperties": False,
}


def change(call: Call) -> None:
    """Returns when the guest has the new password. The host is asked between two units."""
    with call.parts.database.write(call.ctx) as w:
        server = passwords.begin(w, call.path["server_id"])
    well = False
    try:
        _tell(call, server, call.body["adminPass"])
        well = True
    finally:
        with call.parts.database.write(call.ctx) as w:
            passwords.end(w, server, well=well)


def _tell(call: Call, server: Server, password: str) -> None:
    driver = call.parts.links.driver(server.host or "")
    if driver.guest(server.id).power is not Power.RUNNING:
        raise _failed(server, f"instance {server.id} is not running")
    if not driver.has_agent(server.id):
        if passwords.promises_agent(server):
            raise Unsupported("Unable to set password on instance", hint="The agent in the guest does not answer.")
        raise Conflict("QEMU guest agent is not enabled", code="guest.no_agent")
    try:
        driver.set_password(server.id, passwords.user_of(server), password)
    except DriverError as error:
        raise _failed(server, "error setting admin password") from error


def _failed(server: Server, why: str) -> Conflict:
    return Conflict(f"Failed to set admin password on {server.id} because {why}", code="guest.password")


ROUTES = [action_route("changePassword", change, "os-admin-password", _PASSWORD, unit=None)]
