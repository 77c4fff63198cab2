"""Backups as pieces: what is stored once, what can be read alone, what is damaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from novalite.drivers.storage.backups import PieceBackups
from novalite.drivers.storage.base import OfImage, OfStream, OfVolume
from novalite.drivers.storage.objects import DirectoryObjects
from novalite.drivers.storage.volumes import FileVolumes
from novalite.errors import DriverError
from tests.contracts.volume_driver import new_id

KIB = 1024


@pytest.fixture
def store(tmp_path: Path) -> PieceBackups:
    return PieceBackups(DirectoryObjects(tmp_path / "backups"), piece_bytes=64 * KIB)


def pieces(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "backups" / "pieces").rglob("*") if path.is_file()]


def code(store: PieceBackups, backup_id: str) -> str:
    with pytest.raises(DriverError) as told:
        b"".join(store.read(backup_id))
    return told.value.code


def test_only_what_is_new_is_stored(store: PieceBackups, tmp_path: Path) -> None:
    content = bytearray(os.urandom(256 * KIB) + bytes(512 * KIB) + b"end")
    first, second = new_id(), new_id()
    kept = store.save(first, [bytes(content[:1000]), bytes(content[1000:])], {"name": "v"})
    assert kept.pieces == 5
    assert kept.added > 256 * KIB
    content[70 * KIB] ^= 1
    again = store.save(second, [bytes(content)], {})
    assert again.added < 66 * KIB
    assert len(pieces(tmp_path)) == 6
    assert b"".join(store.read(second)) == content
    content[70 * KIB] ^= 1
    assert b"".join(store.read(first)) == content
    assert store.save(first, [b"never read"], {}) == kept
    assert store.facts(first) == {"name": "v"}
    assert store.ids() == tuple(sorted((first, second)))


def test_each_goes_alone(store: PieceBackups, tmp_path: Path) -> None:
    content, first, second = os.urandom(128 * KIB), new_id(), new_id()
    store.save(first, [content], {})
    store.save(second, [content[: 64 * KIB], os.urandom(64 * KIB)], {})
    assert len(pieces(tmp_path)) == 3
    for _ in range(2):
        store.delete(first)
    assert len(pieces(tmp_path)) == 2
    assert b"".join(store.read(second))[: 64 * KIB] == content[: 64 * KIB]
    assert code(store, first) == "backup.not_found"
    store.delete(second)
    assert pieces(tmp_path) == []


def test_what_was_cut_off_is_no_backup_and_goes(store: PieceBackups, tmp_path: Path) -> None:
    def cut() -> Iterator[bytes]:
        yield os.urandom(128 * KIB)
        store.clean()  # somebody else's deletion does not take what is on its way
        raise OSError("the host is gone")

    with pytest.raises(OSError, match="gone"):
        store.save(new_id(), cut(), {})
    assert store.ids() == ()
    assert len(pieces(tmp_path)) == 2
    store.clean()
    assert pieces(tmp_path) == []


def test_a_volume_comes_back_bit_for_bit(store: PieceBackups, tmp_path: Path) -> None:
    image, data = tmp_path / "image", os.urandom(300 * KIB)
    image.write_bytes(data)
    files, volume_id, copy_id, backup_id = FileVolumes(tmp_path / "volumes"), new_id(), new_id(), new_id()
    files.ensure_volume(volume_id, 1, OfImage(image, "raw"))
    store.save(backup_id, files.read(OfVolume(volume_id), "raw"), {})
    files.ensure_volume(copy_id, 2, OfStream(store.read(backup_id), "raw"))
    head = bytearray()
    for chunk in files.read(OfVolume(copy_id), "raw"):
        head += chunk
        if len(head) >= 1 << 20:
            break
    assert head[: len(data)] == data
    assert not head[len(data) :].strip(b"\0")
    assert Path(files.ensure_volume(copy_id, 2).path).stat().st_blocks * 512 < 4 << 20


def test_damage_is_noticed(store: PieceBackups, tmp_path: Path) -> None:
    backup_id = new_id()
    store.save(backup_id, [os.urandom(128 * KIB)], {})
    first, second = pieces(tmp_path)
    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert code(store, backup_id) == "backup.corrupt"
    first.write_bytes(b"no zlib")
    assert code(store, backup_id) == "backup.corrupt"
    first.write_bytes(whole)
    second.unlink()
    assert code(store, backup_id) == "backup.corrupt"
    (tmp_path / "backups" / "manifests" / f"{backup_id}.json").write_text("{}")
    assert code(store, backup_id) == "backup.corrupt"
    assert code(store, "../x") == "backup.not_found"
