"""kill -9 while images are imported. Each time a step is done and not written down: it is done again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from novalite.engine.conductor import registry
from tests.contracts.waiting import until
from tests.contracts.web_server import Web, serving
from tests.real.crash.conftest import Doomed

pytestmark = pytest.mark.real
_KIND = "image.import"
_BOUNDARIES = [f"{_KIND}/{step.name}:done" for step in registry().flow(_KIND).steps]
_DATA = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with serving() as made:
        made.files["/disk"] = _DATA
        yield made


@pytest.fixture(scope="module")
def cloud(doomed: Callable[..., Doomed], web: Web) -> Doomed:
    return doomed("imports", images__web_download_networks="127.0.0.1/32", images__web_download_ports=web.port)


def begin(cloud: Doomed, web: Web, path: str = "/disk") -> str:
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    image_id = str(cloud.call("POST", "/image/v2/images", json=body).json()["id"])
    asked = {"method": {"name": "web-download", "uri": web.url(path)}}
    assert cloud.call("POST", f"/image/v2/images/{image_id}/import", json=asked).status_code == 202
    return image_id


def settled(cloud: Doomed, image_id: str, status: str) -> None:
    cloud.idle()
    assert cloud.get(f"/image/v2/images/{image_id}")["status"] == status
    assert list((cloud.state_dir / "images-staging").iterdir()) == []
    assert cloud.doctor() == []


def whole(cloud: Doomed, image_id: str) -> None:
    settled(cloud, image_id, "active")
    assert cloud.call("GET", f"/image/v2/images/{image_id}/file").content == _DATA
    assert cloud.call("DELETE", f"/image/v2/images/{image_id}").status_code == 204


def test_the_flow_has_the_steps_this_test_was_written_for() -> None:
    assert [boundary.rpartition("/")[2] for boundary in _BOUNDARIES] == [
        "fetch:done", "unpack:done", "store:done", "clean:done"
    ]  # fmt: skip


@pytest.mark.parametrize("boundary", _BOUNDARIES)
def test_an_import(cloud: Doomed, web: Web, boundary: str) -> None:
    cloud.hold_at(boundary)
    image_id = begin(cloud, web)
    cloud.dies_at(boundary)
    whole(cloud, image_id)


def test_a_transfer_goes_on_where_it_was(cloud: Doomed, web: Web) -> None:
    held = web.held = threading.Event()
    image_id = begin(cloud, web)
    part = cloud.state_dir / "images-staging" / f"{image_id}.part"
    until(lambda: part.exists() and part.stat().st_size, "bytes arrive")
    cloud.kill()
    web.held = None
    held.set()
    cloud.start()
    whole(cloud, image_id)
    assert web.asked[-1][1]["Range"].startswith("bytes=")


@pytest.mark.parametrize("boundary", ["turned", "fetch:undo", "fetch:undone", "undone"])
def test_one_that_fails_while_it_is_undone(cloud: Doomed, web: Web, boundary: str) -> None:
    cloud.hold_at(f"{_KIND}/{boundary}")
    image_id = begin(cloud, web, "/nothing")
    cloud.dies_at(f"{_KIND}/{boundary}")
    settled(cloud, image_id, "queued")


def test_an_image_deleted_while_it_comes(cloud: Doomed, web: Web) -> None:
    cloud.hold_at(f"{_KIND}/unpack:done")
    image_id = begin(cloud, web)
    cloud.until_there(f"{_KIND}/unpack:done")
    assert cloud.call("DELETE", f"/image/v2/images/{image_id}").status_code == 204
    cloud.dies_at(f"{_KIND}/unpack:done")
    cloud.idle()
    assert list((cloud.state_dir / "images-staging").iterdir()) == []
    assert cloud.doctor() == []
