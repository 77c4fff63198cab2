from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.storage.base import ImageStore, LentFile, OfImage, OfVolume
from novalite.drivers.storage.files import FileImageStore
from novalite.drivers.storage.volumes import FileVolumes
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


@pytest.fixture
def lent(tmp_path: Path) -> Path:
    path = tmp_path / "lent"
    path.write_bytes(os.urandom(3 * MIB))
    return path


def kept_of(store: FileImageStore, lent: Path) -> Path:
    """Where it is kept; it has the right sums, and stays when what it is of goes."""
    image_id, data = str(uuid4()), lent.read_bytes()
    stored = store.save(image_id, LentFile(lambda: nullcontext(lent)), disk_format="raw")
    path = store.path(image_id)
    assert path is not None
    assert (stored.size, stored.sha512) == (len(data), hashlib.sha512(data).hexdigest())
    assert stored.md5 == hashlib.md5(data).hexdigest()
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o644
    assert store.ids() == (image_id,)
    return path


def test_a_lent_file_is_not_written_again(store: FileImageStore, lent: Path) -> None:
    assert kept_of(store, lent).samefile(lent)


@pytest.mark.parametrize("why", ["another file system", "another owner"])
def test_a_lent_file_that_cannot_be_ours_is_copied(
    store: FileImageStore, lent: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    def refused(_old: Path, _new: Path) -> None:
        raise OSError(errno.EXDEV, why)

    if why == "another owner":
        monkeypatch.setattr("novalite.drivers.storage.files.os.geteuid", lambda: 4321)
    else:
        monkeypatch.setattr("novalite.drivers.storage.files.os.link", refused)
    assert not kept_of(store, lent).samefile(lent)


def test_a_lent_file_that_is_refused_stays_with_its_owner(store: FileImageStore, tmp_path: Path, lent: Path) -> None:
    for size, refusal in ((9 * MIB, TooLarge), (MIB, Invalid)):
        with lent.open("wb") as file:
            file.write(b"QFI\xfb")
            file.truncate(size)
        with pytest.raises(refusal):
            store.save(str(uuid4()), LentFile(lambda: nullcontext(lent)), disk_format="raw")
        assert (left(store, tmp_path), lent.stat().st_size) == ([], size)


def test_what_watches_a_lent_file_ends_it(store: FileImageStore, tmp_path: Path, lent: Path) -> None:
    def unwanted() -> None:
        raise RuntimeError("nobody wants it")

    with pytest.raises(RuntimeError, match="nobody"):
        store.save(str(uuid4()), LentFile(lambda: nullcontext(lent), unwanted), disk_format="raw")
    assert left(store, tmp_path) == []


def test_an_image_of_a_volume_is_converted_straight_into_the_store(
    store: FileImageStore, tmp_path: Path, lent: Path
) -> None:
    """Whatever the format, the disk is written to once."""
    files, volume_id = FileVolumes(tmp_path / "volumes"), str(uuid4())
    files.ensure_volume(volume_id, 1, OfImage(lent, "raw"))
    roomy = FileImageStore(tmp_path / "images", max_size=1 << 40, max_virtual_size=1 << 40)
    laid: list[int] = []
    content = files.read(OfVolume(volume_id), "qcow2")
    assert isinstance(content, LentFile)

    @contextmanager
    def noted() -> Iterator[Path]:
        with content.lend() as path:
            laid.append(path.stat().st_ino)
            yield path

    image_id = str(uuid4())
    roomy.save(image_id, LentFile(noted), disk_format="qcow2")
    path = roomy.path(image_id)
    assert path is not None
    assert laid == [path.stat().st_ino]
    assert path.stat().st_nlink == 1
    assert list((tmp_path / "volumes").glob("*.part")) == []
