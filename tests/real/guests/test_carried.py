"""Servers that leave as files and come back, and a machine that somebody else made: what is on their disks is the same,
seen from inside."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.contracts.boot_sector import obedient
from tests.contracts.waiting import until
from tests.real.appliance.images import bundled_guest_image
from tests.real.appliance.process import NOVALITE, RealAppliance, running
from tests.real.guests.conftest import BOOT_SECONDS, SSH, Cloud, Guest, new_cloud, sh
from tests.real.guests.test_resized import until_ssh

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]
V = "/volume/v3"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with new_cloud(tmp_path_factory.mktemp("carried")) as cloud:
        yield cloud


def _novalite(appliance: RealAppliance, *words: str) -> str:
    return sh(NOVALITE, *words, "--state-dir", str(appliance.state_dir), seconds=600)


def _content(path: Path, form: str) -> str:
    """The hash of what a guest sees of a disk."""
    plain = path.with_name(f"{uuid4().hex}.plain")
    try:
        subprocess.run(["qemu-img", "convert", "-U", "-f", form, "-O", "raw", path, plain], timeout=300, check=True)
        digest = hashlib.sha256()
        with plain.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()
    finally:
        plain.unlink(missing_ok=True)


def _volume(appliance: RealAppliance, **values: Any) -> str:
    volume_id = str(appliance.post(f"{V}/volumes", {"volume": {"size": 1, **values}})["volume"]["id"])
    until(lambda: appliance.get(f"{V}/volumes/{volume_id}")["volume"]["status"] == "available", "the volume")
    return volume_id


def _attach(appliance: RealAppliance, server_id: str, volume_id: str) -> None:
    appliance.post(f"/compute/v2.1/servers/{server_id}/os-volume_attachments",
                   {"volumeAttachment": {"volumeId": volume_id}})  # fmt: skip
    until(lambda: appliance.get(f"{V}/volumes/{volume_id}")["volume"]["status"] == "in-use", "it is attached")


_WRITER = (
    "printf %08d 0 > /root/stamp; sync; n=1; while [ ! -e /root/stop ]; do for d in /root/stamp {others}; do "
    "printf %08d $n | dd of=$d bs=512 conv=notrunc,fsync 2> /tmp/said || exit 1; done; n=$((n+1)); done"
)
"""One disk is stamped after the other: at any moment they are alike, or the first ones are one ahead."""


def _others(guest: Guest, cloud: Cloud) -> tuple[str, str]:
    """The devices of the ephemeral disk, whose first KiB its file system leaves alone, and of the volume."""
    path = f"/compute/v2.1/servers/{guest.id}/os-volume_attachments"
    [attached] = cloud.appliance.get(path)["volumeAttachments"]
    shown = guest.ssh("for d in /sys/block/vd[b-z]; do echo ${d##*/} $(cat $d/size) $(cat $d/serial); done")
    disks = [line.split() for line in shown.splitlines()]
    [volume] = [words[0] for words in disks if words[2:] == [attached["volumeId"][:20]]]
    [ephemeral] = [words[0] for words in disks if words[0] != volume and words[1] == str(1 << 21)]
    return f"/dev/{ephemeral}", f"/dev/{volume}"


def _stamps(guest: Guest, others: tuple[str, str]) -> list[int]:
    return [int(guest.ssh(f"head -c 8 {place} | tr -d '\\000'") or 0) for place in ("/root/stamp", *others)]


def test_the_copy_of_a_running_server_has_what_it_wrote_on_all_disks_at_one_moment(
    cloud: Cloud, tmp_path: Path
) -> None:
    here = cloud.appliance
    body = {"flavor": {"name": "three", "ram": 256, "vcpus": 1, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": 1}}
    guest = cloud.create("first", flavorRef=here.post("/compute/v2.1/flavors", body)["flavor"]["id"])
    guest.wait("ACTIVE", seconds=BOOT_SECONDS)
    until_ssh(guest)
    _attach(here, guest.id, _volume(here))
    others = _others(guest, cloud)
    look = f"sha256sum /root/blob | cut -c-64; tail -c +1048577 {others[1]} | head -c 4194304 | sha256sum | cut -c-64"
    guest.ssh("head -c 8388608 /dev/urandom > /root/blob; sync")
    guest.ssh(f"head -c 4194304 /dev/urandom | dd of={others[1]} bs=1M seek=1 iflag=fullblock conv=notrunc,fsync")
    before = guest.ssh(look)
    command = ["ssh", *SSH, "-i", str(cloud.key), f"root@{guest.address}", _WRITER.format(others=" ".join(others))]
    path = tmp_path / "first.novalite"
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as writing:
        try:
            until(lambda: _stamps(guest, others)[2] > 0, "it writes")
            _novalite(here, "export", "first", str(path))
            now = _stamps(guest, others)[2]
            until(lambda: _stamps(guest, others)[2] > now, "it has gone on")
            assert writing.poll() is None, "a write failed"
        finally:
            writing.kill()
    assert [file.name for file in (here.state_dir / "guests" / guest.id).glob("snapshot-*")] == []
    guest.act("os-stop")
    guest.wait("SHUTOFF")
    _novalite(here, "import", str(path), "--name", "second")
    [found] = here.get("/compute/v2.1/servers?name=second")["servers"]
    copy = Guest(cloud, "second", found["id"])
    until_ssh(copy)
    theirs = _others(copy, cloud)
    assert copy.ssh(look.replace(others[1], theirs[1])) == before
    stamps = _stamps(copy, theirs)
    assert stamps == sorted(stamps, reverse=True)
    assert 0 < stamps[0] <= stamps[2] + 1 <= now, f"disks of different moments: {stamps}"
    for each in (guest, copy):
        here.delete(each.id)
        here.wait_gone(each.id)


def test_bit_for_bit_in_another_state_directory(cloud: Cloud, tmp_path: Path) -> None:
    here, root, data = cloud.appliance, obedient() + os.urandom(3 << 20), os.urandom(5 << 20)
    root_id, data_id = here.image(root, name="boots"), here.image(data, name="data")
    body = {"flavor": {"name": "odd", "ram": 64, "vcpus": 1, "disk": 1, "OS-FLV-EXT-DATA:ephemeral": 1, "swap": 8}}
    flavor_id = here.post("/compute/v2.1/flavors", body)["flavor"]["id"]
    server_id = here.create("odd", root_id, flavor_id)
    here.wait_status(server_id, "ACTIVE", seconds=BOOT_SECONDS)
    volume_id = _volume(here, name="of data", imageRef=data_id)
    _attach(here, server_id, volume_id)
    path = tmp_path / "odd.novalite"
    _novalite(here, "export", "odd", str(path))
    with tarfile.open(path) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert [disk["name"] for disk in manifest["disks"]] == ["root", "", "ephemeral0"]

    given = {"compute.libvirt_uri": cloud.libvirtd.uri, "network.name": manifest["networks"][0]["network"]}
    with running(tmp_path / "there", driver="libvirt", given=given) as there:
        there.post("/compute/v2.1/flavors", body)
        _novalite(there, "import", str(path))
        [found] = there.get("/compute/v2.1/servers/detail")["servers"]
        [volume] = there.get(f"{V}/volumes")["volumes"]
        assert found["status"] == "ACTIVE"
        ours, theirs = here.state_dir / "guests" / server_id, there.state_dir / "guests" / found["id"]
        for name in ("root.qcow2", "ephemeral0.qcow2"):
            assert _content(ours / name, "qcow2") == _content(theirs / name, "qcow2"), name
        assert _content(here.state_dir / "volumes" / volume_id, "qcow2") == _content(
            there.state_dir / "volumes" / volume["id"], "qcow2"
        )  # fmt: skip
        assert there.doctor() == []
        there.delete(found["id"])
        there.wait_gone(found["id"])
    here.delete(server_id)
    here.wait_gone(server_id)


_DEFINITION = """
<domain type='qemu'>
  <name>own</name>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os firmware='efi'>
    <type arch='x86_64' machine='q35'>hvm</type>
    <firmware><feature enabled='no' name='secure-boot'/></firmware>
    <boot dev='hd'/>
  </os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact'><model>Nehalem</model></cpu>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{root}'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{data}'/><target dev='vdb' bus='virtio'/>
    </disk>
    <serial type='file'><source path='{log}'/></serial>
  </devices>
</domain>
"""


def test_somebody_elses_linux_by_uefi(cloud: Cloud, tmp_path: Path) -> None:
    directory = cloud.appliance.state_dir.with_name("own")
    directory.mkdir()
    root, data, log = directory / "root.qcow2", directory / "data.img", directory / "log"
    shutil.copy(bundled_guest_image(), root)
    data.write_bytes(os.urandom(6 << 20))
    definition = directory / "own.xml"
    definition.write_text(_DEFINITION.format(root=root, data=data, log=log))
    virsh = ("virsh", "-q", "-c", cloud.libvirtd.uri)
    sh(*virsh, "define", str(definition))
    sh(*virsh, "start", "own")
    until(lambda: log.exists() and b"login:" in log.read_bytes(), "it has run before", BOOT_SECONDS)
    assert cloud.appliance.call("POST", "/admin/adoptions", json={"adoption": {"domain": "own"}}).status_code == 409
    sh(*virsh, "destroy", "own")
    before, facts = sh(*virsh, "dumpxml", "--inactive", "own"), (_content(data, "raw"), root.stat().st_ino)
    _novalite(cloud.appliance, "adopt", "own")
    server_id = cloud.appliance.get("/admin/adoptions")["adoptions"][0]["server_id"]
    guest = Guest(cloud, "own", server_id)
    guest.act("os-start")
    guest.wait("ACTIVE")
    until(lambda: "login:" in guest.console(), "it runs as a server", BOOT_SECONDS)
    ours = sh(*virsh, "dumpxml", server_id)
    assert ("pc-q35" in ours, "OVMF" in ours) == (True, True)
    guest.act("os-stop")
    guest.wait("SHUTOFF")
    _novalite(cloud.appliance, "adopt", "own", "--undo")
    assert sh(*virsh, "dumpxml", "--inactive", "own") == before
    assert (_content(data, "raw"), root.stat().st_ino) == facts
    log.unlink()
    sh(*virsh, "start", "own")
    until(lambda: log.exists() and b"login:" in log.read_bytes(), "it runs as before", BOOT_SECONDS)
    sh(*virsh, "destroy", "own")
    sh(*virsh, "undefine", "--nvram", "own")
    assert cloud.appliance.doctor() == []
