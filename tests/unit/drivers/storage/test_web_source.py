"""Files from the web: pinned addresses, redirects, limits, transfers that go on."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from novalite.drivers.storage.web_places import Allowed
from novalite.drivers.storage.web_source import WebSource
from novalite.errors import DependencyDown, Failed, Invalid, NovaLiteError, TooLarge
from tests.contracts.web_server import Web, serving

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
DATA = bytes(range(256)) * 4096


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as made:
        made.files["/disk"] = DATA
        yield made


def source(web: Web, *, resolve: Callable[[str, int], list[str]] | None = None, **more: Any) -> WebSource:
    allowed = Allowed(ports=(web.port,), networks=more.pop("networks", LOOPBACK))
    return WebSource(allowed, resolve=resolve or (lambda host, port: ["127.0.0.1"]), most_bytes=1 << 30, **more)


def test_a_file_arrives_whole(web: Web, tmp_path: Path) -> None:
    source(web).fetch(web.url("/disk", "images.example"), tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]
    assert web.asked[0][1]["Host"] == f"images.example:{web.port}"


def test_a_transfer_that_was_cut_off_goes_on(web: Web, tmp_path: Path) -> None:
    web.cut_after = 300_000
    with pytest.raises(DependencyDown):
        source(web).fetch(web.url("/disk"), tmp_path / "disk")
    assert not (tmp_path / "disk").exists()
    source(web).fetch(web.url("/disk"), tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == DATA
    have = int(web.asked[1][1]["Range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < have <= 300_000


def test_a_process_killed_before_the_file_had_its_name_begins_anew(web: Web, tmp_path: Path) -> None:
    web.cut_after = 300_000
    with pytest.raises(DependencyDown):
        source(web).fetch(web.url("/disk"), tmp_path / "disk")
    (tmp_path / "disk.part").write_bytes(DATA)
    with pytest.raises(DependencyDown, match="begun anew"):
        source(web).fetch(web.url("/disk"), tmp_path / "disk")
    source(web).fetch(web.url("/disk"), tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == DATA


@pytest.mark.parametrize("tag", ['"two"', "", 'W/"one"'])
def test_it_begins_anew_when_the_file_may_be_another(web: Web, tmp_path: Path, tag: str) -> None:
    web.cut_after, web.tag = 300_000, tag if tag != '"two"' else '"one"'
    with pytest.raises(DependencyDown):
        source(web).fetch(web.url("/disk"), tmp_path / "disk")
    web.tag, web.files["/disk"] = tag, DATA[::-1]
    source(web).fetch(web.url("/disk"), tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == DATA[::-1]


def test_a_part_of_another_address_is_not_continued(web: Web, tmp_path: Path) -> None:
    web.cut_after, web.files["/other"] = 300_000, b"other"
    with pytest.raises(DependencyDown):
        source(web).fetch(web.url("/disk"), tmp_path / "disk")
    source(web).fetch(web.url("/other"), tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == b"other"


def test_a_second_look_up_cannot_lead_elsewhere(web: Web, tmp_path: Path) -> None:
    """A name server that first tells a good address and then another: it is asked once for each request."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    source(web, resolve=lambda host, port: next(answers)).fetch(
        web.url("/disk", "rebinding.example"), tmp_path / "disk"
    )
    assert (tmp_path / "disk").read_bytes() == DATA


def test_a_name_that_leads_inside_is_refused_without_a_connection(web: Web, tmp_path: Path) -> None:
    for inside in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(Invalid):
            source(web, networks=(), resolve=lambda host, port, inside=inside: ["1.1.1.1", inside]).fetch(  # type: ignore[misc]
                web.url("/disk", "innocent.example"), tmp_path / "disk"
            )
    assert web.asked == []


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "http://[::1]/",
        "http://inside.example/",
    ],
)
def test_redirects_are_looked_at_like_the_first_address(web: Web, tmp_path: Path, target: str) -> None:
    web.redirects["/moved"] = target
    inside = {"inside.example": ["192.168.1.1"]}
    allowed = Allowed(ports=(80, web.port), networks=LOOPBACK)
    asking = WebSource(allowed, most_bytes=1 << 30, resolve=lambda host, port: inside.get(host, ["127.0.0.1"]))
    with pytest.raises(Invalid):
        asking.fetch(web.url("/moved"), tmp_path / "disk")
    assert not (tmp_path / "disk").exists()


def test_good_redirects_are_followed_but_not_for_ever(web: Web, tmp_path: Path) -> None:
    web.redirects |= {"/a": "/b", "/b": web.url("/disk"), "/round": "/round"}
    source(web).fetch(web.url("/a"), tmp_path / "disk")
    assert (tmp_path / "disk").read_bytes() == DATA
    web.asked.clear()
    with pytest.raises(Failed):
        source(web).fetch(web.url("/round"), tmp_path / "round")
    assert len(web.asked) == 6


def test_more_than_allowed_is_refused_before_and_while_it_comes(web: Web, tmp_path: Path) -> None:
    allowed = Allowed(ports=(web.port,), networks=LOOPBACK)
    asking = WebSource(allowed, most_bytes=len(DATA) - 1, resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(TooLarge):
        asking.fetch(web.url("/disk"), tmp_path / "disk")


def test_what_takes_too_long_ends(web: Web, tmp_path: Path) -> None:
    with pytest.raises(Failed) as caught:
        source(web, most_seconds=-1.0).fetch(web.url("/disk"), tmp_path / "disk")
    assert "did not arrive" in caught.value.message


@pytest.mark.parametrize(
    ("status", "error"), [(404, Failed), (403, Failed), (500, DependencyDown), (503, DependencyDown)]
)
def test_what_the_server_answers_is_told(web: Web, tmp_path: Path, status: int, error: type[NovaLiteError]) -> None:
    web.statuses["/x"] = status
    with pytest.raises(error) as caught:
        source(web).fetch(web.url("/x"), tmp_path / "disk")
    assert str(status) in caught.value.message


@pytest.mark.parametrize(("number", "error"), [(socket.EAI_NONAME, Failed), (socket.EAI_AGAIN, DependencyDown)])
def test_a_name_that_is_not_known(web: Web, tmp_path: Path, number: int, error: type[NovaLiteError]) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(number, "no")

    with pytest.raises(error):
        source(web, resolve=resolve).fetch(web.url("/disk", "nowhere.example"), tmp_path / "disk")


def test_who_watches_can_end_it(web: Web, tmp_path: Path) -> None:
    def watch() -> None:
        raise Failed("unwanted")

    with pytest.raises(Failed, match="unwanted"):
        source(web).fetch(web.url("/disk"), tmp_path / "disk", watch=watch)
