"""Several backends: types choose among them, and data go from one to another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.conftest import Appliance, running
from tests.api.volume.conftest import Cinder


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    wanted = ("plain=fake", "small=fake?total_gib=4")
    with running(tmp_path_factory.mktemp("state"), volumes__backends=wanted) as made:
        yield made


@pytest.fixture(scope="module")
def small(admin: Cinder) -> str:
    body = {"name": "small", "extra_specs": {"volume_backend_name": "small"}}
    return str(admin.ask("/types", {"volume_type": body}, 200)["volume_type"]["name"])


def test_types_choose(admin: Cinder, small: str) -> None:
    names = {pool["name"].partition("@")[2] for pool in admin.get("/scheduler-stats/get_pools")["pools"]}
    assert names == {"plain#plain", "small#small"}
    hosts = [one["host"].partition("@")[2] for one in admin.get("/os-services?binary=cinder-volume")["services"]]
    assert hosts == ["plain", "small"]
    first, second = admin.volume(), admin.volume(volume_type=small)
    where = [one["os-vol-host-attr:host"].partition("@")[2] for one in (first, second)]
    assert where == ["plain#plain", "small#small"]
    backends = admin.appliance.built.parts.volumes
    assert backends.of("small").place(second["id"]) is not None
    assert backends.of("plain").place(second["id"]) is None
    snapshot = admin.snapshot(second["id"])["id"]
    assert backends.of("small").snapshot_ids() == (snapshot,)
    specs = {"capabilities:volume_backend_name": "plain"}
    admin.ask("/types", {"volume_type": {"name": "p", "extra_specs": specs}}, 200)
    copies = [admin.volume(snapshot_id=snapshot), admin.volume(source_volid=second["id"], volume_type="p")]
    assert [one["os-vol-host-attr:host"].partition("@")[2] for one in copies] == ["small#small", "plain#plain"]
    for one in (*copies, first, second):
        admin.delete("volumes", one["id"], "?cascade=true")
    assert [backends.of(name).volume_ids() for name in ("plain", "small")] == [(), ()]
    assert backends.of("small").snapshot_ids() == ()


def test_what_has_no_room_is_told_and_stops_nothing(admin: Cinder, small: str) -> None:
    there = admin.volume(volume_type=small)["id"]
    made = admin.ask("/volumes", {"volume": {"size": 500, "volume_type": small}})["volume"]
    admin.until("volumes", made["id"], "error")
    admin.snapshot(there)
    for volume_id in (made["id"], there):
        admin.delete("volumes", volume_id, "?cascade=true")
