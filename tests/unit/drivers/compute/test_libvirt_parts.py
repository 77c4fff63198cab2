"""The parts of the libvirt driver that need no libvirt."""

from __future__ import annotations

import os
import socket
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from uuid import uuid4

import libvirt
import pytest

from novalite.drivers.compute.base import ConsoleKind, DiskSpec, GuestSpec, NicSpec, Power, PowerAction
from novalite.drivers.compute.libvirt import accel, console, power
from novalite.drivers.compute.libvirt.guest import HostChoices, Names, domain
from novalite.drivers.compute.libvirt.images import CachedImage
from novalite.drivers.compute.libvirt.places import GuestPlace, Places, QemuUser
from novalite.drivers.compute.libvirt.xml import NAMESPACE, Owner, owner_of
from novalite.errors import DriverError
from tests.contracts.boot_sector import image_of
from tests.contracts.waiting import until

NAMES = Names("0a1b2c3d-0000-4000-8000-000000000000")
PLACE = GuestPlace(Path("/state/guests/g"), Path("/state/guests/g"))
EMULATED = HostChoices("qemu", "", "none")
BASE = CachedImage(Path("/state/images-cache/i"), "raw", 1 << 20)


def _render(host: HostChoices = EMULATED, **changes: object) -> ET.Element:
    image = image_of(str(uuid4()), b"")
    values: dict[str, object] = {
        "id": str(uuid4()),
        "name": "web & <db>",
        "project_id": "p",
        "vcpus": 2,
        "memory_mib": 256,
        "disks": (DiskSpec("root", "vda", 1, image, serial="0123456789012345678901234", boot_index=0),),
        "nics": (NicSpec("port", "fa:16:3e:00:00:01", "tapX", 1450),),
        **changes,
    }
    return ET.fromstring(domain(GuestSpec(**values), NAMES, PLACE, {"root": BASE}, host).render())  # type: ignore[arg-type]


def _attribute(root: ET.Element, path: str, name: str) -> str | None:
    found = root.find(path)
    assert found is not None, path
    return found.get(name)


def test_a_domain_says_whose_it_is() -> None:
    guest_id = str(uuid4())
    root = _render(id=guest_id)
    assert root.findtext("uuid") == guest_id
    assert root.findtext("name") == f"novalite-0a1b2c3d-{guest_id}"
    mark = root.find(f"metadata/{{{NAMESPACE}}}server")
    assert mark is not None
    assert owner_of(ET.tostring(mark, "unicode")) == Owner(NAMES.appliance_id, guest_id, "web & <db>", "p")


def test_only_our_names_with_their_own_uuid_are_ours() -> None:
    assert NAMES.guest_id("novalite-0a1b2c3d-u", "u") == "u"
    for name in ("novalite-0a1b2c3d-other", "novalite-ffffffff-u", "u", "web"):
        assert NAMES.guest_id(name, "u") == ""


def test_no_format_is_left_to_guessing() -> None:
    root = _render()
    assert _attribute(root, "devices/disk/driver", "type") == "qcow2"
    assert _attribute(root, "devices/disk/backingStore/format", "type") == "raw"
    assert root.find("devices/disk/backingStore/backingStore") is not None
    assert root.findtext("devices/disk/serial") == "01234567890123456789"
    assert _attribute(root, "devices/disk/boot", "order") == "1"


def test_a_guest_can_tell_that_it_runs_in_openstack() -> None:
    root = _render()
    entries = {entry.get("name"): entry.text for entry in root.findall("sysinfo/system/entry")}
    assert entries["product"] == "OpenStack Compute"
    assert entries["uuid"] == root.findtext("uuid")
    assert _attribute(root, "os/smbios", "mode") == "sysinfo"


def test_the_processor_fits_the_way_the_guest_runs() -> None:
    assert _render().findtext("cpu/model") == "Nehalem"
    assert _attribute(_render(), "cpu/feature", "name") == "rdrand"
    assert _render(HostChoices("qemu", "Westmere", "none")).findtext("cpu/model") == "Westmere"
    root = _render(HostChoices("kvm", "Westmere", "none"))
    assert root.get("type") == "kvm"
    assert _attribute(root, "cpu", "mode") == "host-passthrough"


def test_uefi_takes_firmware_that_boots_unsigned_loaders() -> None:
    root = _render(firmware="uefi")
    assert _attribute(root, "os", "firmware") == "efi"
    assert _attribute(root, "os/type", "machine") == "q35"
    assert _attribute(root, "os/firmware/feature", "enabled") == "no"


def test_consoles_are_sockets_only_the_host_reaches() -> None:
    root = _render(consoles=(ConsoleKind.VNC, ConsoleKind.SPICE))
    kinds = {g.get("type"): g.find("listen") for g in root.findall("devices/graphics")}
    assert set(kinds) == {"vnc", "spice"}
    assert all(listen is not None and listen.get("type") == "socket" for listen in kinds.values())
    assert _attribute(root, "devices/serial/log", "append") == "on"
    assert _render(consoles=()).find("devices/video") is None


@pytest.mark.parametrize(
    ("state", "reason", "saved", "expected"),
    [
        (libvirt.VIR_DOMAIN_RUNNING, 1, False, Power.RUNNING),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER, False, Power.PAUSED),
        (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_CRASHED, False, Power.CRASHED),
        (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN, False, Power.OFF),
        (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SAVED, True, Power.SUSPENDED),
        (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED, False, Power.CRASHED),
        (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED, False, Power.OFF),
        (libvirt.VIR_DOMAIN_PMSUSPENDED, 0, False, Power.PAUSED),
    ],
)
def test_power_states_in_the_words_of_the_port(state: int, reason: int, saved: bool, expected: Power) -> None:
    assert power.state_of(state, reason, saved)[0] is expected


class GoesDown:
    """A domain that runs when it is asked, and not any more when its button is pressed."""

    def __init__(self, afterwards: int) -> None:
        self.at, self._afterwards = libvirt.VIR_DOMAIN_RUNNING, afterwards

    def state(self) -> tuple[int, int]:
        return self.at, 0

    def isActive(self) -> bool:
        return self.at == libvirt.VIR_DOMAIN_RUNNING

    def hasManagedSaveImage(self) -> bool:
        return False

    def shutdownFlags(self, _flags: int) -> None:
        self.at = self._afterwards
        raise libvirt.libvirtError("domain is not running")


@pytest.mark.parametrize("afterwards", [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTDOWN])
def test_a_guest_that_goes_down_while_it_is_asked_to_is_down(afterwards: int) -> None:
    power.act(GoesDown(afterwards), PowerAction.SHUTDOWN)


def test_a_guest_that_does_not_go_down_is_told() -> None:
    with pytest.raises(libvirt.libvirtError):
        power.act(GoesDown(libvirt.VIR_DOMAIN_RUNNING), PowerAction.SHUTDOWN)


def test_events_that_say_nothing_about_power_are_left_out() -> None:
    assert power.state_from_event(libvirt.VIR_DOMAIN_EVENT_DEFINED, 0) is None
    assert power.state_from_event(libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED) == (
        Power.SUSPENDED,
        "",
    )


# Places


def test_ids_that_are_no_uuids_never_become_paths(tmp_path: Path) -> None:
    places = Places(tmp_path, NAMES.appliance_id)
    for bad in ("", "..", "../x", "a/b", str(uuid4()).upper(), "{" + str(uuid4()) + "}"):
        with pytest.raises(DriverError):
            places.guest(bad)


# Acceleration


def test_a_verdict_is_proved_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proofs: list[str] = []

    def fails(emulator: str, accelerator: str, user: QemuUser) -> str:
        proofs.append(accelerator)
        return "failed to set MSR"

    monkeypatch.setattr(accel, "boot_proof", fails)
    monkeypatch.setattr(os.path, "exists", lambda path: True)
    file, user = tmp_path / "verdict.json", QemuUser(0, 0)
    for _ in range(2):
        found = accel.Acceleration("auto", file).verdict("qemu", 7002000, True, user)
        assert found.virt_type == "qemu"
        assert "failed to set MSR" in found.words
    assert proofs == ["kvm"]
    accel.Acceleration("auto", file).verdict("qemu", 8000000, True, user)
    assert proofs == ["kvm", "kvm"]  # another QEMU is another question


def test_a_chosen_acceleration_is_not_proved(tmp_path: Path) -> None:
    for wanted in ("qemu", "kvm"):
        found = accel.Acceleration(wanted, tmp_path / "verdict.json").verdict("none", 1, True, QemuUser(0, 0))
        assert found.virt_type == wanted
        assert "setting" in found.words


# Console logs and serial lines


def test_a_console_log_is_bounded_and_its_end_stays_readable(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    assert console.tail(log, 10) == b""
    text = b"".join(b"%06d\n" % n for n in range(1000))
    with log.open("ab", buffering=0) as guest:
        guest.write(text)
        console.cut(log, keep=5000)
        assert log.stat().st_size == len(text)
        console.cut(log, keep=700)
        assert log.stat().st_size == 0
        guest.write(b"later\n")
    assert console.tail(log, 20) == text[-14:] + b"later\n"
    assert console.tail(log, 100_000) == text[-700:] + b"later\n"


def test_a_link_in_place_of_the_log_leads_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root password")
    log = tmp_path / "console.log"
    log.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        console.tail(log, 100)


def test_several_share_a_serial_line_and_a_new_one_may_join_after_all_left(tmp_path: Path) -> None:
    path = tmp_path / "serial.sock"
    with socket.socket(socket.AF_UNIX) as qemu:
        qemu.bind(str(path))
        qemu.listen()
        lines = console.SerialLines()
        first, second = lines.open(path), lines.open(path)
        guest, _ = qemu.accept()
        for client in (first, second):  # both have joined once they were heard
            client.sendall(b"\n")
            assert guest.recv(1) == b"\n"
        guest.sendall(b"login: ")
        assert first.recv(100) == second.recv(100) == b"login: "
        second.sendall(b"root\n")
        assert guest.recv(100) == b"root\n"
        first.sendall(b"last words")
        first.close()
        second.close()
        heard = b""
        while data := guest.recv(100):
            heard += data
        assert heard == b"last words"
        third = lines.open(path)
        guest.close()
        guest, _ = qemu.accept()
        third.sendall(b"\n")
        assert guest.recv(1) == b"\n"
        guest.sendall(b"again")
        assert third.recv(100) == b"again"
        guest.close()
        assert third.recv(100) == b""
        third.close()
        lines.close()
    until(lambda: "serial-line" not in {t.name for t in threading.enumerate()}, "all threads left")


def test_a_client_that_does_not_read_is_dropped_and_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "serial.sock"
    with socket.socket(socket.AF_UNIX) as qemu:
        qemu.bind(str(path))
        qemu.listen()
        lines = console.SerialLines()
        stuck, reader = lines.open(path), lines.open(path)
        guest, _ = qemu.accept()
        for client in (stuck, reader):
            client.sendall(b"\n")
            assert guest.recv(1) == b"\n"
        heard = [0]

        def read() -> None:
            while data := reader.recv(65536):
                heard[0] += len(data)

        reading = threading.Thread(target=read)
        reading.start()
        flood = bytes(1 << 16)
        for sent in range(1, 65):
            guest.sendall(flood)
            wanted = sent * len(flood)  # a reader that lags behind would rightly be dropped as well
            until(lambda wanted=wanted: heard[0] == wanted, "the reader has it all")  # type: ignore[misc]
        guest.close()
        reading.join(60)
        stuck.close()
        reader.close()
        lines.close()
