from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.storage.base import ImageStore
from novalite.drivers.storage.files import FileImageStore
from novalite.errors import DriverError, Invalid, NotFound, TooLarge

MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> FileImageStore:
    return FileImageStore(tmp_path / "images", max_size=8 * MIB, max_virtual_size=16 * MIB)


def left(store: FileImageStore, tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "images").iterdir())


def test_it_is_an_image_store(store: FileImageStore) -> None:
    port: ImageStore = store
    assert port.ids() == ()


def test_bytes_are_kept_with_their_sums(store: FileImageStore) -> None:
    image_id, data = str(uuid4()), os.urandom(3 * MIB)
    stored = store.save(image_id, [data[:MIB], data[MIB:]], disk_format="raw")
    assert (stored.size, stored.virtual_size) == (len(data), len(data))
    assert stored.md5 == hashlib.md5(data).hexdigest()
    assert stored.sha512 == hashlib.sha512(data).hexdigest()
    path = store.path(image_id)
    assert path is not None
    assert path.read_bytes() == data
    assert store.ids() == (image_id,)


def test_zeros_become_holes_and_still_count(store: FileImageStore) -> None:
    image_id = str(uuid4())
    chunks = [b"\0" * MIB, b"x" * MIB, b"\0" * (2 * MIB)]
    stored = store.save(image_id, chunks, disk_format="raw")
    path = store.path(image_id)
    assert path is not None
    assert stored.size == path.stat().st_size == 4 * MIB
    assert path.read_bytes() == b"".join(chunks)
    assert path.stat().st_blocks * 512 < 2 * MIB
    assert stored.md5 == hashlib.md5(b"".join(chunks)).hexdigest()


def test_deleting_twice_is_deleting_once(store: FileImageStore) -> None:
    image_id = str(uuid4())
    store.save(image_id, [b"x"], disk_format="raw")
    store.delete(image_id)
    store.delete(image_id)
    assert store.path(image_id) is None
    assert store.ids() == ()


@pytest.mark.parametrize("image_id", ["../../etc/passwd", "", "x" * 36, "/etc/passwd", "a/b"])
def test_an_id_is_never_a_path(store: FileImageStore, image_id: str) -> None:
    for refused in (store.path, store.delete, lambda one: store.save(one, [b"x"], disk_format="raw")):
        with pytest.raises(Invalid):
            refused(image_id)


def _breaking() -> Iterator[bytes]:
    yield b"x" * MIB
    raise ConnectionResetError


def test_a_broken_stream_leaves_nothing(store: FileImageStore, tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        store.save(str(uuid4()), _breaking(), disk_format="raw")
    assert left(store, tmp_path) == []


def test_too_many_bytes_leave_nothing(store: FileImageStore, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        store.save(str(uuid4()), [b"x" * MIB] * 9, disk_format="raw")
    assert left(store, tmp_path) == []


def test_a_refused_image_leaves_the_old_one(store: FileImageStore, tmp_path: Path) -> None:
    image_id = str(uuid4())
    store.save(image_id, [b"good"], disk_format="raw")
    with pytest.raises(Invalid):
        store.save(image_id, [b"QFI\xfb" + b"\0" * 600], disk_format="raw")
    assert left(store, tmp_path) == [image_id]
    path = store.path(image_id)
    assert path is not None
    assert path.read_bytes() == b"good"


def test_the_reserve_is_kept_free(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path / "images", max_size=MIB, max_virtual_size=MIB, reserve=1 << 62)
    with pytest.raises(DriverError) as caught:
        store.save(str(uuid4()), [b"x"], disk_format="raw")
    assert caught.value.code == "disk.full"
    assert left(store, tmp_path) == []


def test_a_disk_that_fills_up_is_told(store: FileImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("novalite.drivers.storage.files.os.fsync", full)
    with pytest.raises(DriverError) as caught:
        store.save(str(uuid4()), [b"x"], disk_format="raw")
    assert caught.value.code == "disk.full"
    assert caught.value.retryable
    assert left(store, tmp_path) == []


def test_what_a_crash_left_goes_with_its_image(store: FileImageStore, tmp_path: Path) -> None:
    kept, cut_off = str(uuid4()), str(uuid4())
    store.save(kept, [b"x"], disk_format="raw")
    (tmp_path / "images" / f"{cut_off}.abc.part").write_bytes(b"half")
    assert store.ids() == (kept,)
    assert store.path(cut_off) is None
    store.delete(cut_off)
    assert left(store, tmp_path) == [kept]


def test_an_image_deleted_during_its_upload_ends_it(store: FileImageStore, tmp_path: Path) -> None:
    image_id = str(uuid4())

    def chunks() -> Iterator[bytes]:
        yield b"x" * MIB
        store.delete(image_id)
        yield b"x" * MIB

    with pytest.raises(NotFound):
        store.save(image_id, chunks(), disk_format="raw")
    assert left(store, tmp_path) == []
