"""How a guest reaches its volumes: by the path that they have everywhere, or through an export of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from novalite.cloud.compute import block_devices
from novalite.cloud.compute.block_devices import BlockDevice
from novalite.cloud.volume import attachments, volumes
from novalite.cloud.volume.records import Volume
from novalite.drivers.compute.base import DiskSpec, GuestSpec
from novalite.drivers.storage.base import ExportSpec, VolumePlace
from novalite.engine.conductor import guest_disks
from novalite.engine.flow import Run
from novalite.errors import DriverError


def of_guest(run: Run, host: str, spec: GuestSpec) -> GuestSpec:
    """What ``host`` is told of a guest that it is to start."""
    return replace(spec, disks=opened(run, host, spec.disks))


def opened(run: Run, host: str, disks: tuple[DiskSpec, ...]) -> tuple[DiskSpec, ...]:
    """The server's disks as ``host`` opens them. Volumes that only this machine keeps are exported to it now, and from
    now on to no other one of this server. Repeatable; raises ``DriverError``."""
    found = _volumes(run)
    kept_here = {} if run.parts.links.is_here(host) else _kept_here(run, host, found)
    _end(run, (str(row.attachment_id) for row, volume in found if guest_disks.name_of(volume.id) not in kept_here))
    wanted = {disk.name: kept_here[disk.name] for disk in disks if disk.name in kept_here}
    if not wanted:
        return disks
    if any(disk.key and disk.format == "qcow2" for disk in disks if disk.name in wanted):
        raise DriverError(
            "export_volume", f"host {host} cannot open an encrypted volume that only this machine keeps",
            code="volume.encrypted", hint="Keep it on a share or in Ceph, or let its type be a multiattach one.",
        )  # fmt: skip
    _admit(run, host)
    places = {name: run.parts.exports.ensure_export(spec) for name, spec in wanted.items()}
    with run.parts.database.write(run.ctx) as w:
        attachments.exported(w, [spec.id for spec in wanted.values()])
    return tuple(
        replace(disk, path=places[disk.name], format="raw") if disk.name in places else disk for disk in disks
    )  # fmt: skip


def _volumes(run: Run) -> list[tuple[BlockDevice, Volume]]:
    """What the server has, or is about to have."""
    with run.parts.database.read(run.ctx) as w:
        rows = [row for row in block_devices.of_server(w, run.server_id) if row.volume_id and row.attachment_id]
        known = volumes.get_many(w, (row.volume_id for row in rows if row.volume_id))
    return [(row, known[row.volume_id]) for row in rows if row.volume_id in known]


def _kept_here(run: Run, host: str, found: list[tuple[BlockDevice, Volume]]) -> dict[str, ExportSpec]:
    """Those that other machines do not reach by themselves, by the name of the disk."""
    everywhere = {
        name for name in {volume.backend for _, volume in found} if run.parts.volumes.of(name).is_everywhere()
    }
    return {
        guest_disks.name_of(volume.id): _export(str(row.attachment_id), volume, host)
        for row, volume in found
        if volume.location and volume.backend not in everywhere
    }


def _export(attachment_id: str, volume: Volume, host: str) -> ExportSpec:
    place = VolumePlace(str(volume.location["path"]), str(volume.location["format"]))
    shared = volume.multiattach and place.format == "raw"
    return ExportSpec(attachment_id, volume.id, place, host, read_only=bool(volume.read_only), shared=shared)


def _admit(run: Run, host: str) -> None:
    """The host has a certificate of ours for a key of its own."""
    driver = run.parts.links.driver(host)
    key = driver.export_key(host)
    if not run.parts.exports.has_admitted(host, key.certificate):
        driver.take_certificate(*run.parts.exports.admit(host, key.request))


def close(run: Run, device_id: str = "") -> None:
    """No other machine reaches the server's volumes any more, or only that one of them. Repeatable."""
    with run.parts.database.read(run.ctx) as w:
        rows = block_devices.of_server(w, run.server_id)
    _end(run, (row.attachment_id for row in rows if row.attachment_id and device_id in ("", row.id)))


def exports_of(run: Run, volume_id: str) -> list[ExportSpec]:
    """How other machines have the volume, by the records: also when a killed process has just ended it."""
    with run.parts.database.read(run.ctx) as w:
        volume, there = volumes.find(w, volume_id), attachments.of_volumes(w, [volume_id])[volume_id]
        told = set(attachments.are_exported(w, [row.id for row in there]))
    if volume is None or not told:
        return []
    return [_export(row.id, volume, row.host) for row in there if row.id in told and row.host]


def close_volume(run: Run, volume_id: str) -> None:
    """The same for everybody who has that volume: its data are about to be others."""
    with run.parts.database.read(run.ctx) as w:
        ids = [row.id for row in attachments.of_volumes(w, [volume_id])[volume_id]]
    _end(run, ids)


def _end(run: Run, attachment_ids: Iterable[str]) -> None:
    ids = list(attachment_ids)
    if not ids:
        return
    for attachment_id in ids:
        run.parts.exports.remove_export(attachment_id)
    with run.parts.database.read(run.ctx) as w:
        told = attachments.are_exported(w, ids)
    if told:
        with run.parts.database.write(run.ctx) as w:
            attachments.exported(w, told, yes=False)
