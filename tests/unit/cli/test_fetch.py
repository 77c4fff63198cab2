"""Fetching images: only what is right gets its name, and what was cut off goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from novalite.cli.distributions import DISTRIBUTIONS, Source, source
from novalite.cli.fetch import obtain, published_digest, web
from novalite.errors import DependencyDown, Failed, Invalid, NotFound, Unsupported

BODY = bytes(range(256)) * 40
DIGEST = hashlib.sha256(BODY).hexdigest()
URL = "https://mirror.example/images/thing.qcow2"
IMAGE = Source("thing", URL, "sha256", "https://mirror.example/images/SHA256SUMS")


class Mirror:
    """Serves one image and its list; may break off after some bytes."""

    def __init__(self, sums: str = f"{DIGEST} *thing.qcow2\n", break_after: int | None = None) -> None:
        self.sums, self.break_after = sums, break_after
        self.ranges: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("SUMS"):
            return httpx.Response(200, text=self.sums)
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(BODY):
            return httpx.Response(416)
        return httpx.Response(206 if wanted else 200, stream=Pieces(BODY[start:], self.break_after))


class Pieces(httpx.SyncByteStream):
    def __init__(self, body: bytes, break_after: int | None) -> None:
        self.body, self.break_after = body, break_after

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield self.body[: self.break_after]
        if self.break_after is not None:
            raise httpx.ReadError("connection reset")


def fetch(mirror: Mirror, target: Path, image: Source = IMAGE) -> str:
    with web(httpx.MockTransport(mirror)) as http:
        return obtain(http, image, target, lambda text: None)


def test_an_image_with_the_published_checksum_arrives_whole(tmp_path: Path) -> None:
    assert fetch(Mirror(), tmp_path / "thing.qcow2") == DIGEST
    assert (tmp_path / "thing.qcow2").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["thing.qcow2"]


def test_what_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    target = tmp_path / "thing.qcow2"
    with pytest.raises(DependencyDown, match="goes on where it was cut off"):
        fetch(Mirror(break_after=1000), target)
    assert not target.exists()
    mirror = Mirror()
    fetch(mirror, target)
    assert mirror.ranges == ["bytes=1000-"]
    assert target.read_bytes() == BODY


def test_half_a_file_of_an_older_image_is_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / "thing.qcow2.part").write_bytes(b"x" * 500)
    mirror = Mirror()
    fetch(mirror, tmp_path / "thing.qcow2")
    assert mirror.ranges == ["bytes=500-", None]
    assert (tmp_path / "thing.qcow2").read_bytes() == BODY


def test_a_file_that_is_right_already_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "thing.qcow2").write_bytes(BODY)
    mirror = Mirror()
    fetch(mirror, tmp_path / "thing.qcow2")
    assert mirror.ranges == []


def test_a_wrong_checksum_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="does not have the published sha256 checksum"):
        fetch(Mirror(sums=f"{'0' * 64}  thing.qcow2\n"), tmp_path / "thing.qcow2")
    assert list(tmp_path.iterdir()) == []


def test_a_checksum_of_ones_own_outweighs_the_list(tmp_path: Path) -> None:
    own = source(URL, architecture=None, checksum=f"sha256:{DIGEST.upper()}")
    assert fetch(Mirror(sums=""), tmp_path / "thing.qcow2", own) == DIGEST


@pytest.mark.parametrize(
    "text",
    [
        f"{'1' * 64}  other-thing.qcow2\n{DIGEST}  thing.qcow2\n",
        f"{DIGEST} *./thing.qcow2\n",
        f"# thing.qcow2: 5 bytes\nSHA256 (thing.qcow2) = {DIGEST}\nSHA256 (thing.qcow2.xz) = {'1' * 64}\n",
        f"{DIGEST}\n",
    ],
)
def test_checksum_lists_of_every_kind_are_understood(text: str) -> None:
    with web(httpx.MockTransport(Mirror(sums=text))) as http:
        assert published_digest(http, IMAGE.sums_url, "thing.qcow2", "sha256") == DIGEST


def test_a_list_without_the_file_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no sha256 checksum of thing.qcow2"):
        fetch(Mirror(sums=f"{DIGEST}  other.qcow2\n"), tmp_path / "thing.qcow2")


@pytest.mark.parametrize("each", DISTRIBUTIONS.values(), ids=lambda each: each.name)
def test_every_distribution_has_whole_addresses(each) -> None:  # type: ignore[no-untyped-def]
    found = each.on("x86_64")
    for url in (found.url, found.sums_url):
        assert url.startswith("https://")
        assert "{" not in url
    assert found.file_name.endswith((".qcow2", ".img"))


def test_debian_names_architectures_in_its_own_way() -> None:
    found = source("debian-13", architecture="aarch64", checksum=None)
    assert found.url.endswith("/trixie/latest/debian-13-genericcloud-arm64.qcow2")
    assert found.sums_url.endswith("/trixie/latest/SHA512SUMS")
    assert found.properties["os_admin_user"] == "debian"


@pytest.mark.parametrize(
    ("name", "architecture", "checksum", "error"),
    [
        ("plan9", None, None, NotFound),
        ("arch", "aarch64", None, Unsupported),
        (URL, None, None, Invalid),
        (URL, None, "md5:00", Invalid),
    ],
)
def test_what_cannot_be_fetched_is_refused(
    name: str, architecture: str | None, checksum: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        source(name, architecture=architecture, checksum=checksum)
