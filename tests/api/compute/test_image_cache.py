"""Images that are brought to the hosts of an aggregate before anybody needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.compute.fake import FakeDriver
from novalite.errors import DriverError
from tests.api.compute.conftest import Cloud
from tests.api.conftest import running, wait_for

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def _hosts(cloud: Cloud) -> list[FakeDriver]:
    built = cloud.appliance.built
    return [built.links.driver(name)._driver for name in built.hosts]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of three hosts."""
    with running(tmp_path_factory.mktemp("wide"), compute__fake_hosts=3) as appliance:
        yield Cloud(appliance, appliance.token(), appliance.image())


@pytest.fixture(scope="module")
def path(wide: Cloud) -> str:
    """The images of an aggregate of the first two."""
    made = wide.call("POST", "/os-aggregates", {"aggregate": {"name": "two"}})
    number = made.json["aggregate"]["id"]
    for name in list(wide.appliance.built.hosts)[:2]:
        wide.call("POST", f"/os-aggregates/{number}/action", {"add_host": {"host": name}})
    return f"/os-aggregates/{number}/images"


def _cache(cloud: Cloud, path: str, *image_ids: str, version: str = "2.81") -> Any:
    return cloud.call("POST", path, {"cache": [{"id": image_id} for image_id in image_ids]}, version)


def test_every_host_of_the_aggregate_gets_them(wide: Cloud, path: str) -> None:
    images = [wide.image_id, wide.appliance.image("another")]
    answer = _cache(wide, path, *images)
    assert (answer.status_code, answer.data) == (202, b"")
    first, second, third = _hosts(wide)
    wait_for(lambda: all(set(images) <= host._images for host in (first, second)), why="images are missing")
    assert third._images == set()


def test_a_host_that_fails_does_not_keep_others_from_them(wide: Cloud, path: str) -> None:
    image = wide.appliance.image("third")
    first, second, _ = _hosts(wide)
    first.fail_next("ensure_image", DriverError("ensure_image", "no room", code="disk.full"))
    assert _cache(wide, path, image).status_code == 202
    wait_for(lambda: image in second._images)
    assert _cache(wide, path, image).status_code == 202
    wait_for(lambda: image in first._images)


def test_what_is_refused(wide: Cloud, path: str) -> None:
    assert _cache(wide, path, wide.image_id, wide.image_id).status_code == 400
    assert _cache(wide, path, UNKNOWN).status_code == 400
    assert _cache(wide, path, "no-uuid").status_code == 400
    assert _cache(wide, path).status_code == 400
    assert wide.call("POST", path, {"cache": [{"id": UNKNOWN, "more": 1}]}, "2.81").status_code == 400
    assert _cache(wide, "/os-aggregates/999/images", wide.image_id).status_code == 404
    assert _cache(wide, "/os-aggregates/x/images", wide.image_id).status_code == 400
    assert _cache(wide, path, wide.image_id, version="2.80").status_code == 404


def test_who_may(wide: Cloud, path: str) -> None:
    member = Cloud(wide.appliance, wide.appliance.member("nobody"), "")
    assert _cache(member, path, wide.image_id).status_code == 403


def test_a_restart_in_between(tmp_path: Path) -> None:
    with running(tmp_path) as appliance:
        cloud = Cloud(appliance, appliance.token(), appliance.image())
        number = cloud.call("POST", "/os-aggregates", {"aggregate": {"name": "one"}}).json["aggregate"]["id"]
        [name] = cloud.appliance.built.hosts
        cloud.call("POST", f"/os-aggregates/{number}/action", {"add_host": {"host": name}})
        appliance.engine.queue.close()  # nobody hears of the task any more
        assert _cache(cloud, f"/os-aggregates/{number}/images", cloud.image_id).status_code == 202
    with running(tmp_path) as again:
        wait_for(lambda: cloud.image_id in again.driver._images)
