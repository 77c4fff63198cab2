"""Volumes in the records: statuses that follow from attachments, guards, quotas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from novalite.cloud.identity import quotas
from novalite.cloud.volume import attachments, backups, changes, new_volumes, progress, snapshots, types, usage, volumes
from novalite.cloud.volume.new_volumes import NewVolume
from novalite.context import Context, internal
from novalite.db.work import Database, Work
from novalite.errors import Conflict, Invalid, NotFound, OverQuota

ME = Context("me", "mine", frozenset({"member", "reader"}))
OTHER = Context("you", "yours", frozenset({"member", "reader"}))
SERVER, SECOND = str(uuid4()), str(uuid4())


class Room:
    """The room as ``ME`` sees it, one unit for each call."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def unit(self, who: Context = ME) -> Iterator[Work]:
        with self.database.write(who) as w:
            yield w

    def new(self, status: str = "available", **fields: object) -> str:
        with self.unit() as w:
            made = new_volumes.create(w, NewVolume(**{"size_gib": 1, **fields}))  # type: ignore[arg-type]
        with self.unit() as w:
            volumes.change(w, made.id, {"status": status, "location": {"path": "/v", "format": "qcow2"}})
        return made.id

    def status(self, volume_id: str) -> str:
        with self.unit() as w:
            return volumes.get(w, volume_id).status

    def attached(self, volume_id: str, server_id: str = SERVER) -> str:
        with self.unit() as w:
            made = attachments.reserve(w, volume_id, server_id)
            attachments.attach(w, made.id, device="/dev/vdb", host="h")
        return made.id


@pytest.fixture
def room(database: Database) -> Room:
    return Room(database)


def test_the_way_of_an_attachment(room: Room) -> None:
    volume_id = room.new()
    with room.unit() as w:
        made = attachments.reserve(w, volume_id, SERVER)
    assert room.status(volume_id) == "reserved"
    with room.unit() as w:
        assert attachments.attaching(w, made.id, host="h", device="/dev/vdb")
    assert room.status(volume_id) == "attaching"
    for _ in range(2):
        with room.unit() as w:
            assert attachments.attach(w, made.id, device="/dev/vdb")
        assert room.status(volume_id) == "in-use"
    with room.unit() as w:
        attachments.begin_detaching(w, volume_id, SERVER)
    assert room.status(volume_id) == "detaching"
    with room.unit() as w:
        attachments.roll_detaching(w, volume_id)
    assert room.status(volume_id) == "in-use"
    with room.unit() as w:
        assert [attachments.detach(w, made.id), attachments.detach(w, made.id)] == [True, False]
    assert room.status(volume_id) == "available"
    with room.unit() as w:
        assert not attachments.attach(w, made.id, device="/dev/vdb")


def test_a_volume_is_promised_to_one_server_only(room: Room) -> None:
    volume_id = room.new()
    with room.unit() as w:
        attachments.reserve(w, volume_id, SERVER)
    with room.unit() as w, pytest.raises(Invalid) as refused:
        attachments.reserve(w, volume_id, SECOND)
    assert refused.value.code == "volume.state"


def test_multiattach_volumes_go_to_several(room: Room) -> None:
    volume_id = room.new(multiattach=True)
    first, second = room.attached(volume_id), room.attached(volume_id, SECOND)
    assert room.status(volume_id) == "in-use"
    with room.unit() as w, pytest.raises(Invalid):
        attachments.reserve(w, volume_id, SECOND)
    with room.unit() as w:
        attachments.detach(w, first)
    assert room.status(volume_id) == "in-use"
    with room.unit() as w:
        attachments.detach(w, second)
    assert room.status(volume_id) == "available"


@pytest.mark.parametrize("status", ["creating", "error", "deleting", "extending", "detaching"])
def test_only_what_is_free_is_attached(room: Room, status: str) -> None:
    volume_id = room.new(status)
    with room.unit() as w, pytest.raises(Invalid):
        attachments.reserve(w, volume_id, SERVER)
    assert room.status(volume_id) == status


def test_a_failed_volume_stays_so_when_it_is_let_go(room: Room) -> None:
    volume_id = room.new()
    attachment_id = room.attached(volume_id)
    with room.unit() as w:
        volumes.change(w, volume_id, {"status": "error_extending"})
        attachments.detach(w, attachment_id)
    assert room.status(volume_id) == "error_extending"


def test_what_compute_attached_only_compute_lets_go(room: Room) -> None:
    attachment_id = room.attached(room.new())
    with room.unit() as w, pytest.raises(Conflict):
        attachments.refuse_if_computes(w, attachments.get(w, attachment_id))
    with room.unit(internal()) as w:
        attachments.refuse_if_computes(w, attachments.get(w, attachment_id))


def test_others_volumes_are_not_found(room: Room) -> None:
    volume_id = room.new()
    for call in (volumes.get, volumes.delete, attachments.begin_detaching):
        with room.unit(OTHER) as w, pytest.raises(NotFound):
            call(w, volume_id)
    with room.unit(OTHER) as w, pytest.raises(NotFound):
        attachments.reserve(w, volume_id, SERVER)


def test_nothing_is_deleted_that_is_used(room: Room) -> None:
    volume_id = room.new()
    room.attached(volume_id)
    with room.unit() as w, pytest.raises(Invalid):
        volumes.delete(w, volume_id)
    assert room.status(volume_id) == "in-use"


def test_a_volume_with_snapshots_goes_with_them_or_not_at_all(room: Room) -> None:
    volume_id = room.new()
    with room.unit() as w:
        made = snapshots.create(w, volume_id)
    for cascade in (False, True):
        with room.unit() as w, pytest.raises(Invalid):  # the copy is just being made
            volumes.delete(w, volume_id, cascade=cascade)
    with room.unit() as w:
        progress.snapshot_made(w, made.id)
    with room.unit() as w, pytest.raises(Invalid):
        volumes.delete(w, volume_id)
    with room.unit() as w:
        volumes.delete(w, volume_id, cascade=True)
    with room.unit() as w:
        progress.gone(w, volume_id)
        assert (volumes.find(w, volume_id), snapshots.find(w, made.id)) == (None, None)


def test_what_is_being_copied_is_neither_attached_nor_deleted(room: Room) -> None:
    volume_id = room.new()
    with room.unit() as w:
        copy = new_volumes.create(w, NewVolume(source_volume_id=volume_id))
    with room.unit() as w, pytest.raises(Invalid):
        volumes.delete(w, volume_id)
    with room.unit() as w, pytest.raises(Invalid):
        attachments.reserve(w, volume_id, SERVER)
    with room.unit() as w:
        progress.created(w, copy.id)
    with room.unit() as w:
        attachments.reserve(w, volume_id, SERVER)


def test_a_copy_keeps_size_type_and_what_is_known_of_the_image(room: Room) -> None:
    with room.unit(internal()) as w:
        kind = types.create(w, "fast", extra_specs={"multiattach": "<is> True"})
    origin = room.new(size_gib=2, type="fast")
    with room.unit() as w:
        volumes.change(w, origin, {"bootable": True, "image_metadata": {"image_id": "i", "os": "x"}})
    with room.unit() as w:
        copy = new_volumes.create(w, NewVolume(source_volume_id=origin))
        assert (copy.size_gib, copy.type_id, copy.multiattach, copy.bootable) == (2, kind.id, True, True)
        assert copy.image_metadata == {"image_id": "i", "os": "x"}
    with room.unit() as w, pytest.raises(Invalid) as small:
        new_volumes.create(w, NewVolume(size_gib=1, source_volume_id=origin))
    assert small.value.field == "size"


def test_copies_of_protections_count_for_what_they_hold(room: Room) -> None:
    """Each volume once, as large as its largest copy, and what later copies added to the store, rounded up in sum."""
    first, second = room.new(size_gib=3), room.new(size_gib=2)
    gib = 1 << 30
    with room.unit() as w:
        quotas.set_limits(w, "mine", {"backups": 1, "backup_gigabytes": 7})
        for volume_id, added in ((first, 3 * gib), (first, gib // 4), (first, gib // 4), (second, gib)):
            made = backups.create(w, volume_id, name=None, description=None, by_protection=True)
            volumes.change(w, volume_id, {"status": "available"})
            backups.stored(w, made.id, size_bytes=added, object_count=1, place="p")
            w.now += timedelta(hours=1)
        assert (usage.used(w, "mine")["backups"], usage.used(w, "mine")["backup_gigabytes"]) == (0, 6)
        for more in range(1, 3):
            made = backups.create(w, first, name=None, description=None, by_protection=True)
            volumes.change(w, first, {"status": "available"})
            backups.stored(w, made.id, size_bytes=gib, object_count=1, place="p")
            assert usage.used(w, "mine")["backup_gigabytes"] == 6 + more
    with room.unit() as w, pytest.raises(OverQuota) as full:
        backups.create(w, first, name=None, description=None, by_protection=True)
    assert (full.value.resource, full.value.facts["used"]) == ("backup_gigabytes", 8)
    with room.unit() as w, pytest.raises(OverQuota):
        backups.create(w, second, name=None, description=None)
    with room.unit() as w:
        quotas.set_limits(w, "mine", {"backup_gigabytes": 10})
        backups.create(w, second, name=None, description=None)
        found = usage.used_by(w, ["mine", "yours"])
        assert (found["mine"]["backups"], found["mine"]["backup_gigabytes"]) == (1, 10)
        assert found["yours"]["backup_gigabytes"] == 0
    with room.unit() as w, pytest.raises(OverQuota) as many:
        backups.create(w, first, name=None, description=None)
    assert many.value.resource == "backups"


def test_quotas_count_volumes_snapshots_and_what_grows(room: Room) -> None:
    volume_id = room.new(size_gib=3)
    with room.unit() as w:
        snapshots.create(w, volume_id)
        used = {name: number for name, number in usage.used(w, "mine").items() if number}
        assert used == {"volumes": 1, "snapshots": 1, "gigabytes": 6}
        w.session.execute(snapshots.sa.delete(snapshots.Snapshot))
        quotas.set_limits(w, "mine", {"gigabytes": 5, "volumes": 2, "per_volume_gigabytes": 4})
    for size in (3, 5):
        with room.unit() as w, pytest.raises(OverQuota):
            new_volumes.create(w, NewVolume(size_gib=size))
    with room.unit() as w, pytest.raises(OverQuota) as large:
        changes.extend(w, volume_id, 5, attached_too=True)
    assert large.value.resource == "per_volume_gigabytes"
    with room.unit() as w:
        changes.extend(w, volume_id, 4, attached_too=True)
        assert usage.used(w, "mine")["gigabytes"] == 4  # before it has grown
    with room.unit() as w, pytest.raises(OverQuota):
        new_volumes.create(w, NewVolume(size_gib=2))
    with room.unit() as w:
        progress.extended(w, volume_id, 4)
        assert (volumes.get(w, volume_id).size_gib, volumes.get(w, volume_id).status) == (4, "available")
        new_volumes.create(w, NewVolume(size_gib=1))
    with room.unit() as w, pytest.raises(OverQuota) as many:
        new_volumes.create(w, NewVolume(size_gib=1))
    assert many.value.resource in ("volumes", "gigabytes")


def test_what_a_guest_is_given(room: Room) -> None:
    volume_id = room.new()
    with room.unit() as w:
        disk = volumes.disk(w, volume_id)
    assert (disk.path, disk.format, disk.serial, disk.size_gib) == ("/v", "qcow2", volume_id[:20], 1)


def test_types_that_are_not_public_are_for_chosen_projects(room: Room) -> None:
    with room.unit(internal()) as w:
        hidden = types.create(w, "hidden", is_public=False, extra_specs={})
    with room.unit() as w, pytest.raises(NotFound):
        new_volumes.create(w, NewVolume(size_gib=1, type="hidden"))
    with room.unit(internal()) as w:
        types.allow(w, hidden.id, "mine")
    room.new(type="hidden")
    with room.unit(internal()) as w, pytest.raises(Invalid):
        types.delete(w, hidden.id)
