"""The UI's own files: what is served, how long it may be kept, and that others' code is what it was."""

from __future__ import annotations

import re

import pytest

from novalite import assets
from novalite.api.ui import vendor
from tests.api.ui.conftest import Browser


def test_files_under_their_digest_may_be_kept_for_ever(stranger: Browser) -> None:
    path = re.search(r'href="(/static/[0-9a-f]{16}/ui/style\.css)"', stranger.get("/login").text)
    assert path
    answer = stranger.get(path[1])
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.content_type == "text/css; charset=utf-8"


def test_a_plain_path_is_asked_for_anew_and_answered_briefly(stranger: Browser) -> None:
    first = stranger.get("/static/novnc/core/rfb.js")
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.content_type == "text/javascript; charset=utf-8", "modules need it"
    again = stranger.get("/static/novnc/core/rfb.js", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path", ["../settings.py", "..%2fsettings.py", "vendored.json", "novnc", "", "novnc/LICENSE.txt", "/etc/passwd"]
)
def test_nothing_else_is_served(stranger: Browser, path: str) -> None:
    assert stranger.get(f"/static/{path}").status_code in (404, 308)


def test_the_code_of_others_is_what_the_record_says() -> None:
    assert vendor.differences(assets.static()) == []


def test_every_package_comes_with_its_licence() -> None:
    for package in vendor.recorded(assets.static()):
        assert any("LICENSE" in name for name in package["sha256"]), package["name"]
