"""The contract of compute drivers, kept by a process without root whose guests run as another user."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from novalite.drivers.compute.base import ConfigDrive, Power
from novalite.drivers.compute.remote import connect
from tests.contracts.compute_driver import Bench, ComputeDriverContract, new_bench
from tests.contracts.compute_driver_changes import ChangesContract
from tests.contracts.ports import free_port
from tests.contracts.waiting import until
from tests.real import as_user
from tests.real.appliance.process import NOVALITE
from tests.real.compute.hosts import BootSectorGuests
from tests.real.compute.private_libvirtd import PrivateLibvirtd

pytestmark = pytest.mark.real

USER, GROUP, GUESTS = "games", "operator", "libvirt-qemu"
"""An ordinary user of every Debian, a group for disks, and whom libvirt runs guests as."""


class Unprivileged:
    """``novalite agent`` as an ordinary user, on a libvirtd whose socket it may use."""

    def __init__(self, directory: Path, configured: str, **more: str) -> None:
        self.state_dir = directory / "state"
        self.state_dir.mkdir()
        os.chown(self.state_dir, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
        secret = self.state_dir / "secret"
        secret.write_text("0123456789abcdef" * 2)
        os.chown(secret, pwd.getpwnam(USER).pw_uid, -1)
        secret.chmod(0o600)
        self.libvirtd = PrivateLibvirtd(directory / "libvirt", configured)
        self.libvirtd.start()
        (directory / "libvirt/run/libvirt-sock").chmod(0o666)
        port = free_port()
        os.chown(self.libvirtd.keys, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
        given = {"state_dir": self.state_dir, "compute.libvirt_uri": self.libvirtd.uri, "compute.virt_type": "qemu",
                 "compute.guest_group": GROUP, "compute.nbd_tls_directory": self.libvirtd.keys, **more}  # fmt: skip
        sets = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        self.log = directory / "agent.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, as_user.__file__, USER, GROUP, NOVALITE, "agent", "--port", str(port),
                 "--secret-file", str(secret), *sets],
                stdout=log, stderr=log,
            )  # fmt: skip
        self.driver = connect(f"http://127.0.0.1:{port}", secret.read_text())
        until(self._answers, f"the agent answers: {self.log.read_text()}")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "agent_ready" in self.log.read_text()

    def close(self) -> None:
        for state in self.driver.list_guests():
            self.driver.delete_guest(state.id)
        self.driver.close()
        self.process.terminate()
        self.process.wait(300)
        self.libvirtd.close()


@contextmanager
def unprivileged(configured: str, **more: str) -> Iterator[Unprivileged]:
    """``configured`` is whom libvirt's own settings name."""
    # Not below pytest's own directory, which it closes to others whenever it starts.
    with tempfile.TemporaryDirectory(prefix="novalite-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        made = Unprivileged(Path(name), configured, **more)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def host() -> Iterator[Unprivileged]:
    # Where QEMU's user may not open /dev/kvm but root may, libvirt takes a second for each emulator at each define.
    with unprivileged("root", **{"compute.guest_user": GUESTS}) as made:
        yield made


@pytest.fixture(scope="module")
def bench(host: Unprivileged) -> Bench:
    return new_bench(host.driver, BootSectorGuests(host.driver))  # type: ignore[arg-type]


class TestUnprivileged(ComputeDriverContract):
    pass


class TestUnprivilegedChanges(ChangesContract):
    pass


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_nobody_is_root_and_disks_stay_ours(host: Unprivileged, bench: Bench) -> None:
    ours, guests = pwd.getpwnam(USER).pw_uid, pwd.getpwnam(GUESTS).pw_uid
    assert os.stat(f"/proc/{host.process.pid}").st_uid == ours
    spec = bench.boot(config_drive=ConfigDrive({"openstack/latest/meta_data.json": b"{}"}))
    status = _status(host.libvirtd.guest_pid(spec.id))
    assert set(status["Uid"].split()) == {str(guests)}
    assert int(status["CapEff"], 16) == 0
    directory = host.state_dir / "guests" / spec.id
    assert oct(directory.stat().st_mode & 0o7777) == "0o2770"
    for name in ("root.qcow2", "config.iso"):
        facts = (directory / name).stat()
        assert (facts.st_uid, oct(facts.st_mode & 0o777)) == (ours, "0o660"), name
    bench.guests.power_off(spec.id)
    until(lambda: host.driver.guest(spec.id).power is Power.OFF, "it is off")
    host.driver.delete_guest(spec.id)
    assert not directory.exists()


def test_a_guest_with_firmware_of_its_own_starts_as_the_user_of_libvirts_settings() -> None:
    """libvirt makes the firmware's memory for the user of its settings."""
    with unprivileged(GUESTS) as host:
        spec = new_bench(host.driver, BootSectorGuests(host.driver)).spec(firmware="uefi")  # type: ignore[arg-type]
        assert host.driver.ensure_guest(spec).power is Power.RUNNING
        assert _status(host.libvirtd.guest_pid(spec.id))["Uid"].split()[0] == str(pwd.getpwnam(GUESTS).pw_uid)
        host.driver.delete_guest(spec.id)
        assert host.driver.guest(spec.id).power is Power.ABSENT
