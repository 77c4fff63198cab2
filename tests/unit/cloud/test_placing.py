"""Which backend keeps a new volume."""

from __future__ import annotations

from dataclasses import replace

import pytest

from novalite.cloud.volume.placing import Room, Wish, choose
from novalite.drivers.storage.base import VolumePool
from novalite.errors import Failed

GIB = 1 << 30
LOCAL = Room(VolumePool("h@local#local", "file", 100 * GIB, 50 * GIB), 0)
CEPH = Room(VolumePool("h@ceph#rbd", "ceph", 1000 * GIB, 900 * GIB, shares=False, encrypts=True), 0)
ROOMS = {"local": LOCAL, "ceph": CEPH}


def chosen(wish: Wish, **rooms: Room) -> str:
    return choose(wish, rooms or ROOMS, reserve_gib=1.0, oversubscription=2.0)


@pytest.mark.parametrize(
    ("wish", "name"),
    [(Wish(1, {}), "local"), (Wish(1, {"volume_backend_name": "ceph"}), "ceph"),
     (Wish(1, {"storage_protocol": "ceph"}), "ceph"), (Wish(1, {}, near="ceph"), "ceph"),
     (Wish(1, {"volume_backend_name": "local"}, near="ceph"), "local"), (Wish(60, {}, needs_gib=60), "ceph"),
     (Wish(300, {}), "ceph"), (Wish(1, {}, encrypted=True), "ceph"), (Wish(1, {}, near="ceph", shared=True), "local")],
)  # fmt: skip
def test_what_is_chosen(wish: Wish, name: str) -> None:
    assert chosen(wish) == name


@pytest.mark.parametrize(
    ("wish", "word"),
    [(Wish(1, {"volume_backend_name": "gold"}), "asks for gold"), (Wish(1, {}, needs_gib=50), "51 are needed"),
     (Wish(201, {}), "promised"), (Wish(1, {}, encrypted=True), "encrypt")],
)  # fmt: skip
def test_each_refusal_tells_why(wish: Wish, word: str) -> None:
    with pytest.raises(Failed, match=word) as told:
        chosen(wish, local=LOCAL)
    assert told.value.code == "volume.no_room"


def test_what_does_not_answer_is_told() -> None:
    with pytest.raises(Failed, match="ceph: it does not answer"):
        choose(Wish(201, {}), {"local": LOCAL}, reserve_gib=1.0, oversubscription=2.0, away=["ceph"])


def test_what_is_promised_counts() -> None:
    assert chosen(Wish(100, {}), local=replace(LOCAL, promised_gib=100)) == "local"
    with pytest.raises(Failed):
        chosen(Wish(101, {}), local=replace(LOCAL, promised_gib=100))
    thick = replace(LOCAL.pool, thin=False)
    with pytest.raises(Failed):
        chosen(Wish(101, {}), local=Room(thick, 0))
