"""kill -9 while a backup is on its way into a directory or a bucket: it is whole afterwards, or nothing of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.storage.backups import PieceBackups
from novalite.drivers.storage.objects import DirectoryObjects, Objects
from novalite.drivers.storage.s3 import S3Objects
from novalite.drivers.storage.sealed_objects import SealingKey
from tests.contracts.waiting import until
from tests.real.crash.conftest import Doomed
from tests.real.volume import gateway

pytestmark = pytest.mark.real
_MIB = 1 << 20
_CONTENT = os.urandom(96 * _MIB)
V = "/volume/v3"


@contextmanager
def _directory(base: Path) -> Iterator[tuple[Objects, dict[str, str]]]:
    yield DirectoryObjects(base / "kept"), {"backups__directory": str(base / "kept")}


@contextmanager
def _bucket(base: Path) -> Iterator[tuple[Objects, dict[str, str]]]:
    if gateway.missing():
        pytest.skip(gateway.missing())
    with gateway.gateway() as server:
        bucket = server.bucket("crashes", "nova/lite")
        credentials = base / "credentials"
        credentials.touch(mode=0o600)
        credentials.write_text(
            f"[default]\naws_access_key_id = {bucket.access_key}\naws_secret_access_key = {bucket.secret_key}\n"
        )
        yield S3Objects(bucket), {
            "backups__s3_bucket": bucket.name, "backups__s3_endpoint": bucket.endpoint,
            "backups__s3_prefix": bucket.prefix, "backups__s3_credentials_file": str(credentials),
            "backups__s3_ca_file": str(server.authority),
        }  # fmt: skip


class _Kept:
    def __init__(self, cloud: Doomed, objects: Objects, key: SealingKey) -> None:
        self.cloud, self.objects = cloud, objects
        self.store = PieceBackups(objects, "a reader", key=key)
        image_id = cloud.image(_CONTENT)
        self.volume_id = str(cloud.post(f"{V}/volumes", {"volume": {"size": 1, "imageRef": image_id}})["volume"]["id"])
        self.becomes("volumes", self.volume_id, "available")

    def status(self, kind: str, id: str) -> str:
        found: Any = self.cloud.get(f"{V}/{kind}/{id}")[kind.removesuffix("s")]
        return str(found["status"])

    def becomes(self, kind: str, id: str, status: str) -> None:
        until(lambda: self.status(kind, id) == status, f"{status}\n{self.cloud.log[-3000:]}")
        self.cloud.idle()

    def begin(self) -> str:
        return str(self.cloud.post(f"{V}/backups", {"backup": {"volume_id": self.volume_id}})["backup"]["id"])

    def pieces(self) -> int:
        return len(list(self.objects.names("pieces")))

    def killed_on_the_way(self) -> str:
        """Some pieces are there, and no manifest."""
        backup_id = self.begin()
        until(lambda: self.pieces() >= 3, "pieces arrive")
        self.cloud.kill()
        assert self.store.ids() == ()
        return backup_id

    def gone(self, backup_id: str) -> None:
        until(lambda: self.cloud.call("GET", f"{V}/backups/{backup_id}").status_code == 404, "it goes")
        self.cloud.idle()


@pytest.fixture(scope="module", params=[_directory, _bucket], ids=["directory", "bucket"])
def kept(
    request: pytest.FixtureRequest, doomed: Callable[..., Doomed], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Kept]:
    base = tmp_path_factory.mktemp("store")
    secret = base / "secret"
    secret.touch(mode=0o600)
    secret.write_bytes(b"s" * 40)
    with request.param(base) as (objects, settings):
        backend = f"local=files?path={base / 'volumes'}"
        cloud = doomed("kept", volumes__backends=backend, backups__key_file=str(secret), **settings)
        yield _Kept(cloud, objects, SealingKey.of_file(str(secret)))


def test_it_is_finished(kept: _Kept) -> None:
    backup_id = kept.killed_on_the_way()
    kept.cloud.start()
    kept.becomes("backups", backup_id, "available")
    assert kept.status("volumes", kept.volume_id) == "available"
    assert kept.pieces() == 24
    assert b"".join(kept.store.read(backup_id))[: len(_CONTENT)] == _CONTENT
    assert kept.cloud.doctor() == []
    assert kept.cloud.call("DELETE", f"{V}/backups/{backup_id}").status_code == 202
    kept.gone(backup_id)
    assert list(kept.objects.names("pieces")) == []


def test_it_is_undone(kept: _Kept) -> None:
    backup_id = kept.killed_on_the_way()
    kept.cloud.hold_at("backup.create/copy:begin")
    kept.cloud.start()
    kept.cloud.until_there("backup.create/copy:begin")
    force = {"os-force_delete": {}}
    assert kept.cloud.call("POST", f"{V}/backups/{backup_id}/action", json=force).status_code == 202
    kept.cloud.hold_at("nothing")
    kept.gone(backup_id)
    assert (list(kept.objects.names("pieces")), kept.store.ids()) == ([], ())
    assert kept.status("volumes", kept.volume_id) == "available"
    assert kept.cloud.doctor() == []
