"""Reads a snapshot that waits on a host, wherever that host is: its file, or pieces from another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import cast

from novalite.drivers.compute.base import PIECE_BYTES, LendsSnapshots, SnapshotFile, TakesSnapshots
from novalite.drivers.storage.base import LentFile
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


def content(driver: TakesSnapshots, snapshot: SnapshotFile, watch: Callable[[], None]) -> Iterable[bytes]:
    """All bytes of the copy; the file itself, if the driver is one of this machine. ``watch`` is called with each piece
    and may raise."""
    lender = cast(LendsSnapshots, driver)
    try:
        lender.snapshot_path(snapshot.guest_id, snapshot.name)
    except DriverError as error:
        if error.code != "driver.unsupported":
            raise
        return _watched(chunks(driver, snapshot), watch)
    return LentFile(lambda: nullcontext(lender.snapshot_path(snapshot.guest_id, snapshot.name)), watch)


def _watched(pieces: Iterable[bytes], watch: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        watch()
        yield piece
