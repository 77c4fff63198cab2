"""Takes away everything an appliance made on this machine: guests, disks, networks and its state directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from novalite.appliance.build import Built, build
from novalite.appliance.process import own_state
from novalite.cloud.compute import adoptions
from novalite.cloud.network import lans, networks, routing
from novalite.context import internal
from novalite.db import migrate
from novalite.drivers.compute.base import Power, PowerAction
from novalite.errors import NotFound
from novalite.settings import Settings


def _networks(built: Built) -> Iterator[str]:
    report = built.network.check()
    with built.database.read(internal()) as w:
        network_ids = {spec.id for spec in networks.specs(w)} | set(report.networks)
        router_ids = {router.id for router in routing.specs(w)} | set(report.routers)
        interfaces = lans.interfaces(w)
    built.network.ensure_forwards(())
    for router_id in sorted(router_ids):
        built.network.remove_router(router_id)
        yield f"router {router_id}"
    for network_id in sorted(network_ids):
        built.network.remove_network(network_id)
        yield f"network {network_id}"
    for interface in interfaces:
        built.network.detach_lan(interface)
        yield f"bridge of {interface}"


def _adopted(built: Built) -> Iterator[str]:
    """Machines that were taken over are their owners' again, off, with all that is on their disks."""
    with built.database.read(internal()) as w:
        taken = adoptions.everyone(w)
    for each in taken:
        driver = built.links.driver(each.host)
        if driver.guest(each.server_id).power not in (Power.OFF, Power.CRASHED, Power.ABSENT):
            driver.set_power(each.server_id, PowerAction.OFF)
        driver.give_guest_back(each.server_id, each.definition, each.starts_with_machine)
        yield f"hold on machine {each.name}, which is as it was before it was adopted"


def purge(settings: Settings) -> Iterator[str]:
    """Yields a line for each thing that is gone. Repeatable after being cut off.

    Raises ``Failed`` while the appliance runs, ``NotFound`` when there is none in the state directory.
    """
    directory = settings.state_path
    if not (directory / "appliance-id").exists():
        raise NotFound("appliance", str(directory), message=f"There is no appliance in {directory}.")
    lock = own_state(directory)
    migrate.upgrade(settings.database_url)  # it may have been made by an older release
    built = build(settings)
    yield from _adopted(built)
    for host in built.links.hosts():
        driver = built.links.driver(host)
        for artifact in driver.artifacts():
            driver.delete_guest(artifact.id)
            yield f"guest {artifact.id} on {host}"
    for spec in built.parts.exports.exports():
        built.parts.exports.remove_export(spec.id)
        yield f"export of volume {spec.volume_id} to {spec.host}"
    yield from _networks(built)
    built.links.close()
    built.network.close()
    built.database.close()
    shutil.rmtree(directory)
    os.close(lock)
    yield f"state {directory}"
