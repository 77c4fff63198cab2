"""Network cards of servers that are there already: asked for, given back."""

from __future__ import annotations

from dataclasses import replace

from novalite.cloud.compute import actions, progress, tasks
from novalite.cloud.compute.servers import Server
from novalite.cloud.network import networks, ports, security_groups
from novalite.cloud.network.allocation import Asked
from novalite.cloud.network.networks import NetworkRequest
from novalite.cloud.network.port_views import PortView
from novalite.cloud.tasks.tasks import Task
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound


def attach(w: Work, server_id: str, wanted: NetworkRequest, *, deadline_seconds: float = 60) -> Task:
    """Give the server another port and leave the task that plugs it in. A request that names nothing takes the
    one network the caller sees. An attachment that is not done after ``deadline_seconds`` is undone.

    Raises ``NotFound`` for the server, port or network; ``Invalid`` when there is no network, or several, or no
    free address; ``Conflict`` for a port or address in use and for states that do not allow it; ``OverQuota``.
    """
    server = actions.allowed(w, server_id, "attach_interface")
    port_id = _plug(w, server, _chosen(w, wanted))
    task = tasks.AttachInterface(server.id, port_id)
    return actions.leave(w, server, "attach_interface", task, deadline_seconds=deadline_seconds)


def detach(w: Work, server_id: str, port_id: str) -> None:
    """Leave the task that unplugs a port of the server. Raises ``NotFound``, ``Conflict``."""
    server = actions.allowed(w, server_id, "detach_interface")
    if card(w, server.id, port_id) is None:
        message = f"Instance {server.id} does not have a port with id {port_id}"
        raise NotFound("port", port_id, message=message)
    actions.begin(w, server, "detach_interface", tasks.DetachInterface(server.id, port_id))


def card(w: Work, server_id: str, port_id: str) -> PortView | None:
    """The port as the server's; None when it is not."""
    return next((view for view in ports.of_device(w, server_id) if view.port_id == port_id), None)


def plugged(w: Work, server_id: str, port_id: str) -> None:
    """The server's cards are where it is. What was changed of the new one meanwhile reaches the machine now."""
    server = progress.find(w, server_id)
    if server is not None:
        ports.set_host(w, server_id, server.host or "")
        w.announce("port", port_id, server.project_id)
        w.announce(security_groups.PORT_TOPIC, port_id, server.project_id)


def give_back(w: Work, server_id: str, port_id: str) -> None:
    """The port is no longer the server's: deleted when Compute made it, else free again. Repeatable."""
    view = card(w, server_id, port_id)
    if view is None:
        return
    ports.unbind(w, port_id)
    if view.is_compute_made:
        ports.delete(w, port_id)


def _chosen(w: Work, wanted: NetworkRequest) -> NetworkRequest:
    if wanted.port_id:
        return _free_port(w, wanted)
    if wanted.network_id:
        network = networks.get(w, wanted.network_id)
        networks.refuse_external(w, network)
        networks.refuse_without_subnet(network, "net_id")
        return wanted
    try:
        found = networks.choose(w, None)
    except Conflict as error:
        raise Invalid(error.message, code=error.code, field="net_id") from error
    if not found:
        raise Invalid(
            f"No specific network was requested and none are available for project '{w.ctx.project_id}'.",
            field="net_id",
        )
    return replace(found[0], tag=wanted.tag)


def _free_port(w: Work, wanted: NetworkRequest) -> NetworkRequest:
    try:
        port = ports.get(w, wanted.port_id or "")
    except NotFound as error:
        message = f"Port id {wanted.port_id} could not be found."
        raise NotFound("port", wanted.port_id or "", message=message) from error
    networks.refuse_unusable(port, "port_id")
    return wanted


def _plug(w: Work, server: Server, wanted: NetworkRequest) -> str:
    """The id of the port, which stands after the server's others."""
    views = ports.of_device(w, server.id)
    position = max((view.position for view in views), default=-1) + 1
    owner = f"compute:{server.availability_zone or 'nova'}"
    if wanted.port_id:
        ports.bind(w, wanted.port_id, server.id, owner, dns_name=server.hostname, tag=wanted.tag, position=position)
        return wanted.port_id
    asked = (Asked(wanted.fixed_ip),) if wanted.fixed_ip else None
    new = ports.NewPort(
        network_id=wanted.network_id or "", fixed_ips=asked, device_id=server.id, device_owner=owner,
        dns_name=server.hostname, tag=wanted.tag, position=position, is_compute_made=True,
        project_id=server.project_id,
    )  # fmt: skip
    try:
        return ports.create(w, new).id
    except Conflict as error:
        if error.code == "network.no_addresses":
            message = f"No fixed IP addresses available for network: {wanted.network_id}"
            raise Invalid(message, code=error.code, field="net_id") from error
        raise
