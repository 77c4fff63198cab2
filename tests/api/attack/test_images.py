"""Attacks on the image API: other people's blobs, hostile files, broken uploads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from novalite.api.image import data
from tests.api.conftest import Appliance
from tests.contracts import hostile_images

BYTES = "application/octet-stream"
ID = "abcdef00-aaaa-4bbb-8ccc-ddddeeeeffff"


def put(appliance: Appliance, image_id: str, data: bytes, **more: Any) -> Any:
    return appliance.call("PUT", f"/image/v2/images/{image_id}/file", data=data, content_type=BYTES, **more)


def make(appliance: Appliance, disk_format: str = "raw", **more: Any) -> Any:
    body = {"name": "i", "disk_format": disk_format, "container_format": "bare"}
    token = more.pop("token", "")
    return appliance.post("/image/v2/images", {**body, **more}, token=token)


def test_another_spelling_of_an_id_does_not_reach_somebody_elses_blob(appliance: Appliance, mallory: str) -> None:
    assert make(appliance, id=ID).status_code == 201
    assert put(appliance, ID, b"good" * 200).status_code == 204
    assert make(appliance, id=ID.upper(), token=mallory).status_code == 409
    assert put(appliance, ID.upper(), b"evil" * 200, token=mallory).status_code == 404
    assert appliance.call("DELETE", f"/image/v2/images/{ID.upper()}", token=mallory).status_code == 404
    with appliance.get(f"/image/v2/images/{ID}/file") as answer:
        assert answer.data == b"good" * 200


def test_an_id_that_a_client_chooses_is_kept_in_lower_case(appliance: Appliance) -> None:
    chosen = "ABCDEF00-AAAA-4BBB-8CCC-DDDDEEEE0000"
    assert make(appliance, id=chosen).json["id"] == chosen.lower()


@pytest.mark.parametrize("name", hostile_images.KINDS)
def test_a_hostile_file_is_refused_and_forgotten(appliance: Appliance, mallory: str, name: str, tmp_path: Path) -> None:
    disk_format, file = hostile_images.make(tmp_path, name)
    image = make(appliance, disk_format, token=mallory).json["id"]
    answer = put(appliance, image, file.read_bytes(), token=mallory)
    assert answer.status_code == 400, answer.text
    assert "/etc" not in answer.text
    assert str(appliance.built.settings.state_path) not in answer.text
    assert appliance.get(f"/image/v2/images/{image}").json["status"] == "queued"
    assert image not in appliance.built.store.ids()


def test_an_image_larger_than_allowed_is_refused(fresh: Callable[..., Appliance]) -> None:
    appliance = fresh()
    store: Any = appliance.built.store
    store._room = dataclasses.replace(store._room, max_size=1 << 20)
    image = make(appliance).json["id"]
    assert put(appliance, image, b"x" * ((1 << 20) + 1)).status_code == 413
    assert put(appliance, image, b"x" * (1 << 20)).status_code == 204


def test_an_upload_stops_before_the_disk_is_full(fresh: Callable[..., Appliance]) -> None:
    appliance = fresh(images__reserve_gib=1e9)
    image = make(appliance).json["id"]
    answer = put(appliance, image, b"x" * 4096)
    assert answer.status_code == 413
    assert "full" in answer.text
    assert appliance.get(f"/image/v2/images/{image}").json["status"] == "queued"
    assert list((appliance.built.settings.state_path / "images").iterdir()) == []


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json", "multipart/form-data; boundary=x"])
def test_data_of_another_kind_is_refused(appliance: Appliance, kind: str) -> None:
    image = make(appliance).json["id"]
    answer = appliance.call("PUT", f"/image/v2/images/{image}/file", data=b"x", content_type=kind)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "image_id", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "x" * 300, "%00", "*", ID[:-1], ID + "x", "%ff", "{x}"]
)
def test_an_id_is_no_path(appliance: Appliance, image_id: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        path = f"/image/v2/images/{image_id}/file" if method != "DELETE" else f"/image/v2/images/{image_id}"
        answer = appliance.call(method, path, data=b"", content_type=BYTES)
        assert answer.status_code in (400, 404, 405), answer.text
    assert make(appliance, id=image_id).status_code == 400


def test_uploads_leave_threads_to_others(appliance: Appliance) -> None:
    image = make(appliance).json["id"]
    with ExitStack() as uploads:
        threads = appliance.built.settings.http.threads
        for _ in range(threads - data._THREADS_KEPT):
            uploads.enter_context(data.thread_for_long(threads))
        assert put(appliance, image, b"x").status_code == 503
    assert put(appliance, image, b"x").status_code == 204
