"""The parts of the guest image that need no build; tests/real/image boots a built one."""

from __future__ import annotations

import lzma
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from novalite.drivers.storage import guest_disk, guest_image, guest_kernel, guest_packages
from novalite.errors import DriverError, Unsupported

GUEST = resources.files("novalite.drivers.storage") / "guest"


def kernel(tmp_path: Path) -> guest_kernel.Kernel:
    modules = tmp_path / "k" / "lib" / "modules" / "6.1.0"
    for name in ("a/virtio_net.ko", "a/virtio.ko", "a/fail-over.ko"):
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).write_bytes(b"module " + name.encode())
    (modules / "b").mkdir()
    (modules / "b" / "packed.ko.xz").write_bytes(lzma.compress(b"packed module"))
    (modules / "modules.dep").write_text(
        "a/virtio_net.ko: a/fail-over.ko a/virtio.ko\na/virtio.ko:\na/fail-over.ko:\nb/packed.ko.xz: a/virtio.ko\n"
    )
    return guest_kernel.Kernel(tmp_path / "k", "6.1.0", tmp_path / "vmlinuz")


def test_a_module_brings_what_it_depends_on(tmp_path: Path) -> None:
    found = guest_kernel.closure(kernel(tmp_path), ["virtio_net"])
    assert found == [Path("a/fail-over.ko"), Path("a/virtio.ko"), Path("a/virtio_net.ko")]


def test_names_with_dashes_are_found_and_builtin_ones_left_out(tmp_path: Path) -> None:
    assert guest_kernel.closure(kernel(tmp_path), ["fail_over", "ext4"]) == [Path("a/fail-over.ko")]


def test_packed_modules_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_kernel, "run", lambda argv: "")
    guest_kernel.install(kernel(tmp_path), ["packed"], tmp_path / "root")
    unpacked = tmp_path / "root" / "lib/modules/6.1.0/b/packed.ko"
    assert unpacked.read_bytes() == b"packed module"
    assert (tmp_path / "root" / "lib/modules/6.1.0/a/virtio.ko").exists()


@pytest.mark.parametrize("script", ["rc", "rc.stop", "init", "udhcpc.sh", "chpasswd", "shutdown", "serial-writer"])
def test_every_script_of_the_guest_parses(script: str) -> None:
    subprocess.run(["sh", "-n"], input=(GUEST / script).read_bytes(), check=True, timeout=60)


def test_a_lease_takes_no_ipv6_address_away() -> None:
    flushes = [line for line in (GUEST / "udhcpc.sh").read_text().splitlines() if "addr flush" in line]
    assert flushes
    assert all("ip -4 addr flush" in line for line in flushes)


def test_ssh_takes_keys_only() -> None:
    rc = (GUEST / "rc").read_text()
    assert "dropbear -s " in rc
    assert guest_image.CONSOLE_PASSWORD in (GUEST / "issue").read_text(), "the login prompt tells the password"


def test_a_login_prompt_waits_on_both_consoles() -> None:
    inittab = (GUEST / "inittab").read_text()
    assert "ttyS0::respawn:" in inittab
    assert "tty1::respawn:" in inittab


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_disk, "programs", lambda: ["mcopy"])
    with pytest.raises(DriverError) as caught:
        guest_image.build(tmp_path / "out.qcow2", progress=lambda line: None)
    assert "mcopy" in str(caught.value)
    assert "./run setup" in str(caught.value)
    assert not (tmp_path / "out.qcow2").exists()


def test_another_distribution_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "novalite.drivers.storage.guest_packages.platform.freedesktop_os_release",
        lambda: {"ID": "gentoo", "PRETTY_NAME": "Gentoo"},
    )
    with pytest.raises(Unsupported, match="Gentoo"):
        guest_packages.kernel_names()


def test_ubuntu_keeps_its_modules_in_a_package_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    depends = {
        "linux-image-virtual": "  Depends: linux-image-6.8.0-50-generic\n",
        "linux-image-6.8.0-50-generic": "  Depends: kmod\n  Depends: linux-modules-6.8.0-50-generic\n",
    }
    monkeypatch.setattr(
        "novalite.drivers.storage.guest_packages.platform.freedesktop_os_release",
        lambda: {"ID": "ubuntu", "ID_LIKE": "debian", "PRETTY_NAME": "Ubuntu 24.04"},
    )
    monkeypatch.setattr(guest_packages, "run", lambda argv, **more: depends[str(argv[-1])])
    assert guest_packages.kernel_names() == ["linux-image-6.8.0-50-generic", "linux-modules-6.8.0-50-generic"]


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(DriverError, match="No such file"):
        guest_packages.run(["ls", "/nowhere/at/all"])


def test_the_version_that_apt_would_take_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "busybox-static_1%3a1.0-1_amd64.deb").write_text("old")
    (tmp_path / "busybox-static_1%3a1.0-2_amd64.deb").write_text("current")
    ran: list[list[str]] = []

    def fake(argv: list[object], **more: object) -> str:
        ran.append([str(word) for word in argv])
        return "Version: 1:1.0-2\n" if "show" in argv else ""

    monkeypatch.setattr(guest_packages, "run", fake)
    guest_packages.unpack("busybox-static", cache=tmp_path, into=tmp_path / "out")
    assert ran[-1][:2] == ["dpkg-deb", "-x"]
    assert ran[-1][2].endswith("1.0-2_amd64.deb")
    assert not any("download" in argv for argv in ran)


def test_lists_that_are_missing_are_fetched_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[str] = []

    def fake(argv: list[object], **more: object) -> str:
        words = " ".join(str(word) for word in argv)
        ran.append(words)
        if "download" in words:
            if "apt-get -q update" not in ran:
                raise DriverError("guest_image.build", "404", code="guest_image.failed")
            (tmp_path / "busybox-static_1.0_amd64.deb").write_text("new")
        return "Version: 1.0\n" if "show" in words else ""

    monkeypatch.setattr(guest_packages, "run", fake)
    monkeypatch.setattr("novalite.drivers.storage.guest_packages.os.geteuid", lambda: 0)
    guest_packages.unpack("busybox-static", cache=tmp_path, into=tmp_path / "out")
    assert ran.count("apt-get -q update") == 1
    assert ran[-1].startswith("dpkg-deb -x")
