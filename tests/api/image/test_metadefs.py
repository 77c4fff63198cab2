"""Metadata definitions: namespaces, what is in them, what they are meant for."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.image.conftest import MINE, Glance

ALL = "/v2/metadefs/namespaces"
PROPERTY = {"name": "hw_speed", "title": "Speed", "type": "integer", "minimum": 1, "description": "How fast"}


def post(glance: Glance, path: str, body: Any, who: str = "admin", **more: Any) -> TestResponse:
    return glance.call("POST", path, body=body, who=who, **more)


def put(glance: Glance, path: str, body: Any) -> Any:
    answer = glance.call("PUT", path, body=body, who="admin")
    assert answer.status_code == 200, answer.text
    return answer.json


def new(glance: Glance, name: str = "ns", **more: Any) -> dict[str, Any]:
    answer = post(glance, ALL, {"namespace": name, "visibility": "public", **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def gone(glance: Glance, path: str) -> bool:
    assert glance.call("DELETE", path, who="admin").status_code == 204
    return glance.call("GET", path).status_code == 404


def test_a_namespace_lives(glance: Glance) -> None:
    made = new(glance, display_name="Name", description="Text", protected=True)
    assert (made["owner"], made["self"], made["schema"]) == (MINE, f"{ALL}/ns", "/v2/schemas/metadefs/namespace")
    assert [one["namespace"] for one in glance.get(ALL)["namespaces"]] == ["ns"]
    assert glance.call("DELETE", f"{ALL}/ns", who="admin").status_code == 403
    changed = put(glance, f"{ALL}/ns", {"namespace": "other", "visibility": "private", "protected": False})
    assert (changed["namespace"], changed["visibility"], changed["protected"]) == ("other", "private", False)
    assert "display_name" not in changed
    assert glance.call("GET", f"{ALL}/ns").status_code == 404
    assert gone(glance, f"{ALL}/other")


def test_a_private_one_is_for_its_owner(glance: Glance) -> None:
    new(glance, "mine", visibility="private")
    assert glance.get(f"{ALL}/mine")["namespace"] == "mine"
    assert glance.call("GET", f"{ALL}/mine", who="other").status_code == 404
    assert glance.get(ALL, who="other")["namespaces"] == []


def test_names_are_taken_once(glance: Glance) -> None:
    new(glance)
    assert post(glance, ALL, {"namespace": "ns"}).status_code == 409
    new(glance, "second")
    assert glance.call("PUT", f"{ALL}/second", body={"namespace": "ns"}, who="admin").status_code == 409
    for kind, body in (("objects", {"name": "a"}), ("properties", PROPERTY), ("resource_types", {"name": "T"})):
        assert post(glance, f"{ALL}/ns/{kind}", body).status_code == 201
        assert post(glance, f"{ALL}/ns/{kind}", body).status_code == 409


def test_everything_at_once(glance: Glance) -> None:
    made = new(
        glance, resource_type_associations=[{"name": "OS::Nova::Flavor", "prefix": "hw_"}],
        properties={"speed": {"title": "Speed", "type": "integer"}},
        objects=[{"name": "o", "properties": {"p": {"title": "P", "type": "string"}}, "required": ["p"]}],
        tags=[{"name": "b"}, {"name": "a"}],
    )  # fmt: skip
    shown = glance.get(f"{ALL}/ns")
    assert shown == made
    assert shown["properties"] == {"speed": {"title": "Speed", "type": "integer"}}
    assert shown["objects"][0]["required"] == ["p"]
    assert shown["tags"] == [{"name": "a"}, {"name": "b"}]
    assert shown["resource_type_associations"][0]["prefix"] == "hw_"
    assert gone(glance, f"{ALL}/ns")
    assert "tags" not in new(glance)


def test_objects(glance: Glance) -> None:
    new(glance)
    made = post(glance, f"{ALL}/ns/objects", {"name": "o", "description": "d"}).json
    assert made is not None
    assert (made["name"], made["description"], made["self"]) == ("o", "d", f"{ALL}/ns/objects/o")
    assert put(glance, f"{ALL}/ns/objects/o", {**made, "name": "n"})["name"] == "n"
    assert [one["name"] for one in glance.get(f"{ALL}/ns/objects")["objects"]] == ["n"]
    assert gone(glance, f"{ALL}/ns/objects/n")


def test_properties(glance: Glance) -> None:
    new(glance)
    assert post(glance, f"{ALL}/ns/properties", PROPERTY).json == PROPERTY
    changed = put(glance, f"{ALL}/ns/properties/hw_speed", {**PROPERTY, "title": "Pace"})
    assert changed["title"] == "Pace"
    listed = glance.get(f"{ALL}/ns/properties")["properties"]
    assert listed == {"hw_speed": {name: value for name, value in changed.items() if name != "name"}}
    assert gone(glance, f"{ALL}/ns/properties/hw_speed")


def test_tags(glance: Glance) -> None:
    new(glance)
    here = f"{ALL}/ns/tags"
    names = {"tags": [{"name": "a"}, {"name": "b"}]}
    assert post(glance, here, names).json == names
    assert glance.call("POST", f"{here}/c", who="admin").status_code == 201
    assert glance.call("POST", f"{here}/{'x' * 81}", who="admin").status_code == 400
    assert put(glance, f"{here}/c", {"name": "d"})["name"] == "d"
    assert [tag["name"] for tag in glance.get(here)["tags"]] == ["a", "b", "d"]
    more = {"tags": [{"name": "e"}]}
    assert post(glance, here, more, headers={"X-Openstack-Append": "True"}).status_code == 201
    assert [tag["name"] for tag in glance.get(here)["tags"]] == ["a", "b", "d", "e"]
    assert post(glance, here, more).status_code == 201
    assert [tag["name"] for tag in glance.get(here)["tags"]] == ["e"]
    assert post(glance, here, {"tags": [{"name": "x"}, {"name": "x"}]}).status_code == 409
    assert glance.call("DELETE", here, who="admin").status_code == 204
    assert glance.get(here)["tags"] == []


def test_resource_types(glance: Glance) -> None:
    new(glance)
    here = f"{ALL}/ns/resource_types"
    assert post(glance, here, {"name": "OS::My::Thing", "prefix": "p_"}).json["prefix"] == "p_"  # type: ignore[index]
    known = [one["name"] for one in glance.get("/v2/metadefs/resource_types")["resource_types"]]
    assert {"OS::Glance::Image", "OS::My::Thing"} <= set(known)
    assert [one["name"] for one in glance.get(here)["resource_type_associations"]] == ["OS::My::Thing"]
    new(glance, "unrelated")
    found = glance.get(f"{ALL}?resource_types=OS::My::Thing,OS::None")["namespaces"]
    assert [one["namespace"] for one in found] == ["ns"]
    assert glance.call("DELETE", f"{here}/OS::My::Thing", who="admin").status_code == 204
    assert glance.call("DELETE", f"{here}/OS::My::Thing", who="admin").status_code == 404


def test_what_is_protected_keeps_what_is_in_it(glance: Glance) -> None:
    new(glance, protected=True, tags=[{"name": "a"}], resource_type_associations=[{"name": "T"}])
    for path in ("tags", "tags/a", "objects", "properties", "resource_types/T"):
        assert glance.call("DELETE", f"{ALL}/ns/{path}", who="admin").status_code == 403


def test_pages(glance: Glance) -> None:
    for number in range(3):
        new(glance, f"ns{number}")
    first = glance.get(f"{ALL}?limit=2&sort_key=namespace&sort_dir=asc")
    assert [one["namespace"] for one in first["namespaces"]] == ["ns0", "ns1"]
    second = glance.get(f"{first['next']}&sort_key=namespace&sort_dir=asc")
    assert [one["namespace"] for one in second["namespaces"]] == ["ns2"]
    for wrong in ("sort_key=owner", "sort_dir=up", "marker=none", "visibility=shared"):
        assert glance.call("GET", f"{ALL}?{wrong}").status_code == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {}), ("", {"namespace": ""}), ("", {"namespace": "x" * 81}),
        ("", {"namespace": "n", "visibility": "shared"}),
        ("", {"namespace": "n", "colour": "red"}), ("", {"namespace": "n", "objects": [{}]}),
        ("", {"namespace": "n", "objects": [{"name": "a"}, {"name": "a"}]}),
        ("", {"namespace": "n", "properties": {"p": {}}}),
        ("/ns/objects", {}), ("/ns/objects", {"name": 1}), ("/ns/properties", {"name": "p"}),
        ("/ns/properties", {"name": "p", "title": "P", "type": "colour"}), ("/ns/tags", {}),
        ("/ns/tags", {"tags": ["a"]}),
        ("/ns/resource_types", {}),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(glance: Glance, path: str, body: Any) -> None:
    new(glance)
    assert post(glance, ALL + path, body).status_code == 400
    assert [one["namespace"] for one in glance.get(ALL)["namespaces"]] == ["ns"]


@pytest.mark.parametrize("path", ["", "/objects", "/objects/x", "/properties", "/tags", "/tags/x", "/resource_types"])
def test_what_is_not_there_is_told(glance: Glance, path: str) -> None:
    assert glance.call("GET", f"{ALL}/none{path}").status_code == 404


@pytest.mark.parametrize(
    "name",
    ["namespace", "namespaces", "object", "objects", "property", "properties", "tag", "tags"],
)
def test_their_schema_documents_name_themselves(glance: Glance, name: str) -> None:
    assert glance.get(f"/v2/schemas/metadefs/{name}")["name"] == name
