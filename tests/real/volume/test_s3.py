"""The store of backups in a bucket of a real S3 server, where its programs are installed."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from novalite.drivers.storage.backups import PieceBackups
from novalite.drivers.storage.s3 import Bucket, S3Objects
from novalite.errors import DriverError
from tests.contracts.backup_store import OURS, BackupStoreContract, opened
from tests.contracts.volume_driver import new_id
from tests.real.volume import gateway
from tests.real.volume.gateway import Gateway

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(gateway.missing()), reason=gateway.missing()),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Gateway]:
    with gateway.gateway() as found:
        yield found


@pytest.fixture(scope="module")
def bucket(server: Gateway) -> Bucket:
    return server.bucket("backups")


class TestInABucket(BackupStoreContract):
    @pytest.fixture
    def objects(self, bucket: Bucket) -> S3Objects:
        return S3Objects(replace(bucket, prefix=f"one/{uuid4()}"))


def test_a_prefix_is_a_store_of_its_own(bucket: Bucket) -> None:
    first, second = (opened(S3Objects(replace(bucket, prefix=prefix))) for prefix in ("tenant", "/tenant2/"))
    backup_id = new_id()
    first.save(backup_id, [b"x"], {})
    assert (first.ids(), second.ids()) == ((backup_id,), ())
    assert first.place() == f"s3://backups/tenant at {bucket.endpoint}"


def test_listings_of_many_objects_are_whole(bucket: Bucket) -> None:
    objects = S3Objects(replace(bucket, prefix="many"))
    wanted = {f"pieces/aa/{number:04}" for number in range(1100)}
    for name in wanted:
        objects.put(name, b"")
    assert set(objects.names("pieces")) == wanted
    assert list(objects.names("manifests")) == []


def refused(bucket: Bucket, retry_seconds: float = 5) -> str:
    store = PieceBackups(S3Objects(bucket, retry_seconds=retry_seconds), OURS)
    with pytest.raises(DriverError) as told:
        store.save(new_id(), [b"x"], {})
    text = str(told.value)
    assert bucket.secret_key not in text
    assert bucket.secret_key not in repr(bucket)
    return text


def test_what_is_wrong_is_told(bucket: Bucket) -> None:
    assert "there is no bucket absent" in refused(replace(bucket, name="absent"))
    assert "access is denied" in refused(replace(bucket, secret_key="wrong"))
    assert "access is denied" in refused(replace(bucket, access_key="nobody"))
    assert "backups.s3_endpoint" in refused(replace(bucket, endpoint="https://localhost:9"))


def test_only_a_trusted_server_is_spoken_to(bucket: Bucket) -> None:
    assert "s3_ca_file" in refused(replace(bucket, authority=b""))


def test_memory_does_not_grow_with_the_backup(bucket: Bucket) -> None:
    store, backup_id = PieceBackups(S3Objects(replace(bucket, prefix="large")), OURS), new_id()

    def content(mib: int) -> Iterator[bytes]:
        for number in range(mib):
            yield number.to_bytes(4) + os.urandom(1 << 10) + bytes((1 << 20) - 1028)

    store.save(new_id(), content(16), {})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stored = store.save(backup_id, content(1024), {})
    assert stored.pieces == 256
    assert sum(len(piece) for piece in store.read(backup_id)) == 1 << 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
