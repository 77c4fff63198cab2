from __future__ import annotations

import dataclasses
import hashlib
from io import BytesIO

import pytest

from novalite.cloud.image import images
from novalite.context import internal
from novalite.drivers.storage.files import FileImageStore
from tests.api.image.conftest import WHO, Glance


def test_what_is_uploaded_comes_back(glance: Glance) -> None:
    data = bytes(range(256)) * 9000
    image = glance.new()
    assert glance.upload(image["id"], data).status_code == 204
    shown = glance.get(f"/v2/images/{image['id']}")
    assert shown["status"] == "active"
    assert shown["size"] == shown["virtual_size"] == len(data)
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert shown["os_hash_algo"] == "sha512"
    answer = glance.call("GET", f"/v2/images/{image['id']}/file")
    assert answer.data == data
    assert answer.headers["Content-MD5"] == shown["checksum"]
    assert answer.content_length == len(data)


def test_a_part_can_be_asked_for(glance: Glance) -> None:
    image = glance.active(b"0123456789")
    answer = glance.call("GET", f"/v2/images/{image['id']}/file", headers={"Range": "bytes=2-4"})
    assert answer.status_code == 206
    assert answer.data == b"234"
    assert answer.headers["Content-Range"] == "bytes 2-4/10"


@pytest.mark.parametrize(("asked", "part"), [("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-100", b"89")])
def test_parts_may_be_open(glance: Glance, asked: str, part: bytes) -> None:
    image = glance.active(b"0123456789")
    answer = glance.call("GET", f"/v2/images/{image['id']}/file", headers={"Range": asked})
    assert (answer.status_code, answer.data, answer.content_length) == (206, part, len(part))


def test_a_part_beyond_the_end_is_refused(glance: Glance) -> None:
    image = glance.active(b"0123456789")
    answer = glance.call("GET", f"/v2/images/{image['id']}/file", headers={"Range": "bytes=10-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */10"


def test_the_virtual_size_of_a_qcow2_is_found(glance: Glance, qcow2: bytes) -> None:
    image = glance.active(qcow2, disk_format="qcow2")
    shown = glance.get(f"/v2/images/{image['id']}")
    assert shown["virtual_size"] == 16 << 20
    assert shown["size"] == len(qcow2)


def test_data_goes_in_once(glance: Glance) -> None:
    image = glance.active(b"first")
    assert glance.upload(image["id"], b"second").status_code == 409
    assert glance.call("GET", f"/v2/images/{image['id']}/file").data == b"first"


def test_an_image_without_data_has_no_content(glance: Glance) -> None:
    image = glance.new()
    assert glance.call("GET", f"/v2/images/{image['id']}/file").status_code == 204


def test_formats_are_needed_first(glance: Glance) -> None:
    image = glance.call("POST", "/v2/images", body={"name": "bare"}).json
    assert image is not None
    assert glance.upload(image["id"], b"x").status_code == 400


def test_only_octets_are_taken(glance: Glance) -> None:
    image = glance.new()
    assert glance.upload(image["id"], b"x", content_type="application/json").status_code == 415
    assert glance.get(f"/v2/images/{image['id']}")["status"] == "queued"


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "iso"])
def test_bytes_that_are_not_what_they_claim_leave_nothing(glance: Glance, disk_format: str) -> None:
    image = glance.new(disk_format=disk_format)
    answer = glance.upload(image["id"], b"#!/bin/sh\n" * 100)
    assert answer.status_code == 400
    assert "image" in answer.text
    assert glance.get(f"/v2/images/{image['id']}")["status"] == "queued"
    assert glance.store.ids() == ()


def test_a_failed_upload_may_be_repeated(glance: Glance, qcow2: bytes) -> None:
    image = glance.new(disk_format="qcow2")
    assert glance.upload(image["id"], qcow2[:100]).status_code == 400
    assert glance.upload(image["id"], qcow2).status_code == 204


def test_an_upload_above_the_limit_is_refused(glance: Glance) -> None:
    image = glance.new()
    assert glance.upload(image["id"], b"x" * (9 << 20)).status_code == 413
    assert glance.get(f"/v2/images/{image['id']}")["status"] == "queued"


class Cut(BytesIO):
    """A connection that breaks after the first block."""

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        if self.tell() > 1 << 20:
            raise ConnectionResetError("gone")
        return block


@pytest.mark.parametrize("sized", [True, False])
def test_a_cut_connection_leaves_a_queued_image(glance: Glance, sized: bool) -> None:
    image = glance.new()
    if sized:
        how = {"input_stream": BytesIO(b"x" * (1 << 20)), "environ_overrides": {"CONTENT_LENGTH": str(4 << 20)}}
    else:
        chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        how = {"input_stream": Cut(b"x" * (4 << 20)), "environ_overrides": chunked}
    path = f"/v2/images/{image['id']}/file"
    answer = glance.call("PUT", path, content_type="application/octet-stream", **how)
    assert answer.status_code == 400
    assert glance.get(f"/v2/images/{image['id']}")["status"] == "queued"
    assert glance.store.ids() == ()


def test_a_full_disk_is_told(glance: Glance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance.store, "_room", dataclasses.replace(glance.store._room, reserve=1 << 62))
    image = glance.new()
    answer = glance.upload(image["id"], b"x")
    assert answer.status_code == 413
    assert "full" in answer.text
    assert glance.get(f"/v2/images/{image['id']}")["status"] == "queued"


class Deleting(BytesIO):
    """Bytes in whose middle the image is deleted."""

    def __init__(self, glance: Glance, image_id: str) -> None:
        super().__init__(b"x" * (4 << 20))
        self._glance, self._image_id = glance, image_id

    def readinto(self, buffer: object, /) -> int:
        if self.tell() > 1 << 20 and self._image_id:
            deleted = self._glance.call("DELETE", f"/v2/images/{self._image_id}")
            assert deleted.status_code == 204
            self._image_id = ""
        return super().readinto(buffer)  # type: ignore[arg-type]


def test_an_image_deleted_during_its_upload_leaves_no_bytes(glance: Glance) -> None:
    image = glance.new()
    answer = glance.call(
        "PUT",
        f"/v2/images/{image['id']}/file",
        input_stream=Deleting(glance, image["id"]),
        content_type="application/octet-stream",
    )
    assert answer.status_code == 404
    assert glance.store.ids() == ()
    assert glance.names() == []


def test_an_image_deleted_at_the_last_moment_leaves_no_bytes(glance: Glance, monkeypatch: pytest.MonkeyPatch) -> None:
    image = glance.new()
    save = FileImageStore.save

    def save_then_deleted(store: FileImageStore, image_id: str, *args: object, **more: object) -> object:
        stored = save(store, image_id, *args, **more)  # type: ignore[arg-type]
        with glance.database.write(WHO["member"]) as w:
            images.delete(w, image_id)
        return stored

    monkeypatch.setattr(FileImageStore, "save", save_then_deleted)
    assert glance.upload(image["id"], b"x").status_code == 410
    assert glance.store.ids() == ()


def test_a_deactivated_image_is_read_by_admins_only(glance: Glance) -> None:
    image = glance.active(b"data")
    here = f"/v2/images/{image['id']}"
    assert glance.call("POST", f"{here}/actions/deactivate").status_code == 204
    assert glance.call("POST", f"{here}/actions/deactivate").status_code == 204
    assert glance.get(here)["status"] == "deactivated"
    assert glance.call("GET", f"{here}/file").status_code == 403
    assert glance.call("GET", f"{here}/file", who="admin").data == b"data"
    assert glance.call("POST", f"{here}/actions/reactivate").status_code == 204
    assert glance.call("GET", f"{here}/file").data == b"data"


def test_formats_stay_once_there_is_data(glance: Glance) -> None:
    image = glance.active()
    assert glance.patch(image["id"], {"op": "add", "path": "/disk_format", "value": "qcow2"}).status_code == 403


def test_after_a_crash_cut_off_uploads_are_queued_again(glance: Glance) -> None:
    image, whole = glance.new(), glance.active()
    with glance.database.write(WHO["member"]) as w:
        images.begin_upload(w, image["id"])
    with glance.database.write(internal()) as w:
        assert images.abandoned(w) == [image["id"]]
    assert glance.get(f"/v2/images/{image['id']}")["status"] == "queued"
    assert glance.get(f"/v2/images/{whole['id']}")["status"] == "active"
    assert glance.upload(image["id"], b"again").status_code == 204
