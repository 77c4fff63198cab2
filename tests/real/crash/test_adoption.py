"""Real domains of somebody else's: taken over, run, killed in between, and given back to the letter."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.engine.conductor import registry
from tests.contracts.boot_sector import GREETING, obedient
from tests.contracts.waiting import until
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
_EDGES = ("begin", "done", "recorded")
_NVRAM = Path("/var/lib/libvirt/qemu/nvram")
_DEFINITION = """
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <title>Somebody's own</title>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{root}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='{data}'/>
      <target dev='vdb' bus='virtio'/>
      <serial>OWN-SERIAL</serial>
    </disk>
    <sound model='ich6'/>
    <video><model type='cirrus'/></video>
  </devices>
</domain>
"""


def _virsh(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *arguments], capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


@dataclass
class _Machine:
    """What somebody has made with virsh."""

    name: str
    uuid: str
    root: Path
    data: Path

    @property
    def definition(self) -> str:
        return _virsh("dumpxml", "--inactive", "--security-info", self.uuid)

    def facts(self) -> list[tuple[str, int]]:
        """Of each disk, the hash of what a guest sees and which file it is."""
        found = []
        for path, form in ((self.root, "qcow2"), (self.data, "raw")):
            plain = path.with_suffix(".plain")
            subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", path, plain], timeout=300, check=True)
            found.append((hashlib.sha256(plain.read_bytes()).hexdigest(), os.stat(path).st_ino))
            plain.unlink()
        return found


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Machine]:
    directory = tmp_path_factory.mktemp("own")
    raw, root, data = directory / "boot.raw", directory / "root.qcow2", directory / "data.img"
    raw.write_bytes(obedient() + os.urandom(1 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, root], timeout=300, check=True)
    data.write_bytes(os.urandom(3 << 20))
    made = _Machine(f"own-{uuid4().hex[:8]}", str(uuid4()), root, data)
    definition = directory / "own.xml"
    definition.write_text(_DEFINITION.format(name=made.name, uuid=made.uuid, root=root, data=data))
    _virsh("define", str(definition))
    _virsh("autostart", made.uuid)
    yield made
    _virsh("destroy", made.uuid, check=False)
    _virsh("undefine", made.uuid, check=False)


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed]) -> Doomed:
    ensure_libvirtd()
    return doomed("adopting", driver="libvirt", compute__stop_timeout_seconds=1)


def _adopt(cloud: Doomed, machine: _Machine) -> None:
    cloud.post("/admin/adoptions", {"adoption": {"domain": machine.name}})


def _give_back(cloud: Doomed, machine: _Machine) -> None:
    cloud.post(f"/admin/adoptions/{machine.uuid}/undo", None)


def _is_given_back(cloud: Doomed, machine: _Machine) -> bool:
    return cloud.call("GET", f"/admin/adoptions/{machine.uuid}").status_code == 404


def _boundaries(kind: str) -> list[str]:
    return [f"{kind}/{step.name}:{edge}" for step in registry().flow(kind).steps for edge in _EDGES]


def _defined(machine: _Machine, name: str, root: Path, data: Path) -> str:
    """The id of another machine of somebody's, with these disks."""
    uuid, file = str(uuid4()), machine.root.with_name(f"{name}.xml")
    file.write_text(_DEFINITION.format(name=name, uuid=uuid, root=root, data=data))
    _virsh("define", str(file))
    return uuid


def test_disks_that_other_machines_have_too_are_not_taken(cloud: Doomed, machine: _Machine) -> None:
    clone, own = machine.root.with_name("clone.qcow2"), machine.root.with_name("own.img")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", machine.root, clone], timeout=300,
                   check=True)  # fmt: skip
    own.write_bytes(bytes(1 << 20))
    names = {name: f"{name}-{machine.name}" for name in ("same", "clone")}
    others = [_defined(machine, names["same"], machine.root.with_name("lost.qcow2"), machine.data),
              _defined(machine, names["clone"], clone, own)]  # fmt: skip
    try:
        refused = cloud.call("POST", "/admin/adoptions", json={"adoption": {"domain": machine.name}})
        assert refused.status_code == 409, refused.text
        assert f"its disk vdb, {machine.data}, is one of machine {names['same']} too" in refused.text
        assert f"a disk of machine {names['clone']} stands on {machine.root}" in refused.text
        assert machine.name in _virsh("list", "--all", "--name")
    finally:
        for uuid in others:
            _virsh("undefine", uuid)
    _adopt(cloud, machine)
    cloud.wait_status(machine.uuid, "SHUTOFF")
    _give_back(cloud, machine)
    until(lambda: _is_given_back(cloud, machine), "it is given back")


def test_it_runs_as_a_server_and_comes_back_to_the_letter(cloud: Doomed, machine: _Machine) -> None:
    before, facts = machine.definition, machine.facts()
    assert machine.name in [each["name"] for each in cloud.get("/admin/foreign-guests")["foreign_guests"]]
    _adopt(cloud, machine)
    cloud.wait_status(machine.uuid, "SHUTOFF")
    assert (machine.name in _virsh("list", "--all", "--name"), machine.facts()) == (False, facts)
    for _ in range(2):
        assert cloud.act(machine.uuid, "os-start").status_code == 202
        cloud.wait_status(machine.uuid, "ACTIVE")
        until(lambda: GREETING in _console(cloud, machine), "the guest has booted from its own disk")
        ours = _virsh("dumpxml", machine.uuid)
        assert (str(machine.root) in ours, str(machine.data) in ours, "OWN-SERIAL" in ours) == (True, True, True)
        assert cloud.act(machine.uuid, "os-stop").status_code == 202
        cloud.wait_status(machine.uuid, "SHUTOFF")
    assert machine.facts() == facts
    assert cloud.doctor() == []
    _give_back(cloud, machine)
    until(lambda: _is_given_back(cloud, machine), "it is given back")
    assert (machine.definition, machine.facts()) == (before, facts)
    assert "enable" in _virsh("dominfo", machine.uuid).partition("Autostart:")[2].splitlines()[0]
    _virsh("start", machine.uuid)
    assert cloud.call("POST", "/admin/adoptions", json={"adoption": {"domain": machine.name}}).status_code == 409
    _virsh("destroy", machine.uuid)
    assert cloud.doctor() == []


def test_variables_of_the_firmware_are_taken_along(cloud: Doomed, machine: _Machine) -> None:
    old = "<os><type arch='x86_64' machine='pc'>hvm</type>"
    new = ("<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>"
           "<firmware><feature enabled='no' name='secure-boot'/></firmware>")  # fmt: skip
    text = _DEFINITION.format(name=machine.name, uuid=machine.uuid, root=machine.root, data=machine.data)
    definition = machine.root.with_name("efi.xml")
    definition.write_text(text.replace(old, new))
    _virsh("define", str(definition))
    _virsh("start", "--paused", machine.uuid)
    _virsh("destroy", machine.uuid)
    before, theirs = machine.definition, _NVRAM / f"{machine.name}_VARS.fd"
    with theirs.open("r+b") as file:
        file.seek(300000)
        file.write(b"set by somebody")
    content = theirs.read_bytes()
    _adopt(cloud, machine)
    cloud.wait_status(machine.uuid, "SHUTOFF")
    [ours] = _NVRAM.glob(f"novalite-*-{machine.uuid}_VARS.fd")
    assert ours.read_bytes() == content
    assert cloud.act(machine.uuid, "os-start").status_code == 202
    cloud.wait_status(machine.uuid, "ACTIVE")
    assert str(ours) in _virsh("dumpxml", machine.uuid)
    assert cloud.act(machine.uuid, "os-stop").status_code == 202
    cloud.wait_status(machine.uuid, "SHUTOFF")
    assert b"set by somebody" in ours.read_bytes()
    _give_back(cloud, machine)
    until(lambda: _is_given_back(cloud, machine), "it is given back")
    assert (machine.definition, theirs.read_bytes(), ours.exists()) == (before, content, False)
    _virsh("undefine", "--nvram", machine.uuid)


def _console(cloud: Doomed, machine: _Machine) -> bytes:
    log = cloud.state_dir / "guests" / machine.uuid / "console.log"
    return log.read_bytes() if log.exists() else b""


def test_deleting_the_server_leaves_the_disks(cloud: Doomed, machine: _Machine) -> None:
    before, facts = machine.definition, machine.facts()
    _adopt(cloud, machine)
    cloud.wait_status(machine.uuid, "SHUTOFF")
    assert cloud.act(machine.uuid, "os-start").status_code == 202
    cloud.wait_status(machine.uuid, "ACTIVE")
    cloud.delete(machine.uuid)
    cloud.wait_gone(machine.uuid)
    assert machine.facts() == facts
    _give_back(cloud, machine)
    until(lambda: _is_given_back(cloud, machine), "it is given back")
    cloud.idle()
    assert (machine.definition, machine.facts()) == (before, facts)
    assert cloud.get("/volume/v3/volumes")["volumes"] == []
    assert cloud.doctor() == []


@pytest.mark.parametrize("boundary", _boundaries("server.adopt"))
def test_killed_while_it_is_taken(cloud: Doomed, machine: _Machine, boundary: str) -> None:
    before, facts = machine.definition, machine.facts()
    cloud.hold_at(boundary)
    _adopt(cloud, machine)
    cloud.dies_at(boundary)
    cloud.wait_status(machine.uuid, "SHUTOFF")
    assert machine.name not in _virsh("list", "--all", "--name").split()
    assert cloud.doctor() == []
    _give_back(cloud, machine)
    until(lambda: _is_given_back(cloud, machine), "it is given back")
    assert (machine.definition, machine.facts()) == (before, facts)


@pytest.mark.parametrize("boundary", _boundaries("server.give_back"))
def test_killed_while_it_is_given_back(cloud: Doomed, machine: _Machine, boundary: str) -> None:
    before, facts = machine.definition, machine.facts()
    _adopt(cloud, machine)
    cloud.wait_status(machine.uuid, "SHUTOFF")
    cloud.hold_at(boundary)
    _give_back(cloud, machine)
    cloud.dies_at(boundary)
    until(lambda: _is_given_back(cloud, machine), "it is given back")
    cloud.idle()
    assert (machine.definition, machine.facts()) == (before, facts)
    assert cloud.get("/volume/v3/volumes")["volumes"] == []
    assert cloud.doctor() == []


def test_called_off_while_it_is_taken(cloud: Doomed, machine: _Machine) -> None:
    before, facts = machine.definition, machine.facts()
    cloud.hold_at("server.adopt/take:recorded")
    _adopt(cloud, machine)
    cloud.until_there("server.adopt/take:recorded")
    cloud.delete(machine.uuid)
    cloud.dies_at("server.adopt/take:recorded")
    cloud.wait_gone(machine.uuid)
    cloud.idle()
    assert (machine.definition, machine.facts()) == (before, facts)
    assert cloud.doctor() == []
