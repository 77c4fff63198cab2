"""How many images a project may have, how much data in them, and how much on its way."""

from __future__ import annotations

from io import BytesIO

import pytest
from werkzeug.test import TestResponse

from novalite.cloud.identity import quotas
from novalite.cloud.image import imports
from novalite.context import Context, internal
from novalite.errors import OverQuota
from tests.api.image.conftest import MINE, OTHERS, WHO, Glance

MIB = 1 << 20
OCTETS = "application/octet-stream"


def limit(glance: Glance, project_id: str = MINE, **limits: int) -> Glance:
    with glance.database.write(internal()) as w:
        quotas.set_limits(w, project_id, {f"image_{name}": value for name, value in limits.items()})
    return glance


@pytest.fixture
def limited(glance: Glance) -> Glance:
    return limit(glance, count_total=3, size_total=2, stage_total=2)


def send(glance: Glance, where: str, size: int, *, announced: bool = True) -> TestResponse:
    """``size`` bytes to a new image's ``where`` (file or stage)."""
    path = f"/v2/images/{glance.new()['id']}/{where}"
    if announced:
        return glance.call("PUT", path, data=b"x" * size, content_type=OCTETS)
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return glance.call(
        "PUT", path, input_stream=BytesIO(b"x" * size), content_type=OCTETS, environ_overrides=chunked
    )  # fmt: skip


def usage(glance: Glance, who: str = "member") -> dict[str, int]:
    shown = glance.get("/v2/info/usage", who=who)["usage"]
    return {name.removeprefix("image_"): each["usage"] for name, each in shown.items()}


def test_no_more_images_than_allowed(limited: Glance) -> None:
    made = [limited.new() for _ in range(3)]
    body = {"name": "one more"}
    answer = limited.call("POST", "/v2/images", body=body)
    assert answer.status_code == 413
    assert "image_count_total" in answer.text
    assert limited.call("POST", "/v2/images", body=body, who="other").status_code == 201
    assert limited.call("DELETE", f"/v2/images/{made[0]['id']}").status_code == 204
    assert limited.call("POST", "/v2/images", body=body).status_code == 201


def test_no_more_data_than_allowed(limited: Glance) -> None:
    limited.active(b"x" * MIB)
    image = limited.new()
    answer = limited.upload(image["id"], b"x" * (MIB + 1))
    assert answer.status_code == 413
    assert "image_size_total" in answer.text
    assert limited.get(f"/v2/images/{image['id']}")["status"] == "queued"
    assert limited.upload(image["id"], b"x" * MIB).status_code == 204
    assert limited.get("/v2/info/usage")["usage"] == {
        "image_size_total": {"limit": 2, "usage": 2}, "image_stage_total": {"limit": 2, "usage": 0},
        "image_count_total": {"limit": 3, "usage": 2}, "image_count_uploading": {"limit": -1, "usage": 0},
    }  # fmt: skip
    assert limited.get("/v2/info/usage", who="other")["usage"]["image_size_total"] == {"limit": -1, "usage": 0}


@pytest.mark.parametrize(("where", "resource"), [("file", "image_size_total"), ("stage", "image_stage_total")])
def test_what_nobody_announced_may_go_over_once_and_never_to_more_than_the_double(
    glance: Glance, where: str, resource: str
) -> None:
    limit(glance, **{resource.removeprefix("image_"): 1})
    assert send(glance, where, MIB, announced=False).status_code == 204
    assert send(glance, where, 1).status_code == 413
    too_much = send(glance, where, MIB + 1, announced=False)
    assert too_much.status_code == 413
    assert resource in too_much.text
    assert send(glance, where, MIB, announced=False).status_code == 204
    assert usage(glance)[resource.removeprefix("image_")] == 2
    over = send(glance, where, 1, announced=False)
    assert over.status_code == 413
    assert resource in over.text
    with glance.database.read(WHO["member"]) as w:
        assert len(imports.coming(w)) == (2 if where == "stage" else 0)
    assert len(glance.store.ids()) + len(glance.store.staging.ids()) == 2


@pytest.mark.parametrize("where", ["file", "stage"])
def test_what_is_not_announced_ends_when_it_is_too_much(limited: Glance, where: str) -> None:
    assert send(limited, where, 4 * MIB + 1, announced=False).status_code == 413
    assert {image["status"] for image in limited.get("/v2/images")["images"]} == {"queued"}
    assert limited.store.ids() == limited.store.staging.ids() == ()


def test_nothing_may_come_where_nothing_is_allowed(glance: Glance) -> None:
    limit(glance, size_total=0)
    assert send(glance, "file", 1, announced=False).status_code == 413
    assert send(glance, "file", 1).status_code == 413


def test_what_is_staged_counts_by_itself(limited: Glance) -> None:
    image = limited.new()
    stage = f"/v2/images/{image['id']}/stage"
    assert limited.call("PUT", stage, data=b"x" * 2 * MIB, content_type=OCTETS).status_code == 204
    assert usage(limited) == {"size_total": 0, "stage_total": 2, "count_total": 1, "count_uploading": 1}
    refused = send(limited, "stage", 1)
    assert refused.status_code == 413
    assert "image_stage_total" in refused.text
    assert send(limited, "file", 1).status_code == 204
    assert limited.call("DELETE", f"/v2/images/{image['id']}").status_code == 204
    assert limited.store.staging.ids() == ()
    assert usage(limited) == {"size_total": 1, "stage_total": 0, "count_total": 2, "count_uploading": 0}


def test_what_is_staged_is_imported_where_it_fits(limited: Glance) -> None:
    limited.active(b"x" * MIB)
    image = limited.new()
    path = f"/v2/images/{image['id']}"
    staged = limited.call("PUT", f"{path}/stage", data=b"x" * (MIB + 1), content_type=OCTETS)
    assert staged.status_code == 204
    wanted = {"method": {"name": "glance-direct"}}
    refused = limited.call("POST", f"{path}/import", body=wanted)
    assert refused.status_code == 413
    assert "image_size_total" in refused.text
    assert limited.get(path)["status"] == "uploading"
    limit(limited, size_total=3)
    assert limited.call("POST", f"{path}/import", body=wanted).status_code == 202
    assert usage(limited) == {"size_total": 1, "stage_total": 2, "count_total": 2, "count_uploading": 1}


def test_no_more_on_their_way_than_allowed(glance: Glance) -> None:
    limit(glance, count_uploading=1)
    assert send(glance, "stage", 5).status_code == 204
    for where in ("stage", "file"):
        refused = send(glance, where, 5)
        assert refused.status_code == 413
        assert "image_count_uploading" in refused.text
    web = glance.new()
    body = {"method": {"name": "web-download", "uri": "http://example.org/disk"}}
    assert glance.call("POST", f"/v2/images/{web['id']}/import", body=body).status_code == 413
    assert glance.get(f"/v2/images/{web['id']}")["status"] == "queued"
    assert usage(glance)["count_uploading"] == 1
    limit(glance, count_uploading=2)
    assert send(glance, "file", 5).status_code == 204
    assert glance.call("POST", f"/v2/images/{web['id']}/import", body=body).status_code == 202
    assert usage(glance)["count_uploading"] == 2


def test_a_conflict_is_told_before_the_quota(glance: Glance) -> None:
    image = glance.active(b"x")
    limit(glance, count_uploading=0)
    assert glance.upload(image["id"], b"y").status_code == 409


def test_what_came_from_the_web_counts_while_it_waits(glance: Glance) -> None:
    limit(glance, stage_total=1)
    image = glance.new()
    body = {"method": {"name": "web-download", "uri": "http://example.org/disk"}}
    assert glance.call("POST", f"/v2/images/{image['id']}/import", body=body).status_code == 202
    for _ in range(2):
        with glance.database.write(internal()) as w:
            imports.arrived(w, image["id"], 2 * MIB)
    assert usage(glance)["stage_total"] == 2
    assert glance.call("POST", f"/v2/images/{glance.new()['id']}/import", body=body).status_code == 413
    with glance.database.write(internal()) as w, pytest.raises(OverQuota):
        imports.arrived(w, image["id"], 2 * MIB + 1)


def test_the_owner_is_counted_and_not_who_asks(limited: Glance) -> None:
    limit(limited, OTHERS, count_total=0)
    answer = limited.call("POST", "/v2/images", body={"name": "x", "owner": OTHERS}, who="admin")
    assert answer.status_code == 413


def test_the_defaults_are_for_who_has_no_limit_of_its_own(glance: Glance) -> None:
    with glance.database.write(Context()) as w:
        quotas.set_class_limits(w, quotas.DEFAULT_CLASS, {"image_stage_total": 1})
    assert send(glance, "stage", MIB + 1).status_code == 413
    limit(glance, stage_total=-1)
    assert send(glance, "stage", MIB + 1).status_code == 204
