from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.api.image.conftest import MINE, OTHERS, Glance


def test_versions_are_told_without_a_token(glance: Glance) -> None:
    answer = glance.call("GET", "/", who="nobody")
    assert answer.status_code == 300
    assert answer.json is not None
    assert answer.json["versions"][0]["status"] == "CURRENT"
    assert answer.json["versions"][0]["links"][0]["href"].endswith("/image/v2/")
    assert glance.call("GET", "/v2/images", who="nobody").status_code == 401


def test_a_new_image_is_queued_and_keeps_its_properties(glance: Glance) -> None:
    answer = glance.call(
        "POST",
        "/v2/images",
        body={"name": "x", "tags": ["b", "a", "a"], "os_distro": "debian", "min_ram": 64, "min_disk": 1},
    )
    assert answer.status_code == 201
    image = answer.json
    assert image is not None
    assert answer.headers["Location"].endswith(f"/image/v2/images/{image['id']}")
    assert (image["status"], image["visibility"], image["owner"]) == ("queued", "shared", MINE)
    assert image["tags"] == ["a", "b"]
    assert image["os_distro"] == "debian"
    assert image["size"] is None
    assert image["created_at"].endswith("Z")
    assert "." not in image["created_at"]
    assert image["file"] == f"/v2/images/{image['id']}/file"
    assert glance.get(f"/v2/images/{image['id']}") == image


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"disk_format": "floppy"}, 400),
        ({"min_ram": -1}, 400),
        ({"min_disk": "many"}, 400),
        ({"name": "n" * 256}, 400),
        ({"id": "not-a-uuid"}, 400),
        ({"tags": [""]}, 400),
        ({"custom": 5}, 400),
        ({"status": "active"}, 403),
        ({"checksum": "abc"}, 403),
        ({"locations": []}, 403),
        ({"os_glance_foo": "bar"}, 403),
        ({"visibility": "public"}, 403),
        ({"owner": OTHERS}, 403),
        ([], 400),
        ("x", 400),
    ],
)
def test_what_a_new_image_may_not_be(glance: Glance, body: object, status: int) -> None:
    answer = glance.call("POST", "/v2/images", body=body)
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["code"].startswith(str(status))
    assert glance.names() == []


def test_malformed_json_is_a_bad_request(glance: Glance) -> None:
    answer = glance.call("POST", "/v2/images", data=b'{"name": ', content_type="application/json")
    assert answer.status_code == 400


def test_an_id_is_taken_once(glance: Glance) -> None:
    wanted = str(uuid4())
    assert glance.new(id=wanted)["id"] == wanted
    assert glance.call("POST", "/v2/images", body={"id": wanted}).status_code == 409


def test_readers_cannot_create(glance: Glance) -> None:
    assert glance.call("POST", "/v2/images", who="reader", body={"name": "x"}).status_code == 403


def test_images_of_another_project_do_not_exist(glance: Glance) -> None:
    image = glance.new(visibility="private")
    here = f"/v2/images/{image['id']}"
    for method, path, more in (
        ("GET", here, {}),
        ("DELETE", here, {}),
        ("GET", here + "/file", {}),
        ("PUT", here + "/tags/x", {}),
        ("GET", here + "/members", {}),
        ("POST", here + "/actions/deactivate", {}),
        ("PUT", here + "/file", {"data": b"x", "content_type": "application/octet-stream"}),
    ):
        assert glance.call(method, path, who="other", **more).status_code == 404, (method, path)
    assert glance.patch(image["id"], {"op": "add", "path": "/name", "value": "x"}, who="other").status_code == 404
    assert glance.get(here)["name"] == "disk"


def test_a_public_image_is_seen_by_all_and_changed_by_its_owner(glance: Glance) -> None:
    image = glance.new(who="admin", visibility="public", name="for all")
    assert glance.names(who="other") == ["for all"]
    assert glance.call("DELETE", f"/v2/images/{image['id']}", who="other").status_code == 403


def test_a_community_image_is_found_by_those_who_ask(glance: Glance) -> None:
    image = glance.new(visibility="community", name="niche")
    assert glance.names(who="other") == []
    assert glance.names("visibility=community", who="other") == ["niche"]
    assert glance.get(f"/v2/images/{image['id']}", who="other")["name"] == "niche"


def test_a_protected_image_cannot_be_deleted(glance: Glance) -> None:
    image = glance.new(protected=True)
    here = f"/v2/images/{image['id']}"
    assert glance.call("DELETE", here).status_code == 403
    assert glance.patch(image["id"], {"op": "replace", "path": "/protected", "value": False}).status_code == 200
    assert glance.call("DELETE", here).status_code == 204
    assert glance.call("DELETE", here).status_code == 404


def test_deleting_removes_the_bytes(glance: Glance) -> None:
    image = glance.active()
    assert glance.store.ids() == (image["id"],)
    assert glance.call("DELETE", f"/v2/images/{image['id']}").status_code == 204
    assert glance.store.ids() == ()


def test_pages_link_to_the_next_until_the_end(glance: Glance) -> None:
    for number in range(5):
        glance.new(name=f"i{number}")
    seen: list[str] = []
    path = "/v2/images?limit=2&sort=name:asc"
    while path:
        page = glance.get(path)
        seen += [image["name"] for image in page["images"]]
        assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc"
        path = page.get("next", "")
    assert seen == ["i0", "i1", "i2", "i3", "i4"]
    assert glance.names("limit=0") == []
    assert len(glance.names()) == 5


def test_filters(glance: Glance) -> None:
    glance.new(name="a", disk_format="qcow2", tags=["t", "u"], os_distro="debian", min_ram=64)
    glance.new(name="b,c", disk_format="raw", tags=["t"], protected=True)
    glance.new(name="hidden", os_hidden=True)
    glance.active(b"12345", name="data")
    for query, names in (
        ("name=a", ["a"]),
        ('name=in:a,"b,c"', ["b,c", "a"]),
        ("disk_format=qcow2", ["a"]),
        ("disk_format=in:qcow2,raw&tag=t", ["b,c", "a"]),
        ("tag=t&tag=u", ["a"]),
        ("os_distro=debian", ["a"]),
        ("os_distro=fedora", []),
        ("protected=true", ["b,c"]),
        ("min_ram=64", ["a"]),
        ("status=active", ["data"]),
        ("size_min=5&size_max=5", ["data"]),
        ("size_min=6", []),
        ("os_hidden=true", ["hidden"]),
        ("visibility=private", []),
        (f"owner={MINE}&name=a", ["a"]),
        ("created_at=gt:2000-01-01T00:00:00Z&name=a", ["a"]),
        ("created_at=lt:2000-01-01T00:00:00Z", []),
    ):
        assert glance.names(query) == names, query


@pytest.mark.parametrize(
    "query",
    ["limit=x", "limit=-1", "marker=nowhere", "sort_key=colour", "sort_dir=sideways", "sort=name:up",
     "visibility=secret", "protected=perhaps", "created_at=gt:soon", "size_min=big", "member_status=maybe",
     "sort=name:asc&sort_key=name"],
)  # fmt: skip
def test_a_bad_question_is_refused(glance: Glance, query: str) -> None:
    assert glance.call("GET", f"/v2/images?{query}").status_code == 400


def test_a_patch_adds_replaces_and_removes(glance: Glance) -> None:
    image = glance.new(os_distro="debian", old="x")
    answer = glance.patch(
        image["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/a~1b", "value": "slash"},
        {"op": "replace", "path": "/os_distro", "value": "fedora"},
        {"op": "remove", "path": "/old"},
        {"op": "replace", "path": "/tags", "value": ["t"]},
        {"op": "add", "path": "/min_ram", "value": 128},
    )
    assert answer.status_code == 200, answer.text
    shown = glance.get(f"/v2/images/{image['id']}")
    assert answer.json == shown
    assert (shown["name"], shown["a/b"], shown["os_distro"], shown["tags"]) == ("new", "slash", "fedora", ["t"])
    assert shown["min_ram"] == 128
    assert "old" not in shown


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "add", "path": "/id", "value": "x"}, 403),
        ({"op": "add", "path": "/locations", "value": []}, 403),
        ({"op": "remove", "path": "/disk_format"}, 403),
        ({"op": "replace", "path": "/absent", "value": "x"}, 409),
        ({"op": "remove", "path": "/absent"}, 409),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "odd"}, 400),
        ({"op": "replace", "path": "/min_ram", "value": "x"}, 400),
        ({"op": "add", "path": "/x", "value": {"deep": 1}}, 400),
        ({"op": "add", "path": "/tags/-", "value": "t"}, 400),
        ({"op": "add", "path": "name", "value": "x"}, 400),
        ({"op": "add", "path": "/name"}, 400),
        ({"op": "move", "path": "/name", "value": "x"}, 400),
        ({"op": "add", "path": 3, "value": "x"}, 400),
        ({"op": "add", "path": "/owner", "value": OTHERS}, 403),
    ],
)
def test_what_a_patch_may_not_do(glance: Glance, operation: dict[str, object], status: int) -> None:
    image = glance.new()
    answer = glance.patch(image["id"], {"op": "add", "path": "/first", "value": "applied"}, operation)
    assert answer.status_code == status, answer.text
    assert glance.get(f"/v2/images/{image['id']}") == image, "a refused patch changes nothing"


def test_a_patch_needs_its_content_type(glance: Glance) -> None:
    image = glance.new()
    assert glance.call("PATCH", f"/v2/images/{image['id']}", body=[]).status_code == 415


def test_tags_one_by_one(glance: Glance) -> None:
    image = glance.new()
    here = f"/v2/images/{image['id']}"
    assert glance.call("PUT", f"{here}/tags/blue").status_code == 204
    assert glance.call("PUT", f"{here}/tags/blue").status_code == 204
    assert glance.get(here)["tags"] == ["blue"]
    assert glance.call("DELETE", f"{here}/tags/blue").status_code == 204
    assert glance.call("DELETE", f"{here}/tags/blue").status_code == 404


def test_an_offer_is_seen_accepted_and_withdrawn(glance: Glance) -> None:
    image = glance.new(name="offer")
    here = f"/v2/images/{image['id']}"
    assert glance.call("GET", here, who="other").status_code == 404
    assert glance.call("POST", f"{here}/members", body={"member": OTHERS}).status_code == 200
    assert glance.call("POST", f"{here}/members", body={"member": OTHERS}).status_code == 409
    assert glance.get(here, who="other")["name"] == "offer"
    assert glance.names(who="other") == []
    assert glance.names("visibility=shared&member_status=pending", who="other") == ["offer"]
    assert glance.call("PUT", f"{here}/members/{OTHERS}", body={"status": "accepted"}).status_code == 403
    accepted = glance.call(
        "PUT", f"{here}/members/{OTHERS}", who="other", body={"member": OTHERS, "status": "accepted"}
    )
    assert accepted.json is not None
    assert accepted.json["status"] == "accepted"
    assert glance.names(who="other") == ["offer"]
    assert [one["member_id"] for one in glance.get(f"{here}/members")["members"]] == [OTHERS]
    assert glance.call("DELETE", f"{here}/members/{OTHERS}", who="other").status_code == 403
    assert glance.call("DELETE", f"{here}/members/{OTHERS}").status_code == 204
    assert glance.call("GET", here, who="other").status_code == 404


@pytest.mark.parametrize("name", ["image", "images", "member", "members", "task", "tasks"])
def test_schema_documents_name_themselves(glance: Glance, name: str) -> None:
    assert glance.get(f"/v2/schemas/{name}")["name"] == name


def test_what_is_not_offered_says_so(glance: Glance) -> None:
    assert glance.call("GET", "/v2/cache", who="admin").status_code == 404
    assert glance.call("GET", "/v2/discover/caching", who="admin").status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
def test_an_image_without_an_id_is_not_there(glance: Glance, method: str) -> None:
    assert glance.call(method, "/v2/images/").status_code == 404


@pytest.mark.parametrize("value", [[], [{"url": "file:///etc/passwd", "metadata": {}}]])
def test_locations_are_not_taken(glance: Glance, value: list[Any]) -> None:
    image = glance.new()
    for operation in ("add", "replace"):
        asked = {"op": operation, "path": "/locations", "value": value}
        assert glance.patch(image["id"], asked).status_code == 403
    assert glance.call("POST", "/v2/images", body={"name": "x", "locations": value}).status_code == 403


def test_what_the_service_keeps_of_an_import_is_not_for_clients(glance: Glance) -> None:
    image = glance.new()
    for name in ("os_glance_failed_import", "os_glance_importing_to_stores", "os_glance_x", "stores"):
        assert glance.patch(image["id"], {"op": "add", "path": f"/{name}", "value": "x"}).status_code == 403
        assert glance.call("POST", "/v2/images", body={"name": "x", name: "x"}).status_code == 403
