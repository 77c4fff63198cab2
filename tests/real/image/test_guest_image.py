"""The bundled guest image, built and booted by plain QEMU: nothing else of NovaLite takes part."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.drivers.storage import guest_image, inspect
from tests.contracts import waiting

pytestmark = pytest.mark.real

UUID = "0b6dbd1e-1111-4222-8333-444455556666"
FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("guest") / "guest.qcow2"
    steps: list[str] = []
    guest_image.build(out, progress=steps.append)
    assert len(steps) >= 4
    assert steps[-1].startswith("Built ")
    return out


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=300)
    return path


def config_drive(tmp_path: Path, key: Path, **metadata: str) -> Path:
    latest = tmp_path / "drive" / "openstack" / "latest"
    latest.mkdir(parents=True)
    known = {"uuid": UUID, "hostname": "it's-hello", "availability_zone": "nova",
             "public_keys": {"mine": key.with_suffix(".pub").read_text()}}  # fmt: skip
    (latest / "meta_data.json").write_text(json.dumps({**known, **metadata}))
    (latest / "user_data").write_text("#!/bin/sh\necho ran >> /root/runs\necho user data says hello\n")
    iso = tmp_path / "drive.iso"
    subprocess.run(
        ["genisoimage", "-quiet", "-o", str(iso), "-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-J", "-r",
         "-V", "config-2", str(tmp_path / "drive")],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return iso


class Guest:
    """A guest of plain QEMU under emulation, with its serial console in a file."""

    def __init__(self, tmp_path: Path, image: Path, drive: Path, key: Path, *more: str) -> None:
        self._key, self._log = key, tmp_path / "console.log"
        disk = tmp_path / "disk.qcow2"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "qcow2", str(disk), "1G"],
            check=True,
            timeout=300,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-machine", "pc", "-accel", "tcg", "-cpu", "Nehalem,+rdrand",
             "-m", "256", "-display", "none", "-vga", "std", "-serial", f"file:{self._log}",
             "-drive", f"file={disk},format=qcow2,if=virtio",
             "-drive", f"file={drive},format=raw,media=cdrom,if=ide",
             "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self._port}-:22",
             "-device", "virtio-net-pci,netdev=net,romfile=", *more],
        )  # fmt: skip

    @property
    def console(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def until(self, pattern: str, *, times: int = 1, seconds: float = waiting.PATIENCE) -> str:
        """The console's text once ``pattern`` was seen that often."""
        waiting.until(lambda: len(re.findall(pattern, self.console)) >= times, f"{pattern!r} on the console", seconds)
        return self.console

    def ssh(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ssh", "-i", str(self._key), "-p", str(self._port), "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
             "-o", "ConnectTimeout=10", *options, "root@127.0.0.1", command],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def ask(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def boot(tmp_path: Path, image: Path, key: Path) -> Iterator[list[Guest]]:
    guests: list[Guest] = []
    yield guests
    for guest in guests:
        guest.process.kill()
        guest.process.wait(timeout=300)


def test_the_image_passes_our_own_checks(image: Path) -> None:
    assert inspect.check(image, "qcow2", max_virtual_size=1 << 30) < 256 << 20


def test_a_guest_reports_each_step_and_ends_at_a_login_prompt(
    tmp_path: Path, image: Path, key: Path, boot: list[Guest]
) -> None:
    guest = Guest(tmp_path, image, config_drive(tmp_path, key), key)
    boot.append(guest)
    text = guest.until("login: ")
    for line in (
        r"GUEST: start \S+",
        r"GUEST: rootfs \d{6,} KiB",
        "GUEST: configdrive /dev/sr0",
        r"GUEST: nic eth0 [0-9a-f:]{17}",
        r"GUEST: dhcp eth0 10\.0\.2\.\d+/24 router=10\.0\.2\.2",
        f"GUEST: metadata configdrive uuid={UUID} hostname=it's-hello az=nova",
        "GUEST: hostname it's-hello",
        "GUEST: sshkeys 1",
        "GUEST: ssh listening",
        "GUEST: userdata exit=0 user data says hello",
        "GUEST: boots 1",
        r"GUEST: ready up=\d+",
    ):
        assert re.search(line, text), f"{line} is not in\n{text}"
    assert text.rstrip().endswith("login:"), "the prompt is the last thing to see"

    assert guest.ask("cat /root/runs") == "ran"
    by_password = guest.ssh("true", "-o", "PubkeyAuthentication=no", "-v")
    assert by_password.returncode == 255
    offered = re.findall(r"Permission denied \((.*)\)", by_password.stderr)
    assert offered == ["publickey"], "no password opens SSH"
    host_key = guest.ask("dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key")

    guest.ssh("reboot")
    text = guest.until("GUEST: boots 2")
    guest.until("login: ", times=2)
    assert "GUEST: userdata already run" in text
    assert guest.ask("cat /root/runs") == "ran"
    assert guest.ask("dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key") == host_key


def test_a_given_password_opens_the_console(tmp_path: Path, image: Path, key: Path, boot: list[Guest]) -> None:
    guest = Guest(tmp_path, image, config_drive(tmp_path, key, admin_pass="s3cret'; reboot #"), key)
    boot.append(guest)
    assert "GUEST: adminpass set" in guest.until("login: ")
    salt, stored = guest.ask("grep ^root: /etc/shadow").split(":")[1].split("$")[2:4]
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, "-stdin"], input="s3cret'; reboot #\n", capture_output=True,
        text=True, check=True, timeout=300,
    )  # fmt: skip
    assert hashed.stdout.strip().endswith(stored)
    assert "novalite" not in guest.ask("cat /etc/issue")


@pytest.mark.skipif(not FIRMWARE.exists(), reason="no UEFI firmware on this machine")
def test_the_same_disk_boots_by_uefi(tmp_path: Path, image: Path, key: Path, boot: list[Guest]) -> None:
    variables = tmp_path / "vars.fd"
    shutil.copy(FIRMWARE.with_name("OVMF_VARS_4M.fd"), variables)
    guest = Guest(
        tmp_path, image, config_drive(tmp_path, key), key,
        "-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}",
        "-drive", f"if=pflash,format=raw,file={variables}",
    )  # fmt: skip
    boot.append(guest)
    assert "GUEST: ready" in guest.until("login: ")
    assert guest.ask("ls -d /sys/firmware/efi") == "/sys/firmware/efi"
