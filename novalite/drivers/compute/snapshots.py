"""Reads a snapshot that waits on a host, wherever that host is."""

from __future__ import annotations

from collections.abc import Iterator

from novalite.drivers.compute.base import PIECE_BYTES, SnapshotFile, TakesSnapshots
from novalite.errors import DriverError


def chunks(driver: TakesSnapshots, snapshot: SnapshotFile, offset: int = 0) -> Iterator[bytes]:
    """The copy's bytes from ``offset`` on, in pieces; may be begun again where it broke off. Raises
    ``DriverError`` with code ``snapshot.not_found`` when the copy ends too soon or is gone."""
    while offset < snapshot.size:
        piece = driver.read_snapshot(snapshot.guest_id, snapshot.name, offset, PIECE_BYTES)
        if not piece:
            raise DriverError(
                "read_snapshot", f"snapshot {snapshot.name} ends at {offset} bytes", code="snapshot.not_found"
            )
        offset += len(piece)
        yield piece
