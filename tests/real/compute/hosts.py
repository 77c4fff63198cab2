"""A compute host for tests: a private libvirtd and a driver on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from novalite.drivers.compute.base import ConsoleKind
from novalite.drivers.compute.libvirt import LibvirtDriver, LocalStorage
from tests.contracts.boot_sector import GREETING, NMI, PANIC, POWER_OFF
from tests.real.compute.private_libvirtd import PrivateLibvirtd


@dataclass
class Host:
    libvirtd: PrivateLibvirtd
    driver: LibvirtDriver
    state_dir: Path
    appliance_id: str

    def second_driver(self, appliance_id: str, state_dir: Path, local: LocalStorage | None = None) -> LibvirtDriver:
        """Of another appliance on the same libvirtd, or of this one after a restart."""
        return LibvirtDriver(
            uri=self.libvirtd.uri, state_dir=state_dir, host="here", appliance_id=appliance_id, virt_type="qemu",
            local=local, keys=self.libvirtd.keys,
        )  # fmt: skip


@contextmanager
def new_host(directory: Path, user: str = "root") -> Iterator[Host]:
    libvirtd = PrivateLibvirtd(directory / "libvirt", user)
    libvirtd.start()
    appliance_id, state_dir = str(uuid4()), directory / "state"
    driver = LibvirtDriver(
        uri=libvirtd.uri, state_dir=state_dir, host="here", appliance_id=appliance_id, virt_type="qemu",
        keys=libvirtd.keys,
    )  # fmt: skip
    try:
        yield Host(libvirtd, driver, state_dir, appliance_id)
    finally:
        driver.close()
        libvirtd.close()


class BootSectorGuests:
    """Guests that boot ``boot_sector.obedient``."""

    greeting = GREETING
    nmi = NMI

    def __init__(self, driver: LibvirtDriver) -> None:
        self._driver = driver

    def power_off(self, guest_id: str) -> None:
        self._type(guest_id, POWER_OFF)

    def panic(self, guest_id: str) -> None:
        self._type(guest_id, PANIC)

    def lose_agent(self, guest_id: str) -> None:
        """There is no room for one in 512 bytes."""

    def _type(self, guest_id: str, key: bytes) -> None:
        with self._driver.console(guest_id, ConsoleKind.SERIAL) as line:
            line.sendall(key)
