"""Attacks on the image API: other people's blobs, hostile files, broken uploads."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Appliance

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
