"""Where the fake hypervisor keeps its guests when they must outlive the process: one small file each."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import msgspec

from novalite.drivers.compute.base import DiskSpec, ForeignGuest, GuestSpec, Power, SnapshotFile


@dataclass
class FakeGuest:
    """A guest as the fake knows it. ``spec`` is None for leftovers that no definition belongs to."""

    id: str
    spec: GuestSpec | None
    power: Power
    detail: str = ""
    files: tuple[str, ...] = ()
    taps: tuple[str, ...] = ()
    log: bytes = b""
    boots: int = 0
    snapshots: dict[str, SnapshotFile] = field(default_factory=dict)
    kept: dict[str, tuple[DiskSpec, ...]] = field(default_factory=dict)
    arriving: dict[str, int] = field(default_factory=dict)


class FakeStore(Protocol):
    def load(self) -> tuple[list[FakeGuest], list[str], str]:
        """Guests, ids of cached images, boot id."""

    def save(self, guest: FakeGuest) -> None: ...

    def remove(self, guest_id: str) -> None: ...

    def save_host(self, images: list[str], boot_id: str) -> None: ...

    def load_foreign(self) -> list[ForeignGuest]:
        """Guests that others made."""

    def save_foreign(self, guests: list[ForeignGuest]) -> None: ...


class NoStore:
    """Forgets everything with the process."""

    def load(self) -> tuple[list[FakeGuest], list[str], str]:
        return [], [], uuid4().hex

    def save(self, guest: FakeGuest) -> None: ...

    def remove(self, guest_id: str) -> None: ...

    def save_host(self, images: list[str], boot_id: str) -> None: ...

    def load_foreign(self) -> list[ForeignGuest]:
        return []

    def save_foreign(self, guests: list[ForeignGuest]) -> None: ...


class DirectoryStore:
    """One JSON file per guest and one for the host, each replaced as a whole, so a kill leaves no half."""

    def __init__(self, directory: Path) -> None:
        self._guests = directory / "guests"
        self._host, self._foreign = directory / "host.json", directory / "foreign.json"
        self._guests.mkdir(parents=True, exist_ok=True)

    def load(self) -> tuple[list[FakeGuest], list[str], str]:
        files = self._guests.glob("*.json")
        guests = [msgspec.json.decode(file.read_bytes(), type=FakeGuest) for file in files]
        if not self._host.exists():
            self.save_host([], uuid4().hex)
        images, boot_id = msgspec.json.decode(self._host.read_bytes(), type=tuple[list[str], str])
        return guests, images, boot_id

    def save(self, guest: FakeGuest) -> None:
        _replace(self._guests / f"{guest.id}.json", msgspec.json.encode(replace(guest, spec=_without_keys(guest.spec))))

    def remove(self, guest_id: str) -> None:
        (self._guests / f"{guest_id}.json").unlink(missing_ok=True)

    def save_host(self, images: list[str], boot_id: str) -> None:
        _replace(self._host, msgspec.json.encode((images, boot_id)))

    def load_foreign(self) -> list[ForeignGuest]:
        if not self._foreign.exists():
            return []
        return msgspec.json.decode(self._foreign.read_bytes(), type=list[ForeignGuest])

    def save_foreign(self, guests: list[ForeignGuest]) -> None:
        _replace(self._foreign, msgspec.json.encode(guests))


def _without_keys(spec: GuestSpec | None) -> GuestSpec | None:
    """No hypervisor writes keys down."""
    if spec is None:
        return None
    return replace(spec, disks=tuple(
        replace(disk, key=replace(disk.key, passphrase="") if disk.key else None) for disk in spec.disks
    ))  # fmt: skip


def _replace(file: Path, content: bytes) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, file)
