"""The machine's LANs as networks for servers: attached, listed, given back."""

from __future__ import annotations

from typing import Any

from novalite.api.kit.body import Body, Item
from novalite.api.kit.call import Call
from novalite.api.kit.routes import Route
from novalite.cloud.network import lans
from novalite.errors import Conflict, DriverError, Forbidden, Invalid, NovaLiteError

_RULE = "novalite:admin:lans"
_SECONDS = {"type": "integer", "minimum": 1, "maximum": 60}
NEW = Body(
    "lan",
    Item("interface", {"type": "string", "pattern": r"^[^\s/=]{1,15}\Z"}, required=True),
    Item("name", {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z"}),
    Item("wait_seconds", _SECONDS),
)
_DEFAULT_NAME = "lan"
_DEFAULT_SECONDS = 10


def index(call: Call) -> dict[str, Any]:
    return {"lans": lans.shown(call.w)}


def attach(call: Call) -> dict[str, Any]:
    """The machine's addresses move to a bridge; when its gateway does not answer any more they move back. What is to be
    stands in the records first, so that a start in between goes on with it."""
    name, interface = call.body.get("name", _DEFAULT_NAME), call.body["interface"]
    database, driver = call.parts.database, call.parts.network_driver
    with database.write(call.ctx) as w:
        is_new = lans.begin(w, name, interface)
    try:
        made = driver.attach_lan(interface, wait_seconds=float(call.body.get("wait_seconds", _DEFAULT_SECONDS)))
        with database.write(call.ctx) as w:
            network = lans.attach(w, made, name=name, mtu=call.parts.settings.network.mtu)
            return {"lan": {"name": name, "interface": interface, "network_id": network.id, "bridge": made.bridge,
                            "addresses": list(made.addresses), "gateway": made.gateway}}  # fmt: skip
    except NovaLiteError as error:
        if is_new:
            with database.write(call.ctx) as w:
                lans.forget(w, name)
        raise _told(error) from error


def _told(error: NovaLiteError) -> NovaLiteError:
    """What the machine refuses for good is the request's fault, not the program's."""
    if not isinstance(error, DriverError):
        return error
    if error.code == "driver.forbidden":
        return Forbidden(error.message, code=error.code, hint=error.hint)
    if error.code in ("network.no_interface", "network.invalid"):
        return Invalid(error.message, code=error.code, hint=error.hint, field="interface")
    if error.code == "network.interface_in_use":
        return Conflict(error.message, code=error.code, hint=error.hint)
    return error


def detach(call: Call) -> None:
    """Its network goes first: servers may not be on it. Repeatable when it was cut off."""
    database, driver = call.parts.database, call.parts.network_driver
    with database.write(call.ctx) as w:
        interface, network_id = lans.empty(w, call.path["name"])
    if network_id is not None:
        driver.remove_network(network_id)
    driver.detach_lan(interface)
    with database.write(call.ctx) as w:
        lans.forget(w, call.path["name"])


ROUTES = [
    Route("GET", "/lans", index, rule=_RULE, unit="read", summary="LANs that servers may be on"),
    Route("POST", "/lans", attach, rule=_RULE, body=NEW, success=201, summary="Put servers on the LAN of an interface"),
    Route("DELETE", "/lans/{name}", detach, rule=_RULE, success=204, summary="Give the interface back"),
]
