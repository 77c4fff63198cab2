"""kill -9 while encrypted volumes are made, copied, kept and put back, as real files: each opens with its key."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from novalite.cloud.volume import keys
from novalite.engine.conductor import registry
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real

MARK = b"nobody may find this text on a disk"
LUKS = {"provider": "luks", "control_location": "front-end"}


def _boundaries(kind: str) -> list[str]:
    return [f"{kind}/{step.name}:done" for step in registry().flow(kind).steps]


class _Vault:
    """One encrypted volume of an image, over all lives of the process."""

    def __init__(self, cloud: Doomed) -> None:
        self.cloud = cloud
        kind = self.call("POST", "/types", {"volume_type": {"name": "locked"}})["volume_type"]["id"]
        self.call("POST", f"/types/{kind}/encryption", {"encryption": LUKS})
        self.image_id = cloud.image(MARK + bytes((1 << 20) - len(MARK)))
        self.volume_id = self.new(imageRef=self.image_id)
        self.opens(self.volume_id)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"OpenStack-API-Version": "volume 3.70"}
        answer = self.cloud.call(method, f"/volume/v3{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def new(self, **fields: Any) -> str:
        volume = {"size": 1, "volume_type": "locked", **fields}
        return str(self.call("POST", "/volumes", {"volume": volume})["volume"]["id"])

    def settled(self, kind: str, id: str) -> None:
        self.cloud.idle(120)
        assert self.call("GET", f"/{kind}/{id}")[kind.removesuffix("s")]["status"] == "available"
        assert self.cloud.doctor() == []

    def opens(self, volume_id: str) -> None:
        """With its own key; what is in it is the image, and the file does not show it."""
        self.settled("volumes", volume_id)
        with sqlite3.connect(self.cloud.state_dir / "novalite.db") as database:
            query = "SELECT encryption_key_id, sealed_key FROM volumes WHERE id = ?"
            key_id, sealed = database.execute(query, (volume_id,)).fetchone()
        secret, raw = self.cloud.state_dir.with_name("key"), self.cloud.state_dir.with_name("raw")
        secret.write_text(keys.opened(self.cloud.state_dir, key_id, sealed))
        file = self.cloud.state_dir / "volume-backends" / "local" / volume_id
        options = f"driver=qcow2,file.filename={file},encrypt.key-secret=s"
        words = ["qemu-img", "convert", "--object", f"secret,id=s,file={secret}", "--image-opts", "-O", "raw", options]
        subprocess.run([*words, str(raw)], check=True, timeout=300)
        secret.unlink()
        with raw.open("rb") as opened:
            assert opened.read(len(MARK)) == MARK
        assert MARK not in file.read_bytes()

    def keys_of_images(self) -> int:
        with sqlite3.connect(self.cloud.state_dir / "novalite.db") as database:
            return int(database.execute("SELECT count(*) FROM image_keys").fetchone()[0])

    def delete(self, kind: str, id: str) -> None:
        self.call("DELETE", f"/{kind}/{id}")
        self.cloud.idle()
        assert self.cloud.call("GET", f"/volume/v3/{kind}/{id}").status_code == 404
        assert self.cloud.doctor() == []


@pytest.fixture(scope="module")
def vault(doomed: Callable[..., Doomed]) -> _Vault:
    return _Vault(doomed("vault", volumes__backends="local=files"))


@pytest.mark.parametrize("boundary", _boundaries("volume.create"))
@pytest.mark.parametrize("source", ["image", "volume"])
def test_making_one(vault: _Vault, source: str, boundary: str) -> None:
    vault.cloud.hold_at(boundary)
    volume_id = vault.new(**({"imageRef": vault.image_id} if source == "image" else {"source_volid": vault.volume_id}))
    vault.cloud.dies_at(boundary)
    vault.opens(volume_id)
    vault.delete("volumes", volume_id)


@pytest.mark.parametrize("boundary", _boundaries("backup.create"))
def test_a_backup(vault: _Vault, boundary: str) -> None:
    vault.cloud.hold_at(boundary)
    backup_id = str(vault.call("POST", "/backups", {"backup": {"volume_id": vault.volume_id}})["backup"]["id"])
    vault.cloud.dies_at(boundary)
    vault.settled("backups", backup_id)
    told = vault.call("POST", f"/backups/{backup_id}/restore", {"restore": {}})["restore"]["volume_id"]
    vault.opens(told)
    vault.delete("volumes", told)
    vault.delete("backups", backup_id)
    vault.opens(vault.volume_id)


@pytest.mark.parametrize("boundary", _boundaries("volume.recrypt"))
def test_a_retype(vault: _Vault, boundary: str) -> None:
    volume_id = vault.new(imageRef=vault.image_id, volume_type="__DEFAULT__")
    vault.settled("volumes", volume_id)
    for wanted in ("locked", "__DEFAULT__", "locked"):
        vault.cloud.hold_at(boundary)
        body = {"os-retype": {"new_type": wanted, "migration_policy": "on-demand"}}
        vault.call("POST", f"/volumes/{volume_id}/action", body)
        vault.cloud.dies_at(boundary)
        vault.settled("volumes", volume_id)
        assert vault.call("GET", f"/volumes/{volume_id}")["volume"]["volume_type"] == wanted
        if wanted == "locked":
            vault.opens(volume_id)
    vault.delete("volumes", volume_id)


@pytest.mark.parametrize("boundary", _boundaries("volume.upload"))
@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_becoming_an_image_and_a_volume_again(vault: _Vault, disk_format: str, boundary: str) -> None:
    volume_id = vault.new(imageRef=vault.image_id)
    vault.opens(volume_id)
    vault.cloud.hold_at(boundary)
    body = {"os-volume_upload_image": {"image_name": "up", "disk_format": disk_format}}
    told = vault.call("POST", f"/volumes/{volume_id}/action", body)["os-volume_upload_image"]
    vault.cloud.dies_at(boundary)
    vault.settled("volumes", volume_id)
    vault.delete("volumes", volume_id)
    image = vault.cloud.get(f"/image/v2/images/{told['image_id']}")
    assert image["status"] == "active"
    assert image["cinder_encryption_key_id"]
    assert MARK not in (vault.cloud.state_dir / "images" / image["id"]).read_bytes()
    vault.opens(vault.new(imageRef=image["id"]))
    assert vault.cloud.call("DELETE", f"/image/v2/images/{image['id']}").status_code == 204
    assert vault.keys_of_images() == 0
