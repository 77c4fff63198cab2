"""Encrypted volumes of real guests: what they write is found by nobody else, and by them whatever restarts meanwhile.

The guests are a boot sector that does nothing; what a guest writes is written by its QEMU, above the encryption."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import psutil
import pytest

from novalite.cloud.volume import keys
from tests.contracts.boot_sector import GREETING, obedient
from tests.contracts.waiting import until
from tests.real.appliance.libvirtd import ensure_libvirtd
from tests.real.appliance.process import RealAppliance, running
from tests.real.volume.test_in_use import Cloud, output

pytestmark = pytest.mark.real

MIB, GIB = 1 << 20, 1 << 30
MARK = b"nobody may find this text on a disk"
FILL = 0x5A
LUKS = {"provider": "luks", "control_location": "front-end", "key_size": 256, "cipher": "aes-xts-plain64"}


class Vault(Cloud):
    """A cloud with a type of encrypted volumes, and a second server."""

    def __init__(self, appliance: RealAppliance, directory: Path) -> None:
        super().__init__(appliance, directory)
        kind = self.call("POST", "/types", {"volume_type": {"name": "locked"}})["volume_type"]["id"]
        self.call("POST", f"/types/{kind}/encryption", {"encryption": LUKS})
        self.marked = appliance.image(MARK + bytes(MIB - len(MARK)), name="marked")
        self.boots = appliance.image(obedient(), name="boots too")
        self.first = self.server_id
        self.second = appliance.create("t", self.boots, "tiny")
        appliance.wait_status(self.second, "ACTIVE")
        self.libvirt = libvirt.open("qemu:///system")

    def until(self, kind: str, id: str, status: str) -> None:
        """Opening LUKS takes seconds of a busy processor, each time."""
        path, one = f"/{kind}/{id}", kind.removesuffix("s")
        until(lambda: self.call("GET", path)[one]["status"] == status, f"{one} is {status}")

    def key(self, volume_id: str) -> tuple[str, str]:
        """Id and passphrase of a volume's key."""
        with sqlite3.connect(self.appliance.state_dir / "novalite.db") as database:
            query = "SELECT encryption_key_id, sealed_key FROM volumes WHERE id = ?"
            key_id, sealed = database.execute(query, (volume_id,)).fetchone()
        return key_id, keys.opened(self.appliance.state_dir, key_id, sealed)

    def domain(self, server_id: str) -> Any:
        return self.libvirt.lookupByUUIDString(server_id)

    def _monitor(self, server_id: str, how: list[str], order: Any) -> str:
        words = order if isinstance(order, str) else json.dumps(order)
        return output("virsh", "-q", "qemu-monitor-command", self.domain(server_id).name(), *how, words)

    def write(self, volume_id: str, fill: int = FILL) -> None:
        """By the guest's QEMU, as for a disk of the guest's: above the encryption."""
        blocks = json.loads(self._monitor(self.server_id, ["--pretty"], {"execute": "query-block"}))["return"]
        device = next(one["qdev"] for one in blocks if volume_id in json.dumps(one.get("inserted", {})))
        for command in (f"write -P {fill} 1M 2M", "flush"):
            self._monitor(self.server_id, ["--hmp"], f'qemu-io -d {device} "{command}"')

    def holds(self, volume_id: str, fill: int = FILL) -> bool:
        """What the image held, and what the guest wrote."""
        content = self.decrypted(volume_id)
        return content.startswith(MARK) and content[MIB : 3 * MIB] == bytes([fill]) * 2 * MIB

    def decrypted(self, volume_id: str) -> bytes:
        """The first bytes, by the key alone."""
        secret, raw = self.directory / "key", self.directory / "raw"
        secret.write_text(self.key(volume_id)[1])
        options = f"driver=qcow2,file.filename={self.file(volume_id)},encrypt.key-secret=s"
        output("qemu-img", "convert", "-U", "--object", f"secret,id=s,file={secret}", "--image-opts", "-O", "raw",
               options, str(raw))  # fmt: skip
        secret.unlink()
        with raw.open("rb") as opened:
            return opened.read(4 * MIB)

    def is_noise(self, file: Path) -> bool:
        """Neither what the image held nor what the guest wrote is to be seen."""
        content = file.read_bytes()
        return MARK not in content and bytes([FILL]) * 64 not in content

    def libvirt_forgets(self) -> None:
        """As it does when it ends: keys are in its memory only."""
        for secret in self.libvirt.listAllSecrets(libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL):
            if secret.usageID().startswith("novalite-"):
                secret.undefine()

    def is_known_to_libvirt(self, key_id: str) -> bool:
        return key_id in {secret.UUIDString() for secret in self.libvirt.listAllSecrets(0)}

    def turn(self, action: str, status: str, value: Any = None) -> None:
        assert self.appliance.act(self.server_id, action, value).status_code == 202
        self.appliance.wait_status(self.server_id, status)

    def said(self, server_id: str) -> str:
        return str(self.appliance.act(server_id, "os-getConsoleOutput", {}).json()["output"])


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    ensure_libvirtd()
    directory = tmp_path_factory.mktemp("encrypted")
    given = {"compute.stop_timeout_seconds": 1}
    with running(directory / "s", driver="libvirt", given=given) as appliance:
        yield Vault(appliance, directory)


@pytest.fixture
def used(vault: Vault) -> Iterator[str]:
    """An encrypted volume with the image's data that the first guest has."""
    vault.server_id = vault.first
    volume_id = vault.new(volume_type="locked", imageRef=vault.marked)
    assert vault.decrypted(volume_id).startswith(MARK)
    assert vault.is_noise(vault.file(volume_id))
    vault.attach(volume_id)
    yield volume_id
    vault.server_id = vault.first
    vault.detach(volume_id)
    vault.delete(volume_id)
    assert vault.appliance.doctor() == []


def test_what_a_guest_writes_survives_and_stays_its_own(vault: Vault, used: str) -> None:
    vault.write(used)
    assert vault.holds(used)
    assert vault.is_noise(vault.file(used))
    vault.turn("os-stop", "SHUTOFF")
    vault.libvirt_forgets()
    vault.turn("os-start", "ACTIVE")
    vault.write(used, 2)
    assert vault.holds(used, 2)
    vault.libvirt_forgets()
    vault.appliance.restart()
    vault.turn("reboot", "ACTIVE", {"type": "HARD"})
    vault.write(used, 3)
    assert vault.holds(used, 3)
    vault.turn("suspend", "SUSPENDED")
    vault.libvirt_forgets()
    vault.turn("resume", "ACTIVE")
    vault.write(used, 4)
    key_id, _ = vault.key(used)
    vault.detach(used)
    assert not vault.is_known_to_libvirt(key_id)
    assert vault.holds(used, 4)
    vault.server_id = vault.second
    vault.attach(used)
    vault.write(used)
    vault.detach(used)
    assert vault.holds(used)
    assert vault.is_noise(vault.file(used))
    vault.server_id = vault.first
    vault.attach(used)


def test_nobody_is_told_the_key(vault: Vault, used: str) -> None:
    key_id, passphrase = vault.key(used)
    assert vault.is_known_to_libvirt(key_id)
    domain = vault.domain(vault.first)
    for flags in (0, libvirt.VIR_DOMAIN_XML_SECURE, libvirt.VIR_DOMAIN_XML_INACTIVE):
        assert passphrase not in domain.XMLDesc(flags)
        assert key_id in domain.XMLDesc(flags)
    with pytest.raises(libvirt.libvirtError, match="private"):
        vault.libvirt.secretLookupByUUIDString(key_id).value()
    arguments = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any(vault.first in words for words in arguments)
    assert all(passphrase not in words for words in arguments)
    assert passphrase not in vault.appliance.log
    secret = passphrase.encode()
    for file in (path for path in vault.appliance.state_dir.rglob("*") if path.is_file()):
        assert secret not in file.read_bytes(), file


def test_it_is_copied_and_grows_while_the_guest_runs(vault: Vault, used: str) -> None:
    vault.write(used)
    vault.libvirt_forgets()
    snapshot_id = vault.call("POST", "/snapshots", {"snapshot": {"volume_id": used, "force": True}})["snapshot"]["id"]
    vault.until("snapshots", snapshot_id, "available")
    assert vault.is_noise(vault.appliance.state_dir / "volumes" / "snapshots" / snapshot_id)
    for source in ({"snapshot_id": snapshot_id}, {"source_volid": used}):
        copy = vault.new(size=1, **source)
        assert vault.holds(copy)
        assert vault.is_noise(vault.file(copy))
        assert vault.key(copy) != vault.key(used)
        vault.delete(copy)
    plain = vault.new(snapshot_id=snapshot_id, volume_type="__DEFAULT__")
    assert vault.content(vault.file(plain)).startswith(MARK)
    vault.delete(plain)
    assert vault.capacity(used) == GIB
    vault.call("POST", f"/volumes/{used}/action", {"os-extend": {"new_size": 2}})
    vault.until("volumes", used, "in-use")
    assert vault.capacity(used) == 2 * GIB
    vault.turn("os-stop", "SHUTOFF")
    vault.call("POST", f"/volumes/{used}/action", {"os-extend": {"new_size": 3}})
    vault.until("volumes", used, "in-use")
    vault.turn("os-start", "ACTIVE")
    assert vault.capacity(used) == 3 * GIB
    assert vault.holds(used)


def test_a_backup_of_it_is_noise_and_is_put_back(vault: Vault, used: str) -> None:
    vault.write(used)
    made = vault.call("POST", "/backups", {"backup": {"volume_id": used, "force": True}})["backup"]["id"]
    vault.until("backups", made, "available")
    told = vault.call("POST", f"/backups/{made}/restore", {"restore": {}})["restore"]["volume_id"]
    vault.until("volumes", told, "available")
    assert vault.holds(told)
    vault.until("backups", made, "available")
    vault.delete(told)
    vault.call("DELETE", f"/backups/{made}")
    until(lambda: vault.appliance.call("GET", f"/volume/v3/backups/{made}").status_code == 404, "the backup is gone")


def test_a_server_boots_from_an_encrypted_volume(vault: Vault) -> None:
    disk = {"boot_index": 0, "source_type": "image", "uuid": vault.boots, "destination_type": "volume",
            "volume_size": 1, "volume_type": "locked", "delete_on_termination": True}  # fmt: skip
    body = {"name": "boots", "flavorRef": "tiny", "networks": "auto", "block_device_mapping_v2": [disk]}
    server_id = vault.appliance.post("/compute/v2.1/servers", {"server": body})["server"]["id"]
    vault.appliance.wait_status(server_id, "ACTIVE")
    greeting = GREETING.decode().strip()
    until(lambda: greeting in vault.said(server_id), "the guest is up")
    (device,) = vault.appliance.get(f"/compute/v2.1/servers/{server_id}/os-volume_attachments")["volumeAttachments"]
    volume_id, (key_id, _) = device["volumeId"], vault.key(device["volumeId"])
    assert vault.call("GET", f"/volumes/{volume_id}")["volume"]["encrypted"]
    assert GREETING not in vault.file(volume_id).read_bytes()
    vault.server_id = server_id
    vault.turn("os-stop", "SHUTOFF")
    vault.libvirt_forgets()
    vault.appliance.restart()
    vault.turn("os-start", "ACTIVE")
    until(lambda: vault.said(server_id).count(greeting) == 2, "the guest is up again")
    other = vault.appliance.image(obedient(b"another image\r\n"), name="another")
    vault.turn("rebuild", "ACTIVE", {"imageRef": other})
    until(lambda: "another image" in vault.said(server_id), "the guest is up from the other image")
    assert vault.key(volume_id)[0] == key_id
    vault.appliance.delete(server_id)
    vault.appliance.wait_gone(server_id)
    until(lambda: vault.appliance.call("GET", f"/volume/v3/volumes/{volume_id}").status_code == 404, "it is gone")
    assert not vault.is_known_to_libvirt(key_id)
    assert vault.appliance.doctor() == []


def test_what_is_not_the_guests_own_is_left_to_libvirt(vault: Vault) -> None:
    """Secrets that others have made stay when ours go."""
    theirs = vault.libvirt.secretDefineXML(
        "<secret ephemeral='yes'><usage type='volume'><volume>/theirs</volume></usage></secret>"
    )
    try:
        vault.server_id = vault.first
        volume_id = vault.new(volume_type="locked")
        vault.attach(volume_id)
        vault.detach(volume_id)
        assert not vault.is_known_to_libvirt(vault.key(volume_id)[0])
        assert vault.is_known_to_libvirt(theirs.UUIDString())
        vault.delete(volume_id)
    finally:
        theirs.undefine()


def test_the_file_says_luks(vault: Vault) -> None:
    volume_id = vault.new(volume_type="locked")
    told = json.loads(output("qemu-img", "info", "--output=json", "-f", "qcow2", str(vault.file(volume_id))))
    encryption = told["format-specific"]["data"]["encrypt"]
    assert (encryption["format"], encryption["cipher-alg"], encryption["cipher-mode"], encryption["ivgen-alg"]) == (
        "luks", "aes-256", "xts", "plain64",
    )  # fmt: skip
    wrong = subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "read 0 512", str(vault.file(volume_id))], capture_output=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert wrong.returncode != 0
    vault.delete(volume_id)


@pytest.mark.parametrize(("disk_format", "is_used"), [("raw", False), ("raw", True), ("qcow2", True)])
def test_it_becomes_an_image_that_a_volume_is_made_of(vault: Vault, disk_format: str, is_used: bool) -> None:
    """Each with a key of its own, and none of them needs the others."""
    vault.server_id = vault.first
    volume_id = vault.new(volume_type="locked", imageRef=vault.marked)
    vault.attach(volume_id)
    vault.write(volume_id, 7)
    if not is_used:
        vault.detach(volume_id)
    body = {"image_name": "up", "disk_format": disk_format, "force": is_used}
    image_id = vault.call("POST", f"/volumes/{volume_id}/action", {"os-volume_upload_image": body})[
        "os-volume_upload_image"
    ]["image_id"]
    vault.until("volumes", volume_id, "in-use" if is_used else "available")
    _, secret = vault.key(volume_id)
    if is_used:
        vault.detach(volume_id)
    vault.delete(volume_id)
    image = vault.appliance.get(f"/image/v2/images/{image_id}")
    assert (image["status"], image["disk_format"], image["virtual_size"]) == ("active", disk_format, GIB)
    file = vault.appliance.state_dir / "images" / image_id
    assert vault.is_noise(file)
    told = json.loads(output("qemu-img", "info", "--output=json", str(file)))
    assert (told["format"], told["encrypted"]) == ("luks" if disk_format == "raw" else "qcow2", True)
    copy = vault.new(imageRef=image_id, size=2)
    vault.until("volumes", copy, "available")
    assert vault.key(copy)[1] != secret
    vault.attach(copy)
    assert vault.capacity(copy) == 2 * GIB
    vault.detach(copy)
    assert vault.holds(copy, 7)
    assert vault.is_noise(vault.file(copy))
    assert vault.appliance.call("DELETE", f"/image/v2/images/{image_id}").status_code == 204
    vault.delete(copy)
    assert vault.appliance.doctor() == []
