"""Exports of volumes by qemu-storage-daemon: who gets in, what is read there, what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.compute.libvirt import sources
from novalite.drivers.storage import qemu_img
from novalite.drivers.storage.base import ExportSpec, VolumePlace
from novalite.drivers.storage.export_daemon import QemuDaemon, _Orders
from novalite.errors import DriverError
from novalite.pki.host_keys import HostKeys
from tests.contracts.volume_exports import MIB, Machine, VolumeExportsContract
from tests.contracts.waiting import until

pytestmark = pytest.mark.real


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    # Longer than the path of a socket may be.
    directory = tmp_path / ("long," * 20)
    directory.mkdir()
    made = Machine(directory, QemuDaemon)
    yield made
    made.close()


class TestDaemons(VolumeExportsContract):
    pass


def client(machine: Machine, host: str) -> Path:
    machine.keys(host)
    return machine.directory / f"keys-{host}"


def io(place: str, keys: Path, *commands: str, read_only: bool = False) -> subprocess.CompletedProcess[str]:
    """What a host does with an export, by qemu-io."""
    options = [word for command in commands for word in ("-c", command)] + ["-r"] * read_only
    return subprocess.run(["qemu-io", *options, *sources.words(place, "raw", keys)], capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip


def works(place: str, keys: Path, *commands: str, read_only: bool = False) -> bool:
    done = io(place, keys, *commands, read_only=read_only)
    return done.returncode == 0 and "failed" not in done.stdout + done.stderr


def pid(machine: Machine, host: str) -> int:
    return int((machine.directory / "exports" / "hosts" / host / "pid").read_text())


@pytest.mark.parametrize("form", ["qcow2", "raw"])
def test_what_is_written_there_is_in_the_volume_bit_for_bit(machine: Machine, tmp_path: Path, form: str) -> None:
    spec, keys, data = machine.volume(form), client(machine, "a"), tmp_path / "data"
    place = machine.exports.ensure_export(spec)
    data.write_bytes(os.urandom(MIB))
    assert works(place, keys, f"write -s {data} 0 {MIB}", "flush")
    machine.exports.remove_export(spec.id)
    back = tmp_path / "back"
    qemu_img.convert("test", spec.place.path, form, back, "raw")
    assert back.read_bytes()[:MIB] == data.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")
def test_devices_are_exported_as_files_are(machine: Machine, tmp_path: Path) -> None:
    """As logical volumes are; those need a kernel with device-mapper."""
    backing, keys = tmp_path / "backing", client(machine, "a")
    backing.write_bytes(bytes(MIB))
    device = subprocess.run(["losetup", "--show", "-f", str(backing)], capture_output=True, text=True, timeout=300,
                            check=True).stdout.strip()  # fmt: skip
    try:
        spec = replace(machine.volume("raw"), place=VolumePlace(device, "raw"))
        place = machine.exports.ensure_export(spec)
        assert works(place, keys, "write -P 7 64k 4k", "flush")
        machine.exports.remove_export(spec.id)
    finally:
        subprocess.run(["losetup", "-d", device], timeout=300, check=True)
    assert backing.read_bytes()[65536:69632] == b"\7" * 4096


def test_only_the_host_it_is_for_gets_in(machine: Machine, tmp_path: Path) -> None:
    place = machine.exports.ensure_export(machine.volume())
    other = machine.exports.ensure_export(machine.volume(host="b"))
    keys, others = client(machine, "a"), client(machine, "b")
    assert works(place, keys, "read 0 4k")
    assert works(other, others, "read 0 4k")
    for where, whose in ((place, others), (other, keys)):
        assert not works(where, whose, "read 0 4k")
    name = other.rpartition("/")[2]
    crossed = f"{place.rpartition('/')[0]}/{name}"
    assert "not present" in io(crossed, keys, "read 0 4k").stderr
    stranger = Machine(_made(tmp_path / "stranger"), QemuDaemon)
    assert not works(place, client(stranger, "a"), "read 0 4k")
    plain = sources.words(place, "raw", keys)[-1].removesuffix(",file.tls-creds=keys")
    refused = subprocess.run(["qemu-io", "-c", "read 0 4k", "--image-opts", plain], capture_output=True, text=True,
                             timeout=300, check=False)  # fmt: skip
    assert "TLS" in refused.stderr
    assert refused.returncode != 0


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_a_certificate_without_its_key_opens_nothing(machine: Machine) -> None:
    place, keys = machine.exports.ensure_export(machine.volume()), client(machine, "a")
    stolen = HostKeys(machine.directory / "thief")
    stolen.request("a")
    for name in ("ca-cert.pem", "client-cert.pem"):
        (machine.directory / "thief" / name).write_bytes((keys / name).read_bytes())
    assert not works(place, machine.directory / "thief", "read 0 4k")


def test_the_host_does_not_talk_to_just_anybody(machine: Machine, tmp_path: Path) -> None:
    """One who listens in place of this machine is noticed."""
    keys = client(machine, "a")
    impostor = Machine(_made(tmp_path / "impostor"), QemuDaemon)
    place = impostor.exports.ensure_export(impostor.volume())
    assert "certificate" in io(place, keys, "read 0 4k").stderr
    impostor.close()


def test_read_only_attachments_are_read_only(machine: Machine) -> None:
    spec, keys = machine.volume(read_only=True), client(machine, "a")
    place = machine.exports.ensure_export(spec)
    assert works(place, keys, "read 0 4k", read_only=True)
    assert not works(place, keys, "write 0 4k")


def test_an_export_that_ends_cuts_off_who_has_it_open(machine: Machine) -> None:
    spec, keys = machine.volume("raw"), client(machine, "a")
    place = machine.exports.ensure_export(spec)
    holder = subprocess.Popen(["qemu-io", *sources.words(place, "raw", keys)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("write -P 1 0 4k\n")
    holder.stdin.flush()
    assert "wrote" in holder.stdout.readline() + holder.stdout.readline()
    machine.exports.remove_export(spec.id)
    said, _ = holder.communicate("write -P 2 0 4k\nflush\nquit\n", timeout=300)
    assert "failed" in said
    assert Path(spec.place.path).read_bytes()[:4096] == b"\1" * 4096


def test_no_guest_of_this_machine_opens_what_is_exported(machine: Machine) -> None:
    spec = machine.volume("qcow2")
    machine.exports.ensure_export(spec)
    with pytest.raises(DriverError) as refused:
        qemu_img.convert("test", spec.place.path, "qcow2", machine.directory / "copy", "raw")
    assert refused.value.code == "volume.busy"


def test_a_killed_daemon_comes_back_at_once(machine: Machine) -> None:
    spec, keys = machine.volume(), client(machine, "a")
    place = machine.exports.ensure_export(spec)
    watcher = threading.Thread(target=_watch, args=(machine,))
    watcher.start()
    try:
        killed = pid(machine, "a")
        os.kill(killed, signal.SIGKILL)
        until(lambda: spec.id in machine.exports.served() and pid(machine, "a") != killed, "it is exported again")
        assert works(place, keys, "read 0 4k")
    finally:
        machine.exports.close()
        watcher.join(30)


def _watch(machine: Machine) -> None:
    while machine.exports.watch(60):
        continue


@pytest.mark.parametrize("form", ["qcow2", "raw"])
def test_a_kill_loses_nothing_that_was_said_to_be_written(machine: Machine, form: str) -> None:
    """Nobody asked for it to be flushed: a guest that goes on afterwards does so later, and would not know."""
    spec, keys = machine.volume(form), client(machine, "a")
    place = machine.exports.ensure_export(spec)
    with subprocess.Popen(["qemu-io", "-t", "writeback", *sources.words(place, "raw", keys)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as holder:  # fmt: skip
        assert holder.stdin is not None
        assert holder.stdout is not None
        for number in range(1, 9):
            holder.stdin.write(f"write -P {number} {number * 64}k 32k\n")
            holder.stdin.flush()
            said = holder.stdout.readline() + holder.stdout.readline()
            assert "wrote" in said
        os.kill(pid(machine, "a"), signal.SIGKILL)
        holder.kill()
    machine.exports.restore()
    assert works(place, keys, *(f"read -P {number} {number * 64}k 32k" for number in range(1, 9)))


def test_an_export_whose_end_was_cut_off_leaves_nothing_open(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon goes on for others: what it still has open of the volume would stay so."""
    kept, ended = machine.volume(), machine.volume()
    for spec in (kept, ended):
        machine.exports.ensure_export(spec)
    ask = _Orders.ask

    def cut_off(orders: _Orders, command: str, **arguments: Any) -> Any:
        if command == "blockdev-del":
            raise KeyboardInterrupt
        return ask(orders, command, **arguments)

    monkeypatch.setattr(_Orders, "ask", cut_off)
    with pytest.raises(KeyboardInterrupt):
        machine.exports.remove_export(ended.id)
    monkeypatch.undo()
    assert _files_open(machine, "a") == {kept.place.path, ended.place.path}
    machine.fresh().remove_export(ended.id)
    assert _files_open(machine, "a") == {kept.place.path}


def _files_open(machine: Machine, host: str) -> set[str]:
    links = Path(f"/proc/{pid(machine, host)}/fd").iterdir()
    volumes = str(machine.directory / "volumes")
    return {path for path in (os.readlink(link) for link in links) if path.startswith(volumes)}


def test_a_number_that_is_somebody_elses_now_is_left_alone(machine: Machine) -> None:
    """The daemon ended, and another process has its number."""
    spec = machine.volume()
    machine.exports.ensure_export(spec)
    machine.daemon("a").stop()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (machine.directory / "exports" / "hosts" / "a" / "pid").write_text(f"{bystander.pid}\n")
        assert machine.exports.served() == frozenset()
        machine.exports.restore()
        assert machine.exports.served() == {spec.id}
        machine.exports.remove_export(spec.id)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_volume_whose_file_is_gone_is_told(machine: Machine) -> None:
    kept, lost = machine.volume(), machine.volume(host="b")
    for spec in (kept, lost):
        machine.exports.ensure_export(spec)
    machine.daemon("b").stop()
    Path(lost.place.path).unlink()
    assert machine.exports.restore() == ("b",)
    assert machine.exports.served() == {kept.id}
    machine.exports.remove_export(lost.id)


def test_hostile_content_leads_nowhere(machine: Machine, tmp_path: Path) -> None:
    """A guest writes what it likes into its volume: it never becomes another format, or names a file."""
    secret, keys = tmp_path / "secret", client(machine, "a")
    secret.write_bytes(b"secret" + bytes(MIB))
    evil = tmp_path / "evil"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(evil)], check=True,
                   timeout=300)  # fmt: skip
    spec: ExportSpec = machine.volume("raw")
    Path(spec.place.path).write_bytes(evil.read_bytes().ljust(MIB, b"\0"))
    place, back = machine.exports.ensure_export(spec), tmp_path / "back"
    words = ["qemu-img", "convert", "-O", "raw", *sources.words(place, "raw", keys), str(back)]
    subprocess.run(words, check=True, timeout=300)
    assert back.read_bytes()[:4] == b"QFI\xfb"
    assert b"secret" not in back.read_bytes()[: len(b"secret")]
