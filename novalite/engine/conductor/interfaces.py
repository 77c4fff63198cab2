"""The flows that plug a network card into a server, and out of it."""

from __future__ import annotations

from dataclasses import dataclass

from novalite.cloud.compute import interfaces, progress, states, tasks
from novalite.cloud.network import networks, ports
from novalite.drivers.compute.base import NicSpec, Power
from novalite.drivers.network.base import NetworkSpec, PortSpec
from novalite.engine.conductor import guests, wiring
from novalite.engine.flow import Flow, Run, Step


@dataclass(frozen=True)
class _Card:
    """A card as host and network are told of it."""

    host: str
    nic: NicSpec
    network: NetworkSpec
    port: PortSpec


def _card(run: Run) -> _Card | None:
    """None when the port is no longer the server's, or the server is gone."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        view = interfaces.card(w, run.server_id, str(run.args["port_id"]))
        if server is None or view is None:
            return None
        network = networks.spec(w, view.network_id)
        port = next(port for port in ports.of_server(w, server.id) if port.id == view.port_id)
    nic = guests.nic_spec(server, view, network)
    return _Card(server.host or "", nic, network, port)


def _wire(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        server = progress.find(w, run.server_id)
        if server is not None:
            ports.ask_wiring(w, server.id, wiring.asked(server))
    card = _card(run)
    if card is not None:
        run.parts.network.ensure_network(card.network)
        run.parts.network.ensure_port(card.port)


def _give_back(run: Run) -> None:
    # In one step with the records: a start in between wires again whatever they still name.
    card = _card(run)
    if card is None:
        return
    run.parts.network.remove_port(card.network.id, card.port.id)
    with run.parts.database.write(run.ctx) as w:
        interfaces.give_back(w, run.server_id, card.port.id)


def _plug(run: Run) -> None:
    """A guest that its host does not know gets the card from the records when it is started."""
    card = _card(run)
    if card is not None and _has_guest(run, card):
        run.parts.links.driver(card.host).attach_nic(run.server_id, card.nic)


def _unplug(run: Run) -> None:
    card = _card(run)
    if card is not None and _has_guest(run, card):
        run.parts.links.driver(card.host).detach_nic(run.server_id, card.nic.mac_address)


def _unplug_again(run: Run) -> None:
    """The guest of a server that goes is not waited for: it goes as a whole."""
    with run.parts.database.read(run.ctx) as w:
        server = progress.find(w, run.server_id)
        goes = server is None or server.task_state == states.DELETING
    if not goes:
        _unplug(run)


def _has_guest(run: Run, card: _Card) -> bool:
    return bool(card.host) and run.parts.links.driver(card.host).guest(run.server_id).power is not Power.ABSENT


def _finish(run: Run) -> None:
    with run.parts.database.write(run.ctx) as w:
        interfaces.plugged(w, run.server_id, str(run.args["port_id"]))


def _nothing(run: Run, error: Exception) -> None:
    """The task keeps the error for the action log; the server is what it was."""


FLOWS = (
    Flow(tasks.AttachInterface.kind,
         (Step("wire", _wire, _give_back), Step("plug", _plug, _unplug_again), Step("finish", _finish)),
         failed=_nothing),
    Flow(tasks.DetachInterface.kind, (Step("unplug", _unplug), Step("finish", _give_back)), failed=_nothing),
)  # fmt: skip
