"""How many images a project may have, and how much data in them."""

from __future__ import annotations

from io import BytesIO

import pytest

from novalite.cloud.identity import quotas
from novalite.context import internal
from tests.api.image.conftest import MINE, OTHERS, Glance

MIB = 1 << 20


@pytest.fixture
def limited(glance: Glance) -> Glance:
    with glance.database.write(internal()) as w:
        quotas.set_limits(w, MINE, {"image_count_total": 3, "image_size_total": 2})
    return glance


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
        "image_count_total": {"limit": 3, "usage": 2}, "image_size_total": {"limit": 2, "usage": 2},
    }  # fmt: skip
    assert limited.get("/v2/info/usage", who="other")["usage"]["image_size_total"] == {"limit": -1, "usage": 0}


@pytest.mark.parametrize("where", ["file", "stage"])
def test_what_is_not_announced_ends_when_it_is_too_much(limited: Glance, where: str) -> None:
    image = limited.new()
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = limited.call(
        "PUT", f"/v2/images/{image['id']}/{where}", input_stream=BytesIO(b"x" * (3 * MIB)),
        content_type="application/octet-stream", environ_overrides=chunked,
    )  # fmt: skip
    assert answer.status_code == 413
    assert limited.get(f"/v2/images/{image['id']}")["status"] == "queued"
    assert limited.store.ids() == limited.store.staging.ids() == ()


def test_what_is_staged_counts(limited: Glance) -> None:
    image = limited.new()
    octets = "application/octet-stream"
    stage = f"/v2/images/{image['id']}/stage"
    assert limited.call("PUT", stage, data=b"x" * 2 * MIB, content_type=octets).status_code == 204
    assert limited.upload(limited.new()["id"], b"x").status_code == 413
    assert limited.call("DELETE", f"/v2/images/{image['id']}").status_code == 204
    assert limited.store.staging.ids() == ()
    assert limited.upload(limited.new()["id"], b"x").status_code == 204


def test_the_owner_is_counted_and_not_who_asks(limited: Glance) -> None:
    with limited.database.write(internal()) as w:
        quotas.set_limits(w, OTHERS, {"image_count_total": 0})
    answer = limited.call("POST", "/v2/images", body={"name": "x", "owner": OTHERS}, who="admin")
    assert answer.status_code == 413
