"""A server's own disks on their way to another host, piece by piece; volumes are reached from every host."""

from __future__ import annotations

from novalite.cloud.compute.migrations import Migration
from novalite.drivers.compute.base import PIECE_BYTES, DiskSpec, FullDriver
from novalite.engine.conductor import guests
from novalite.engine.flow import Run

FEATURE = "move_disks"


def bring(run: Run, move: Migration) -> None:
    """Copy what the source has of the disks that the server is to have; the others are made at the start. The
    image comes first, since they stand on it. Repeating it begins anew."""
    made = guests.plan(run)
    guests.bring_image(run, made)
    source, dest = run.parts.links.driver(move.source_host), run.parts.links.driver(move.dest_host)
    for disk in made.spec.disks:
        if not disk.path and disk.content != "swap" and _is_there(disk, move):
            _copy(run.server_id, disk, source, dest)


def _is_there(disk: DiskSpec, move: Migration) -> bool:
    return not disk.name.startswith("ephemeral") or bool(move.old_flavor["ephemeral"])


def _copy(guest_id: str, disk: DiskSpec, source: FullDriver, dest: FullDriver) -> None:
    offset = 0
    while piece := source.read_disk(guest_id, disk.name, offset, PIECE_BYTES):
        dest.write_disk(guest_id, disk.name, offset, piece)
        offset += len(piece)
    dest.adopt_disk(guest_id, disk)


def take_away(run: Run, move: Migration) -> None:
    """Everything that has come to the new host."""
    if move.dest_host:
        run.parts.links.driver(move.dest_host).delete_guest(run.server_id)
