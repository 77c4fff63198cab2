"""Another size for a server: asking for it, confirming it, going back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from novalite.cloud.compute import (
    actions,
    flavors,
    guest_properties,
    migrations,
    moving_tasks,
    new_servers,
    server_quota,
    servers,
    states,
    tasks,
)
from novalite.cloud.compute.migrations import Migration
from novalite.cloud.compute.servers import Server
from novalite.cloud.hosts import hosts
from novalite.cloud.image.records import Image
from novalite.cloud.network import ports
from novalite.cloud.tasks import tasks as durable
from novalite.db.work import Work
from novalite.errors import Conflict, Invalid, NotFound

PREP, MIGRATING, MIGRATED, FINISH = "resize_prep", "resize_migrating", "resize_migrated", "resize_finish"
_LEFT_ALONE_SECONDS = 1
DEADLINE_SECONDS = 4 * 3600.0
"""Copying large disks takes its time."""


def resize(w: Work, server_id: str, flavor_id: str, *, disk_config: str = "", host_down_seconds: int = 60) -> Migration:
    """Begin to give a server another flavor.

    Raises ``NotFound``, ``Conflict`` for its state, its lock and a host that is down, ``Invalid`` for a flavor
    that it cannot have, ``OverQuota``.
    """
    server = actions.allowed(w, server_id, "resize")
    refuse_if_host_is_down(w, server, host_down_seconds)
    try:
        flavor = flavors.get(w, flavor_id)
    except NotFound as error:
        raise Invalid(error.message, field="flavorRef") from error
    new = new_servers.flavor_copy(flavor)
    _refuse_unless_it_fits(w, server, new)
    _refuse_over_quota(w, server, server.flavor, new)
    made = migrations.create(w, begun(server, migrations.RESIZE, new))
    values: dict[str, Any] = {"progress": 0, "old_vm_state": server.vm_state}
    if disk_config:
        values["disk_config"] = disk_config
    task = moving_tasks.Resize(server.id, made.id)
    actions.begin(w, server, "resize", task, values=values, deadline_seconds=DEADLINE_SECONDS)
    return made


def begun(server: Server, kind: str, new_flavor: dict[str, Any], status: str = migrations.PRE_MIGRATING) -> Migration:
    """The record of a move that begins; not yet in the database."""
    return Migration(
        server_id=server.id, type=kind, status=status, source_host=server.host or "",
        old_flavor=dict(server.flavor), new_flavor=dict(new_flavor),
        old_vcpus=server.vcpus, old_memory_mib=server.memory_mib,
        new_vcpus=new_flavor["vcpus"], new_memory_mib=new_flavor["ram"],
    )  # fmt: skip


def refuse_if_host_is_down(w: Work, server: Server, host_down_seconds: int) -> None:
    """Raises ``Conflict``: what must be done on the server's host cannot be done now."""
    if server.host and not hosts.is_up(hosts.by_name(w, server.host), w.now, host_down_seconds):
        raise Conflict("Service is unavailable at this time.", code="host.down")


def _refuse_unless_it_fits(w: Work, server: Server, new: dict[str, Any]) -> None:
    old = server.flavor
    if new["id"] == old["id"]:
        raise Invalid("When resizing, instances must change flavor!", field="flavorRef")
    has_root = server.image_id is not None  # else it is a volume
    if has_root and new["disk"] == 0 and old["disk"]:
        raise _cannot_resize_disk("Resize to zero disk flavor is not allowed.")
    if (has_root and new["disk"] < old["disk"]) or new["ephemeral"] < old["ephemeral"]:
        raise _cannot_resize_disk("Unable to resize disk down.")
    image = server.image
    guest_properties.refuse_nonsense(vcpus=new["vcpus"], ram_mib=new["ram"], extra_specs=new["extra_specs"],
                                     image_properties=image.get("properties") or {})  # fmt: skip
    if int(image.get("min_ram") or 0) > new["ram"]:
        raise Invalid("Flavor's memory is too small for requested image.", field="flavorRef")
    if not has_root or new["disk"] == old["disk"]:
        return
    if int(image.get("min_disk") or 0) > new["disk"]:
        raise Invalid("The size of the flavor's disk is smaller than the minimum size specified in image metadata. "
                      f"Flavor disk is {new['disk']} GiB, minimum size is {image['min_disk']} GiB.",
                      field="flavorRef")  # fmt: skip
    stored = w.session.get(Image, server.image_id)
    if stored is not None and (stored.virtual_size or 0) > new["disk"] << 30:
        raise Invalid("Flavor's disk is too small for requested image. "
                      f"Flavor disk is {new['disk']} GiB, image is {stored.virtual_size} bytes.",
                      field="flavorRef")  # fmt: skip


def _cannot_resize_disk(why: str) -> Invalid:
    return Invalid(f"Server disk was unable to be resized because: {why}", field="flavorRef")


def _refuse_over_quota(w: Work, server: Server, old: dict[str, Any], new: dict[str, Any]) -> None:
    asked = {"cores": new["vcpus"] - old["vcpus"], "ram": new["ram"] - old["ram"]}
    more = {name: amount for name, amount in asked.items() if amount > 0}
    if more:
        server_quota.fitting(w, server.project_id, server.user_id, more)


def confirm(w: Work, server_id: str) -> None:
    """Keep the new size. Raises ``NotFound``, ``Conflict``, and ``Invalid`` when no resize is there to confirm."""
    server = actions.allowed(w, server_id, "confirmResize")
    _confirm(w, server, _finished(w, server))


def revert(w: Work, server_id: str) -> None:
    """Go back to the size and the disks of before. Raises as ``confirm``, and ``OverQuota`` when the old size is
    more than the project may have by now."""
    server = actions.allowed(w, server_id, "revertResize")
    finished = _finished(w, server)
    _refuse_over_quota(w, server, server.flavor, finished.old_flavor)
    migrations.move_on(w, finished.id, migrations.REVERTING)
    task = moving_tasks.RevertResize(server.id, finished.id)
    actions.begin(w, server, "revertResize", task, deadline_seconds=DEADLINE_SECONDS)


def _finished(w: Work, server: Server) -> Migration:
    found = migrations.with_status(w, server.id, migrations.FINISHED)
    if found is None:
        raise Invalid("Instance has not been resized.", field="")
    return found


def disk_gib(server: Server, flavor: dict[str, Any]) -> int:
    """What the server takes of its host's disk with ``flavor``: one that boots from a volume has its root there."""
    return int(flavor["ephemeral"]) + (int(flavor["disk"]) if server.image_id else 0)


def settle_on(w: Work, server: Server, flavor: dict[str, Any], host: str) -> None:
    """Let the server have this size, on this host, from now on, whatever goes on with it."""
    values: dict[str, Any] = {
        "flavor": dict(flavor), "vcpus": flavor["vcpus"], "memory_mib": flavor["ram"],
        "disk_gib": disk_gib(server, flavor),
    }  # fmt: skip
    if host != server.host:
        values |= {"host": host, "availability_zone": hosts.by_name(w, host).zone}
        ports.set_host(w, server.id, host)
    servers.change(w, server.id, values, Server.deleted_at.is_(None))


def end_unasked(w: Work, confirm_seconds: int) -> list[str]:
    """Begin to confirm resizes that have waited for ``confirm_seconds`` (0: for ever), and to clear away after those
    whose servers were given another state by hand. The servers' ids."""
    ended = []
    for move in migrations.unconfirmed(w, w.now - timedelta(seconds=_LEFT_ALONE_SECONDS)):
        server = w.session.get(Server, move.server_id)
        if server is None or server.task_state is not None:
            continue
        if server.vm_state == states.RESIZED:
            late = move.updated_at is not None and move.updated_at <= w.now - timedelta(seconds=confirm_seconds)
            if not (confirm_seconds and late):
                continue
        _confirm(w, server, move)
        ended.append(server.id)
    return ended


def _confirm(w: Work, server: Server, move: Migration) -> None:
    migrations.move_on(w, move.id, migrations.CONFIRMING)
    task = moving_tasks.ConfirmResize(server.id, move.id)
    if server.vm_state == states.RESIZED:
        actions.begin(w, server, "confirmResize", task)
    else:
        durable.start(w, task, key=tasks.key(server.id), resource_id=server.id, project_id=server.project_id)
