"""The store of backups in a directory."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.storage.backups import PieceBackups
from novalite.drivers.storage.base import StoredBackup
from novalite.drivers.storage.named_pieces import NamedPieces
from novalite.drivers.storage.objects import DirectoryObjects
from novalite.drivers.storage.stretches import PIECE_BYTES, zeros
from novalite.errors import DriverError
from tests.contracts.backup_store import ANOTHERS, KIB, OURS, BackupStoreContract, opened, refusal
from tests.contracts.volume_driver import new_id


class TestInADirectory(BackupStoreContract):
    @pytest.fixture
    def objects(self, tmp_path: Path) -> DirectoryObjects:
        return DirectoryObjects(tmp_path / "backups")


@pytest.mark.parametrize("change", [
    {"pieces": ["../../precious"]}, {"pieces": ["..", None]}, {"pieces": [5]}, {"pieces": None}, {"pieces": "aa"},
    {"added": "much"}, {"size": -1}, {"piece_bytes": None}, {"facts": []}, {"facts": {"name": ["x"]}},
    {"facts": {"size_gib": "many"}}, {"size": 1 << 59, "piece_bytes": 1}, {"size": 1 << 59, "piece_bytes": 1 << 59},
    {"piece_bytes": 0},
])  # fmt: skip
def test_manifests_that_others_have_written_lead_nowhere(tmp_path: Path, change: dict[str, Any]) -> None:
    precious, objects, backup_id = tmp_path / "precious", DirectoryObjects(tmp_path / "backups"), new_id()
    precious.write_text("x")
    store = opened(objects)
    store.save(backup_id, [b"data"], {})
    manifest = json.loads(objects.get(f"manifests/{backup_id}.json") or b"")
    objects.put(f"manifests/{backup_id}.json", json.dumps({**manifest, **change}).encode())
    for act in (store.kept, store.delete, lambda id: b"".join(store.read(id))):
        assert refusal(lambda act=act: act(backup_id)) == "backup.corrupt"  # type: ignore[misc]
    assert precious.exists()


def test_pieces_that_were_wrapped_once_are_read_as_ever(tmp_path: Path) -> None:
    """Those that do not shrink were zlib streams without compression; they are kept as they are since."""
    objects, backup_id, data = DirectoryObjects(tmp_path / "backups"), new_id(), os.urandom(128 * KIB)
    store = opened(objects)
    store.save(backup_id, [data], {})
    names = list(objects.names("pieces"))
    assert {objects.get(name) for name in names} == {data[: 64 * KIB], data[64 * KIB :]}
    for name in names:
        objects.put(name, zlib.compress(objects.get(name) or b"", 0))
    assert b"".join(store.read(backup_id)) == data
    assert store.save(new_id(), [data], {}).added == 0


def test_what_is_equal_in_one_backup_is_stored_once(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path / "backups")
    kept = opened(objects).save(new_id(), [os.urandom(64 * KIB) * 20], {})
    assert (kept.pieces, kept.added, len(list(objects.names("pieces")))) == (1, 64 * KIB, 1)


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it holds does not pass for absent: pieces that its manifests name would go."""
    place, backup_id = tmp_path / "backups", new_id()
    objects = DirectoryObjects(place)
    store = opened(objects)
    store.save(backup_id, [b"data"], {})
    assert (objects.get("manifests/none"), objects.has("none/x"), list(objects.names("none"))) == (None, False, [])

    def refuse(*given: object, **named: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def ask(act: Callable[[], object], *broken: str) -> None:
        with monkeypatch.context() as patch:
            for name in broken:
                patch.setattr(name, refuse)
            with pytest.raises(DriverError, match=f"{place}: .*: Input/output error") as told:
                act()
        assert (told.value.code, told.value.retryable) == ("driver.failed", False)
        assert "backups.directory" in told.value.hint

    ask(lambda: list(objects.names("pieces")), "os.scandir")
    ask(store.clean, "os.scandir")
    ask(lambda: store.kept(backup_id), "pathlib.Path.read_bytes")
    ask(lambda: objects.has("store.json"), "pathlib.Path.stat")
    ask(lambda: objects.delete("store.json"), "pathlib.Path.unlink")
    ask(lambda: objects.put("store.json", b"x"), "os.fsync")
    assert b"".join(store.read(backup_id)) == b"data"
    assert [path for path in place.rglob("*") if path.suffix == ".part"] == []


_KILLED = """
import os, sys
from pathlib import Path
from novalite.drivers.storage.objects import DirectoryObjects
os.fsync = lambda file: os._exit(9)
DirectoryObjects(Path(sys.argv[1])).put(sys.argv[2], b"half")
"""


def cut_off(place: Path, *names: str) -> None:
    """By processes that die while they write."""
    for name in names:
        assert subprocess.run([sys.executable, "-c", _KILLED, str(place), name], check=False).returncode == 9


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.rglob("*.part"))


@pytest.mark.parametrize("by", ["the first backup after a start", "cleaning"])
def test_what_a_killed_process_was_writing_goes(tmp_path: Path, by: str) -> None:
    place, theirs = tmp_path / "backups", "a film.mkv.part"
    first = opened(DirectoryObjects(place))
    first.save(new_id(), [b"data"], {})
    (place / theirs).touch()
    cut_off(place, "store.json", f"manifests/{new_id()}.json", "pieces/aa/" + "a" * 64)
    assert len(left(place)) == 4
    first.save(new_id(), [b"other"], {})
    assert len(left(place)) == 4, "this process looked when it saved its first"
    stranger = opened(DirectoryObjects(place), ANOTHERS)
    stranger.clean()
    assert refusal(lambda: stranger.save(new_id(), [b"x"], {})) == "backup.not_ours"
    assert len(left(place)) == 4, "they may be on their way for the one whose store it is"
    if by == "cleaning":
        first.clean()
    else:
        opened(DirectoryObjects(place)).save(new_id(), [b"more"], {})
    assert left(place) == [theirs]


def test_what_this_process_is_writing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = DirectoryObjects(tmp_path)
    monkeypatch.setattr("os.fsync", lambda file: objects.tidy("pieces"))
    objects.put("pieces/aa/x", b"whole")
    assert (objects.get("pieces/aa/x"), left(tmp_path)) == (b"whole", [])


class Counted(DirectoryObjects):
    """Remembers which manifests were read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.read: list[str] = []

    def get(self, name: str) -> bytes | None:
        if name.startswith("manifests/"):
            self.read.append(name.removeprefix("manifests/").removesuffix(".json"))
        return super().get(name)

    def read_by(self, act: Callable[[], object]) -> list[str]:
        self.read = []
        act()
        return sorted(self.read)


def saved(store: PieceBackups, *contents: bytes) -> list[str]:
    ids = [new_id() for _ in contents]
    for backup_id, content in zip(ids, contents, strict=True):
        store.save(backup_id, [content], {})
    return ids


def blocks(*kinds: int) -> bytes:
    return b"".join(bytes([kind]) * (64 * KIB) for kind in kinds)


def test_a_manifest_is_read_once_for_all_deletions(tmp_path: Path) -> None:
    objects = Counted(tmp_path)
    store = opened(objects)
    first, second, third, fourth = saved(store, blocks(1, 2), blocks(2, 3), blocks(3, 4), blocks(4, 5))
    assert objects.read_by(lambda: store.delete(first)) == sorted([first, second, third, fourth])
    assert objects.read_by(lambda: store.delete(second)) == [second]
    (fifth,) = saved(store, blocks(5, 6))
    assert objects.read_by(lambda: store.delete(third)) == sorted([third, fifth])
    assert len(list(objects.names("pieces"))) == 3
    assert b"".join(store.read(fourth)) + b"".join(store.read(fifth)) == blocks(4, 5, 5, 6)
    assert objects.read_by(lambda: opened(objects).delete(fifth)) == sorted([fourth, fifth]), "a new process reads all"
    store.delete(fourth)
    assert list(objects.names("pieces")) == []


def test_what_was_read_is_not_believed_when_somebody_else_has_written(tmp_path: Path) -> None:
    """Even a backup of the same id may hold something else then."""
    objects = DirectoryObjects(tmp_path)
    ours, other = opened(objects), opened(objects, ANOTHERS)
    first, second, same = saved(ours, blocks(1), blocks(2, 3), blocks(4))
    ours.delete(first)
    other.take_over()
    other.delete(same)
    other.save(same, [blocks(3)], {})
    opened(objects).take_over()
    ours.delete(second)
    assert b"".join(ours.read(same)) == blocks(3)
    assert len(list(objects.names("pieces"))) == 1


def test_a_backup_that_is_made_again_names_what_it_holds_now(tmp_path: Path) -> None:
    store = opened(DirectoryObjects(tmp_path))
    first, second, same = saved(store, blocks(1), blocks(2, 3), blocks(4))
    store.delete(first)
    store.delete(same)
    store.save(same, [blocks(3)], {})
    store.delete(second)
    assert b"".join(store.read(same)) == blocks(3)


@pytest.mark.parametrize("most", [0, 3, 100])
def test_no_more_is_remembered_than_there_is_room_for(most: int) -> None:
    named, asked = NamedPieces(most), list[str]()
    manifests: dict[str, list[str | None]] = {"a": ["1" * 64, None], "b": ["2" * 64, "3" * 64], "c": ["4" * 64]}

    def read(backup_id: str) -> Iterable[str | None]:
        asked.append(backup_id)
        return manifests[backup_id]

    digests = {str(digit) * 64 for digit in range(1, 7)}
    for _ in range(2):
        assert named.unnamed(digests, "term", list(manifests), read) == ["5" * 64, "6" * 64]
    assert len(asked) == {0: 6, 3: 4, 100: 3}[most]
    assert named.unnamed({"1" * 64}, "another term", ["a", "b"], read) == []
    assert asked[-1] == "a", "nothing is left to be asked for after that"


def test_zeros_cost_nothing(tmp_path: Path) -> None:
    """A volume of a tebibyte of them is read, kept and put back without one of them being made."""
    objects, backup_id, size = DirectoryObjects(tmp_path / "backups"), new_id(), 1 << 40
    store = PieceBackups(objects, OURS)
    blank = repeat(zeros(PIECE_BYTES), size // PIECE_BYTES)
    assert store.save(backup_id, blank, {}) == StoredBackup(0, 0)
    assert list(objects.names("pieces")) == []
    assert all(piece is zeros(PIECE_BYTES) for piece in store.read(backup_id))
