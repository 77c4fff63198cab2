"""The flow that holds guests to what the types of their volumes allow, while they run."""

from __future__ import annotations

from novalite.cloud.compute import progress
from novalite.cloud.volume import attachments, qos, tasks
from novalite.drivers.compute.base import Power
from novalite.engine.flow import Flow, Run, Step

Limits = tuple[tuple[str, int], ...]


def _tune(run: Run) -> None:
    """A guest that is not there gets its limits when it is started, one whose memory is saved likewise."""
    for server_id, host, serial, limits in _used(run):
        driver = run.parts.links.driver(host)
        if driver.guest(server_id).power not in (Power.ABSENT, Power.SUSPENDED):
            driver.tune_disk(server_id, serial, limits)


def _used(run: Run) -> list[tuple[str, str, str, Limits]]:
    """Server, host, serial and limits of each volume that a guest has."""
    with run.parts.database.read(run.ctx) as w:
        found = qos.volumes_in_use(w, volume_id=run.args["volume_id"], type_id=run.args["type_id"])
        by_volume = attachments.of_volumes(w, [volume.id for volume in found])
        wanted = {volume.id: qos.limits(w, volume) for volume in found}
        rows = [row for rows in by_volume.values() for row in rows if row.status == attachments.ATTACHED]
        hosts = progress.hosts_of(w, [row.server_id for row in rows if row.server_id])
    return [
        (row.server_id, hosts[row.server_id], attachments.serial_of(row), wanted[row.volume_id])
        for row in rows if row.server_id in hosts
    ]  # fmt: skip


FLOWS = (Flow(tasks.VolumeTune.kind, (Step("tune", _tune),), failed=lambda run, error: None),)
