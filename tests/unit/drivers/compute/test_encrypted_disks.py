"""Disks that are encrypted: what is told to libvirt of them, what crosses the wire, and what nobody is shown."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from uuid import uuid4

import libvirt
import msgspec
import pytest

from novalite.drivers.compute.base import DiskKey, DiskSpec, GuestSpec, Power
from novalite.drivers.compute.fake_store import DirectoryStore, FakeGuest
from novalite.drivers.compute.libvirt import encrypted
from novalite.drivers.compute.libvirt.secrets import Secrets
from novalite.drivers.compute.libvirt.xml import Disk
from novalite.drivers.storage.base import VolumeKey
from novalite.errors import DriverError

KEY = DiskKey(str(uuid4()), "as secret as can be")
DISK = DiskSpec("volume-1", "vdb", 1, path="/volumes/1", serial="1", key=KEY)


def test_the_key_is_not_shown() -> None:
    for shown in (repr(KEY), repr(DISK), str(DISK), repr(VolumeKey(KEY.passphrase))):
        assert KEY.passphrase not in shown


def test_the_key_crosses_the_wire() -> None:
    assert msgspec.json.decode(msgspec.json.encode(DISK), type=DiskSpec) == DISK


def test_the_definition_names_the_secret_alone() -> None:
    element = Disk(Path("/volumes/1"), "vdb", "virtio", key_id=KEY.id).element()
    told = ET.tostring(element, encoding="unicode")
    secret = element.find("source/encryption/secret")
    assert secret is not None
    assert (secret.get("uuid"), secret.get("type")) == (KEY.id, "passphrase")
    assert 'format="luks" engine="qemu"' in told
    assert Disk(Path("/volumes/1"), "vdb", "virtio").element().find("source/encryption") is None


def test_the_simulated_host_writes_no_key_down(tmp_path: Path) -> None:
    spec = GuestSpec(id=str(uuid4()), name="s", project_id="p", vcpus=1, memory_mib=64, disks=(DISK,))
    guest = FakeGuest(spec.id, spec, Power.RUNNING)
    DirectoryStore(tmp_path).save(guest)
    (file,) = (tmp_path / "guests").iterdir()
    assert KEY.passphrase not in file.read_text()
    assert guest.spec is not None
    assert guest.spec.disks[0].key == KEY


def test_a_key_that_is_missing_is_told() -> None:
    with pytest.raises(DriverError) as refused:
        encrypted.needed("resize_disk", None)
    assert refused.value.code == "disk.key_missing"


class Secret:
    def __init__(self, libvirtd: Libvirtd, definition: str) -> None:
        root = ET.fromstring(definition)
        self.libvirtd, self.attributes, self.uuid = libvirtd, dict(root.attrib), root.findtext("uuid", "")
        self.usage, self.content = root.findtext("usage/volume", ""), b""

    def UUIDString(self) -> str:
        return self.uuid

    def usageType(self) -> int:
        return libvirt.VIR_SECRET_USAGE_TYPE_VOLUME

    def usageID(self) -> str:
        return self.usage

    def setValue(self, value: bytes) -> None:
        self.content = value

    def undefine(self) -> None:
        del self.libvirtd.secrets[self.uuid]


class Domain:
    def __init__(self, *key_ids: str) -> None:
        disks = "".join(f"<disk><source><encryption><secret uuid='{one}'/></encryption></source></disk>"
                        for one in key_ids)  # fmt: skip
        self.description = f"<domain><devices>{disks}</devices></domain>"

    def XMLDesc(self, flags: int) -> str:
        return self.description


class Libvirtd:
    """As much of a connection as secrets need; ``call`` as ``Connection`` has it."""

    def __init__(self, *domains: Domain) -> None:
        self.domains, self.secrets = list(domains), dict[str, Secret]()

    def call(self, op: str, ask: Any, *given: Any) -> Any:
        return ask(self, *given)

    def secretDefineXML(self, definition: str) -> Secret:
        made = Secret(self, definition)
        return self.secrets.setdefault(made.uuid, made)

    def listAllSecrets(self, flags: int) -> list[Secret]:
        return list(self.secrets.values())

    def listAllDomains(self, flags: int) -> list[Domain]:
        return self.domains


class OneDomain:
    def __init__(self, domain: Domain | None) -> None:
        self.domain = domain

    def find(self, connection: Any, guest_id: str) -> Domain | None:
        return self.domain


def test_secrets_are_of_memory_private_and_forgotten_with_the_last_disk() -> None:
    ours, shared = DiskKey(str(uuid4()), "one"), DiskKey(str(uuid4()), "two")
    first, second = Domain(ours.id, shared.id), Domain(shared.id)
    libvirtd, secrets = Libvirtd(first, second), Secrets("novalite-x-")
    for _ in range(2):
        secrets.ensure(libvirtd, [ours, None, shared])
    assert {uuid: secret.content for uuid, secret in libvirtd.secrets.items()} == {ours.id: b"one", shared.id: b"two"}
    assert all(one.attributes == {"ephemeral": "yes", "private": "yes"} for one in libvirtd.secrets.values())
    theirs = f"<secret><uuid>{uuid4()}</uuid><usage type='volume'><volume>/theirs</volume></usage></secret>"
    others = libvirtd.secretDefineXML(theirs).uuid
    domains: Any = OneDomain(first)
    with secrets.forgotten_with(libvirtd, "delete_guest", domains, "x"):  # type: ignore[arg-type]
        libvirtd.domains.remove(first)
    assert set(libvirtd.secrets) == {shared.id, others}


def test_where_no_disk_is_encrypted_nobody_asks_for_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(flags: int) -> list[Secret]:
        raise AssertionError("some libvirts keep no secrets")

    for domain in (Domain(), None):
        libvirtd, domains = Libvirtd(), OneDomain(domain)
        monkeypatch.setattr(libvirtd, "listAllSecrets", asked)
        with Secrets("x").forgotten_with(libvirtd, "detach_disk", domains, "x"):  # type: ignore[arg-type]
            pass
