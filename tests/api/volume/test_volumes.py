"""Volumes: made of everything, listed, changed, given up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from novalite.cloud.image import images
from novalite.cloud.image.records import Image
from novalite.context import internal
from novalite.errors import DriverError
from tests.api.conftest import Appliance

from .conftest import UNKNOWN, Cinder


def test_a_blank_volume(member: Cinder) -> None:
    asked = member.ask(
        "/volumes", {"volume": {"size": 2, "name": " data ", "description": "d", "metadata": {"a": "1"}}}
    )
    new = asked["volume"]
    assert (new["status"], new["name"], new["size"], new["bootable"]) == ("creating", "data", 2, "false")
    made = member.until("volumes", new["id"], "available")
    assert made["availability_zone"] == "nova"
    assert (made["attachments"], made["metadata"], made["volume_type"]) == ([], {"a": "1"}, "__DEFAULT__")
    assert (made["encrypted"], made["multiattach"], made["consumes_quota"]) == (False, False, True)
    assert made["links"][0]["href"].endswith(f"/volume/v3/{made['os-vol-tenant-attr:tenant_id']}/volumes/{made['id']}")
    assert "os-vol-host-attr:host" not in made
    assert member.driver.place(made["id"]) is not None
    member.delete("volumes", made["id"])
    assert member.driver.place(made["id"]) is None


def test_admins_see_where_it_is(admin: Cinder) -> None:
    made = admin.volume()
    assert made["os-vol-host-attr:host"].endswith("@fake#fake")
    assert made["migration_status"] is None
    admin.delete("volumes", made["id"])


def test_a_volume_of_an_image_remembers_it(member: Cinder) -> None:
    image_id = member.appliance.image("cirros", 1 << 20)
    made = member.volume(imageRef=image_id)
    assert made["bootable"] == "true"
    facts = made["volume_image_metadata"]
    assert (facts["image_id"], facts["image_name"], facts["disk_format"]) == (image_id, "cirros", "raw")
    assert facts["size"] == str(1 << 20)
    assert [one["id"] for one in member.get("/volumes/detail?glance_metadata={'image_name':'cirros'}")["volumes"]] == [
        made["id"]
    ]
    copy = member.volume(size=None, source_volid=made["id"])
    assert (copy["source_volid"], copy["size"], copy["bootable"]) == (made["id"], 1, "true")
    assert copy["volume_image_metadata"] == facts
    member.delete("volumes", made["id"])
    member.delete("volumes", copy["id"])


def test_a_volume_is_made_of_a_medium_and_of_no_kernel(member: Cinder) -> None:
    image_id = member.appliance.image("medium", 1 << 20)
    database = member.appliance.built.database
    for disk_format, status in (("iso", 202), ("aki", 400)):
        with database.write(internal()) as w:
            w.session.get_one(Image, image_id).disk_format = disk_format
        asked = member.ask("/volumes", {"volume": {"size": 1, "imageRef": image_id}}, status=status)
        if status == 202:
            member.until("volumes", asked["volume"]["id"], "available")
            member.delete("volumes", asked["volume"]["id"])


def test_a_volume_of_an_image_without_data_is_one_of_its_snapshot(member: Cinder, other: Cinder) -> None:
    origin = member.volume()["id"]
    snapshot_id = member.snapshot(origin)["id"]
    mapping = [{"source_type": "blank", "boot_index": None},
               {"source_type": "snapshot", "boot_index": 0, "snapshot_id": snapshot_id}]  # fmt: skip
    image_id = member.appliance.image("of-a-server")
    with member.appliance.built.database.write(internal()) as w:
        properties = {"block_device_mapping": json.dumps(mapping)}
        images.update(w, image_id, {"visibility": "community", "properties": properties})
        w.session.execute(sa.update(Image).where(Image.id == image_id).values(size=0))
    made = member.volume(imageRef=image_id)
    assert made["snapshot_id"] == snapshot_id
    body = {"volume": {"size": 1, "imageRef": image_id}}
    status, why = member.refused("POST", "/volumes", body, "3.45")
    assert (status, "has no data" in why) == (400, True)
    assert other.refused("POST", "/volumes", body)[0] == 404, "the snapshot is not theirs"
    member.delete("volumes", made["id"])
    member.delete("volumes", origin, "?cascade=true")


def test_a_volume_of_a_snapshot(member: Cinder) -> None:
    origin = member.volume(size=2)
    snapshot = member.snapshot(origin["id"])
    assert member.refused("POST", "/volumes", {"volume": {"size": 1, "snapshot_id": snapshot["id"]}})[0] == 400
    copy = member.volume(size=3, snapshot_id=snapshot["id"])
    assert (copy["snapshot_id"], copy["size"]) == (snapshot["id"], 3)
    status, why = member.refused("DELETE", f"/volumes/{origin['id']}")
    assert (status, "has snapshots" in why) == (400, True)
    member.delete("volumes", origin["id"], "?cascade=True")
    assert member.driver.snapshot_ids() == ()
    member.delete("volumes", copy["id"])


NEW: list[tuple[dict[str, Any], str]] = [
    ({}, "size"),
    ({"size": 0}, "size"),
    ({"size": -1}, "size"),
    ({"size": "x"}, "size"),
    ({"size": 1.5}, "size"),
    ({"size": True}, "size"),
    ({"size": 2**40}, "size"),
    ({"size": 1, "colour": "red"}, "colour"),
    ({"size": 1, "name": "x" * 256}, "name"),
    ({"size": 1, "name": 5}, "name"),
    ({"size": 1, "metadata": {"a": 5}}, "a"),
    ({"size": 1, "metadata": {"": "x"}}, ""),
    ({"size": 1, "metadata": "x"}, "metadata"),
    ({"size": 1, "snapshot_id": "x"}, "snapshot_id"),
    ({"size": 1, "source_volid": 5}, "source_volid"),
    ({"size": 1, "imageRef": UNKNOWN}, "Image"),
    ({"size": 1, "imageRef": UNKNOWN, "source_volid": UNKNOWN}, "source_volume_id"),
    ({"size": 1, "availability_zone": "mars"}, "mars"),
    ({"size": 1, "backup_id": "x"}, "backup_id"),
    ({"size": 1, "group_id": "x"}, "group_id"),
    ({"size": 1, "multiattach": "maybe"}, "multiattach"),
]


@pytest.mark.parametrize(("fields", "named"), NEW)
def test_bad_input_is_named_and_makes_nothing(other: Cinder, fields: dict[str, Any], named: str) -> None:
    status, why = other.refused("POST", "/volumes", {"volume": fields})
    assert (status, named in why) == (400, True), why
    assert other.get("/volumes")["volumes"] == []


@pytest.mark.parametrize("body", [{}, {"volume": None}, {"volume": []}, [], {"volume": {"size": 1}, "extra": 1}])
def test_bad_bodies(other: Cinder, body: Any) -> None:
    assert other.refused("POST", "/volumes", body)[0] == 400


@pytest.mark.parametrize("fields", [{"snapshot_id": UNKNOWN}, {"source_volid": UNKNOWN}, {"volume_type": "gold"}])
def test_what_it_shall_be_made_of_must_be_there(other: Cinder, fields: dict[str, Any]) -> None:
    assert other.refused("POST", "/volumes", {"volume": {"size": 1, **fields}})[0] == 404


def test_an_image_must_fit(member: Cinder) -> None:
    image_id = member.appliance.image("large")
    with member.appliance.built.database.write(internal()) as w:
        images.update(w, image_id, {"min_disk": 5})
    status, why = member.refused("POST", "/volumes", {"volume": {"size": 4, "imageRef": image_id}})
    assert (status, "5 GiB" in why) == (400, True)


def test_lists_are_filtered_sorted_and_paged(other: Cinder) -> None:
    sizes = {"a": 3, "b": 1, "c": 2}
    ids = {name: other.volume(name=name, size=size, metadata={"of": name})["id"] for name, size in sizes.items()}

    def names(query: str, version: str = "3.70") -> list[str]:
        return [one["name"] for one in other.get(f"/volumes/detail?{query}", version)["volumes"]]

    assert names("") == ["c", "b", "a"]
    assert names("sort=size") == ["a", "c", "b"]
    assert names("sort=size:asc,name:desc") == names("sort_key=size&sort_dir=asc") == ["b", "c", "a"]
    assert names("name=a") == names("metadata={'of': 'a'}") == names("size=3") == names(f"id={ids['a']}") == ["a"]
    assert names("name~=b") == ["b"]
    assert names("bootable=true") == names("status=error") == names("metadata={'of': 'x'}") == names("size=x") == []
    assert names("volume_type=__DEFAULT__&limit=1&offset=1") == ["b"]
    assert names(f"marker={ids['b']}") == ["a"]
    assert names("created_at=gt:2001-01-01T00:00:00,lt:2001-01-02") == []
    assert len(names("created_at=gt:2001-01-01T00:00:00")) == 3
    page = other.get("/volumes?limit=2&with_count=True")
    assert (len(page["volumes"]), page["count"]) == (2, 3)
    assert f"marker={ids['b']}" in page["volumes_links"][0]["href"]
    assert other.get("/volumes?limit=0")["volumes"] == []
    assert other.get("/volumes/summary")["volume-summary"] == {
        "total_size": 6, "total_count": 3, "metadata": {"of": ["a", "b", "c"]}
    }  # fmt: skip
    for name in ids:
        other.delete("volumes", ids[name])


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "offset=x", "sort=colour", "sort=name:up", "colour=red",
     "metadata=x", "metadata=[1]", "metadata=" + "(" * 500, "created_at=x", "created_at=9999-12-31T23:59:59-14:00",
     "updated_at=lt:0001-01-01T00:00:00%2B14:00", "bootable=perhaps", "all_tenants=2"],
)  # fmt: skip
def test_bad_queries(other: Cinder, query: str) -> None:
    assert other.refused("GET", f"/volumes?{query}")[0] == 400


def test_an_unknown_marker_or_no_id_at_all(other: Cinder) -> None:
    assert other.refused("GET", f"/volumes?marker={UNKNOWN}")[0] == 404
    assert [other.call(method, "/volumes/").status_code for method in ("GET", "PUT", "DELETE")] == [404, 404, 404]


def test_unknown_filters_passed_before_3_31(other: Cinder) -> None:
    assert other.get("/volumes?colour=red", "3.30") == {"volumes": []}


def test_a_volume_is_its_projects_own(member: Cinder, other: Cinder, admin: Cinder, reader: Cinder) -> None:
    made = member.volume(name="mine")
    path = f"/volumes/{made['id']}"
    assert other.refused("GET", path)[0] == other.refused("DELETE", path)[0] == 404
    assert other.refused("PUT", path, {"volume": {"name": "x"}})[0] == 404
    assert other.refused("POST", f"{path}/action", {"os-extend": {"new_size": 2}})[0] == 404
    assert other.get("/volumes?all_tenants=1")["volumes"] == []
    assert made["id"] in [one["id"] for one in admin.get("/volumes?all_tenants=1")["volumes"]]
    assert admin.get("/volumes")["volumes"] == []
    project_id = made["os-vol-tenant-attr:tenant_id"]
    assert len(admin.get(f"/volumes?all_tenants=1&project_id={project_id}")["volumes"]) == 1
    assert reader.get("/volumes")["volumes"] == []
    assert reader.refused("POST", "/volumes", {"volume": {"size": 1}})[0] == 403
    assert admin.get(path)["volume"]["name"] == "mine"
    member.delete("volumes", made["id"])


def test_names_and_metadata_change(member: Cinder) -> None:
    made = member.volume(name="before", metadata={"a": "1", "b": "2"})
    path = f"/volumes/{made['id']}"
    changed = member.call("PUT", path, {"volume": {"display_name": "after", "description": "new"}}).json["volume"]
    assert (changed["name"], changed["description"]) == ("after", "new")
    assert member.refused("PUT", path, {"volume": {"size": 5}})[0] == 400
    assert member.refused("PUT", path, {"volume": {}})[0] == 400
    meta = f"{path}/metadata"
    assert member.get(meta)["metadata"] == {"a": "1", "b": "2"}
    assert member.ask(meta, {"metadata": {"c": "3"}}, 200)["metadata"] == {"a": "1", "b": "2", "c": "3"}
    assert member.call("PUT", f"{meta}/a", {"meta": {"a": "9"}}).json == {"meta": {"a": "9"}}
    assert member.refused("PUT", f"{meta}/a", {"meta": {"b": "9"}})[0] == 400
    assert member.call("DELETE", f"{meta}/b").status_code == 200
    assert member.refused("DELETE", f"{meta}/b")[0] == 404
    assert member.get(f"{meta}/c") == {"meta": {"c": "3"}}
    assert member.call("PUT", meta, {"metadata": {"z": "0"}}).json == {"metadata": {"z": "0"}}
    assert member.refused("PUT", meta, {"metadata": {"z": 0}})[0] == 400
    assert member.refused("POST", meta, {"metadata": {str(n): "x" for n in range(129)}})[0] == 413
    assert member.get(path)["volume"]["metadata"] == {"z": "0"}
    member.delete("volumes", made["id"])


def test_a_volume_that_could_not_be_made_is_an_error_and_can_be_deleted(member: Cinder) -> None:
    member.driver.faults["ensure_volume"] = DriverError("create_volume", "no room", code="disk.full")
    try:
        made = member.ask("/volumes", {"volume": {"size": 1}})["volume"]
        member.until("volumes", made["id"], "error")
    finally:
        member.driver.faults.clear()
    member.driver.faults["delete_volume"] = DriverError("delete_volume", "stuck")
    try:
        assert member.call("DELETE", f"/volumes/{made['id']}").status_code == 202
        member.until("volumes", made["id"], "error_deleting")
    finally:
        member.driver.faults.clear()
    assert member.refused("DELETE", f"/volumes/{made['id']}")[0] == 400
    admin = Cinder(member.appliance, member.appliance.token())
    admin.act(made["id"], "os-force_delete")
    admin.gone("volumes", made["id"])


def test_quotas_are_kept(cloud: Appliance) -> None:
    someone = Cinder(cloud, cloud.member("dave"))
    first = someone.volume(size=90)
    status, why = someone.refused("POST", "/volumes", {"volume": {"size": 11}})
    assert (status, "gigabytes" in why) == (413, True)
    assert someone.refused("POST", f"/volumes/{first['id']}/action", {"os-extend": {"new_size": 101}})[0] == 413
    assert someone.refused("POST", "/snapshots", {"snapshot": {"volume_id": first["id"]}})[0] == 413
    assert len(someone.get("/volumes")["volumes"]) == 1
    someone.delete("volumes", first["id"])


def test_a_race_for_the_last_volumes_is_won_by_as_many_as_there_are(cloud: Appliance) -> None:
    someone = Cinder(cloud, cloud.member("erin"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: someone.call("POST", "/volumes", {"volume": {"size": 1}}), range(40)))
    assert sorted(answer.status_code for answer in answers) == [202] * 30 + [413] * 10
    assert len(someone.get("/volumes")["volumes"]) == 30


def queries_of(cloud: Appliance, call: Callable[[], Any]) -> int:
    """How many statements ``call`` runs, in this thread alone."""
    statements: list[str] = []
    here = threading.get_ident()

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if threading.get_ident() == here:
            statements.append(statement)

    sa.event.listen(cloud.built.database.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        sa.event.remove(cloud.built.database.engine, "before_cursor_execute", note)
    return len(statements)


def test_a_listing_costs_a_constant_number_of_queries(cloud: Appliance) -> None:
    someone = Cinder(cloud, cloud.member("frank"))
    counted = []
    for _ in range(2):
        for _ in range(2):
            someone.volume()
        counted.append(queries_of(cloud, lambda: someone.get("/volumes/detail")))
    assert 0 < counted[0] == counted[1]
