"""What every store of backups must do, whatever keeps its objects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from novalite.drivers.storage.backups import PieceBackups
from novalite.drivers.storage.base import OfImage, OfStream, OfVolume
from novalite.drivers.storage.objects import Objects
from novalite.drivers.storage.sealed_objects import SealingKey
from novalite.drivers.storage.volumes import FileVolumes
from novalite.errors import DriverError
from tests.contracts.volume_driver import new_id

KIB = 1024
OURS, ANOTHERS = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
KEY, OTHER_KEY = SealingKey(b"k" * 32), SealingKey(b"o" * 32)


def opened(objects: Objects, appliance_id: str = OURS, key: SealingKey | None = None) -> PieceBackups:
    return PieceBackups(objects, appliance_id, key=key, piece_bytes=64 * KIB)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(DriverError) as told:
        act()
    return told.value.code


def code(store: PieceBackups, backup_id: str) -> str:
    return refusal(lambda: b"".join(store.read(backup_id)))


class BackupStoreContract:
    """A fixture ``objects`` gives an empty place."""

    @pytest.fixture(params=[None, KEY], ids=["clear", "sealed"])
    def key(self, request: pytest.FixtureRequest) -> SealingKey | None:
        found: SealingKey | None = request.param
        return found

    @pytest.fixture
    def store(self, objects: Objects, key: SealingKey | None) -> PieceBackups:
        return opened(objects, key=key)

    def test_only_what_is_new_is_stored(self, store: PieceBackups, objects: Objects) -> None:
        content = bytearray(os.urandom(256 * KIB) + bytes(512 * KIB) + b"end")
        first, second = new_id(), new_id()
        kept = store.save(first, [bytes(content[:1000]), bytes(content[1000:])], {"name": "v"})
        assert kept.pieces == 5
        assert kept.added > 256 * KIB
        content[70 * KIB] ^= 1
        again = store.save(second, [bytes(content)], {})
        assert again.added < 66 * KIB
        assert len(list(objects.names("pieces"))) == 6
        assert b"".join(store.read(second)) == content
        content[70 * KIB] ^= 1
        assert b"".join(store.read(first)) == content
        assert store.save(first, [b"never read"], {}) == kept
        assert (store.kept(first).facts, store.kept(first).stored) == ({"name": "v"}, kept)
        assert store.ids() == tuple(sorted((first, second)))

    def test_each_goes_alone(self, store: PieceBackups, objects: Objects) -> None:
        content, first, second = os.urandom(128 * KIB), new_id(), new_id()
        store.save(first, [content], {})
        store.save(second, [content[: 64 * KIB], os.urandom(64 * KIB)], {})
        assert len(list(objects.names("pieces"))) == 3
        for _ in range(2):
            store.delete(first)
        assert len(list(objects.names("pieces"))) == 2
        assert b"".join(store.read(second))[: 64 * KIB] == content[: 64 * KIB]
        assert code(store, first) == "backup.not_found"
        store.delete(second)
        assert list(objects.names("pieces")) == []

    def test_what_was_cut_off_is_no_backup_and_goes(self, store: PieceBackups, objects: Objects) -> None:
        def cut() -> Iterator[bytes]:
            yield os.urandom(128 * KIB)
            store.clean()  # somebody else's deletion does not take what is on its way
            raise OSError("the host is gone")

        with pytest.raises(OSError, match="gone"):
            store.save(new_id(), cut(), {})
        assert store.ids() == ()
        assert len(list(objects.names("pieces"))) == 2
        store.clean()
        assert list(objects.names("pieces")) == []

    def test_a_volume_comes_back_bit_for_bit(self, store: PieceBackups, tmp_path: Path) -> None:
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

    def test_damage_is_noticed(self, store: PieceBackups, objects: Objects) -> None:
        backup_id = new_id()
        store.save(backup_id, [os.urandom(128 * KIB)], {})
        first, second = objects.names("pieces")
        whole, other = objects.get(first), objects.get(second)
        assert whole
        assert other
        for damaged in (other, b"no zlib", bytes([whole[0] ^ 1]) + whole[1:]):
            objects.put(first, damaged)
            assert code(store, backup_id) == "backup.corrupt"
        objects.put(first, whole)
        assert len(b"".join(store.read(backup_id))) == 128 * KIB
        objects.delete(second)
        assert code(store, backup_id) == "backup.corrupt"
        objects.put(f"manifests/{backup_id}.json", b"{}")
        assert code(store, backup_id) == "backup.corrupt"
        assert code(store, "../x") == "backup.not_found"

    def test_what_is_sealed_tells_nothing(self, objects: Objects) -> None:
        backup_id, content = new_id(), b"the salary of everybody " * 4096
        opened(objects, key=KEY).save(backup_id, [content], {"name": "salaries"})
        names = [*objects.names("pieces"), *objects.names("manifests")]
        assert len(names) == 3
        told = b"".join(objects.get(name) or b"" for name in names)
        assert b"salar" not in told
        assert b"pieces" not in told
        clear = opened(objects)
        for reader in (clear, opened(objects, key=OTHER_KEY)):
            assert code(reader, backup_id) == "backup.key"
            assert refusal(lambda reader=reader: reader.save(new_id(), [b"x"], {})) == "backup.key"
            assert refusal(reader.take_over) == "backup.key"
        assert b"".join(opened(objects, ANOTHERS, KEY).read(backup_id)) == content

    def test_a_store_that_was_begun_in_the_clear_is_not_sealed_afterwards(self, objects: Objects) -> None:
        backup_id = new_id()
        opened(objects).save(backup_id, [b"x"], {})
        assert code(opened(objects, key=KEY), backup_id) == "backup.key"
        objects.delete("store.json")  # as it was before there were marks
        assert refusal(lambda: opened(objects, key=KEY).save(new_id(), [b"x"], {})) == "backup.key"
        assert b"".join(opened(objects).read(backup_id)) == b"x"

    def test_one_appliance_writes(self, store: PieceBackups, objects: Objects, key: SealingKey | None) -> None:
        other, mine = opened(objects, ANOTHERS, key), new_id()
        assert (store.keeper().appliance_id, store.keeper().ours) == ("", True)
        store.save(mine, [b"x" * KIB], {})
        assert (store.keeper().ours, store.keeper().encrypted) == (True, key is not None)
        assert not other.keeper().ours
        assert b"".join(other.read(mine)) == b"x" * KIB
        assert refusal(lambda: other.save(new_id(), [b"y"], {})) == "backup.not_ours"
        assert refusal(lambda: other.delete(mine)) == "backup.not_ours"
        objects.put("pieces/aa/" + "a" * 64, b"on its way")
        other.clean()
        assert len(list(objects.names("pieces"))) == 2
        other.take_over()
        other.take_over()
        other.clean()
        assert len(list(objects.names("pieces"))) == 1
        assert refusal(lambda: store.save(new_id(), [b"y"], {})) == "backup.not_ours"
        other.delete(mine)
        assert store.ids() == ()

    def test_who_loses_the_store_meanwhile_leaves_no_backup(
        self, store: PieceBackups, objects: Objects, key: SealingKey | None
    ) -> None:
        other, backup_id = opened(objects, ANOTHERS, key), new_id()

        def taken() -> Iterator[bytes]:
            yield os.urandom(64 * KIB)
            other.take_over()
            other.clean()

        assert refusal(lambda: store.save(backup_id, taken(), {})) == "backup.not_ours"
        assert other.ids() == ()
