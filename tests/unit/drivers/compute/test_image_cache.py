"""The image cache of a host: fetched once, checked again, forgotten when unused."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from novalite.drivers.compute.base import ImageSpec
from novalite.drivers.compute.libvirt.images import ImageCache
from novalite.errors import DriverError
from tests.contracts.boot_sector import BytesSource, image_of

_DAY = 86400.0
_CONTENT = b"an image".ljust(1 << 20, b"\0")


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    for name in ("cache", "guests"):
        (tmp_path / name).mkdir()
    return ImageCache(tmp_path / "cache", tmp_path / "guests")


def _image(content: bytes = _CONTENT) -> ImageSpec:
    return image_of(str(uuid4()), content)


def _stand_on(tmp_path: Path, image: ImageSpec, where: str = "guests/g") -> Path:
    """A guest's overlay on the image."""
    (tmp_path / where).mkdir(parents=True)
    disk = tmp_path / where / "root.qcow2"
    base = tmp_path / "cache" / image.id
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(disk)], check=True)
    return disk


def _unused_for(tmp_path: Path, image: ImageSpec, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(tmp_path / "cache" / f"{image.id}.json", (then, then))


def _files(tmp_path: Path) -> set[str]:
    return {file.name for file in (tmp_path / "cache").iterdir()}


class _Counted(BytesSource):
    """Tells how often it was asked."""

    asked = 0

    def chunks(self) -> Iterator[bytes]:
        type(self).asked += 1
        yield from super().chunks()


def test_many_boots_at_once_fetch_an_image_once(cache: ImageCache) -> None:
    image, source = _image(), _Counted(_CONTENT)
    _Counted.asked, failed, ready = 0, [], threading.Barrier(20)

    def boot() -> None:
        ready.wait(60)
        try:
            cache.ensure(image, source)
            assert cache.get(image.id).virtual_size == len(_CONTENT)
        except (DriverError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=boot) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert _Counted.asked == 1


def test_a_fetch_that_fails_lets_the_next_one_try(cache: ImageCache, tmp_path: Path) -> None:
    image = _image()
    with pytest.raises(DriverError) as caught:
        cache.ensure(image, BytesSource(b"something else"))
    assert caught.value.code == "image.corrupt"
    assert _files(tmp_path) == set()
    cache.ensure(image, BytesSource(_CONTENT))
    assert cache.get(image.id).format == "raw"


def test_unused_images_are_forgotten_in_time(cache: ImageCache, tmp_path: Path) -> None:
    used, kept, fresh, old = images = [_image() for _ in range(4)]
    for image in images:
        cache.ensure(image, BytesSource(_CONTENT))
    disk = _stand_on(tmp_path, used)
    _stand_on(tmp_path, kept, "guests/h/kept-before")
    for image in (used, kept, old):
        _unused_for(tmp_path, image, 2 * _DAY)
    assert cache.age_out(_DAY) == [old.id]
    assert _files(tmp_path) == {name for each in (used, kept, fresh) for name in (each.id, f"{each.id}.json")}
    disk.unlink()
    assert cache.age_out(_DAY) == [], "its time begins when nothing stands on it any more"
    _unused_for(tmp_path, used, 2 * _DAY)
    cache.ensure(used, BytesSource(b"is not read: it is there"))
    assert cache.age_out(_DAY) == [], "somebody has asked for it"
    _unused_for(tmp_path, used, 2 * _DAY)
    assert cache.age_out(_DAY) == [used.id]


def test_what_was_cut_off_is_forgotten(cache: ImageCache, tmp_path: Path) -> None:
    image = _image()
    bare = tmp_path / "cache" / image.id
    bare.write_bytes(_CONTENT)
    (tmp_path / "cache" / f"{image.id}.77-88").write_bytes(b"half")
    again = ImageCache(tmp_path / "cache", tmp_path / "guests")
    assert again.age_out(_DAY) == [], "somebody may be about to tell what it is"
    os.utime(bare, (1, 1))
    assert again.age_out(_DAY) == [image.id]
    assert _files(tmp_path) == set()


def _spoil(tmp_path: Path, image: ImageSpec) -> None:
    with (tmp_path / "cache" / image.id).open("r+b") as file:
        file.seek(4096)
        file.write(b"flipped")


def test_images_that_have_changed_are_found_and_fetched_again(cache: ImageCache, tmp_path: Path) -> None:
    good, bad = _image(), _image()
    for image in (good, bad):
        cache.ensure(image, BytesSource(_CONTENT))
    _spoil(tmp_path, bad)
    assert cache.check(_DAY) == [], "it is not their time"
    assert cache.check(0) == [bad.id]
    with pytest.raises(DriverError) as caught:
        cache.get(bad.id)
    assert caught.value.code == "image.missing"
    cache.ensure(bad, BytesSource(_CONTENT))
    assert cache.check(0) == []
    assert cache.corrupt == ()


def test_one_that_guests_stand_on_is_told_and_made_good_by_the_next_fetch(cache: ImageCache, tmp_path: Path) -> None:
    image = _image()
    cache.ensure(image, BytesSource(_CONTENT))
    _stand_on(tmp_path, image)
    _spoil(tmp_path, image)
    assert cache.check(0) == [image.id]
    assert cache.corrupt == (image.id,)
    assert cache.get(image.id).path.exists(), "the guests go on"
    cache.ensure(image, BytesSource(_CONTENT))
    assert cache.corrupt == ()
    assert cache.get(image.id).path.read_bytes() == _CONTENT
    assert cache.check(0) == []


def test_checking_stops_when_it_is_told_to(cache: ImageCache, tmp_path: Path) -> None:
    image = _image()
    cache.ensure(image, BytesSource(_CONTENT))
    _spoil(tmp_path, image)
    assert cache.check(0, lambda: False) == []


def test_images_of_a_time_when_their_checksum_was_not_written_down(cache: ImageCache, tmp_path: Path) -> None:
    image = _image()
    cache.ensure(image, BytesSource(_CONTENT))
    (tmp_path / "cache" / f"{image.id}.json").write_text('{"format":"raw","virtual_size":1048576}')
    _spoil(tmp_path, image)
    assert cache.check(0) == []
    cache.ensure(replace(image), BytesSource(b""))
    assert cache.check(0) == [image.id]
