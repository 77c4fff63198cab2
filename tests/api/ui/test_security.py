"""What keeps other sites and hostile names out."""

from __future__ import annotations

import pytest

from novalite.api.ui.security import origin_is_ours
from tests.api.ui.conftest import Browser

PAGES = (
    "/servers",
    "/servers/new",
    "/images",
    "/keys",
    "/hosts",
    "/login",
    "/no-such-page",
    "/logout",
    "/console/vnc_auto.html",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_carries_the_headers(browser: Browser, path: str) -> None:
    answer = browser.get(path, Accept="text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_scripts_or_styles_of_its_own(browser: Browser, path: str) -> None:
    page = browser.get(path, Accept="text/html").text
    assert "style=" not in page
    assert "<style" not in page
    assert " on" + "click" not in page
    assert all("src=" in part.split(">")[0] for part in page.split("<script")[1:])
    assert "//" not in page.replace("http-equiv", "").replace("<!doctype", ""), "nothing comes from another host"


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, ""),
        ({}, "0" * 64),
        ({"Origin": "http://evil.example"}, None),
        ({"Origin": "null"}, None),
        ({"Origin": "http://localhost:81"}, None),
        ({"Origin": "https://localhost"}, None),
        ({"Sec-Fetch-Site": "cross-site"}, None),
        ({"Sec-Fetch-Site": "same-site"}, None),
    ],
    ids=["no token", "wrong token", "foreign", "null", "other port", "other scheme", "cross-site", "same-site"],
)
def test_a_form_that_is_not_ours_changes_nothing(browser: Browser, headers: dict[str, str], token: str | None) -> None:
    answer = browser.send("/keys", token=token, headers=headers, name="forged")
    assert answer.status_code == 403
    assert "forged" not in browser.get("/keys").text


def test_the_form_token_of_one_session_is_worthless_in_another(browser: Browser, stranger: Browser) -> None:
    stranger.log_in()
    assert stranger.send("/keys", token=browser.form_token, name="forged").status_code == 403


@pytest.mark.parametrize(
    ("origin", "ours"),
    [
        ("http://here:8774", True), ("http://HERE:8774", True), ("https://cloud.example", True),
        ("https://cloud.example:443", True), ("http://here", False), ("https://here:8774", False), ("null", False),
        ("", False), ("http://here:8774.evil.example", False), ("http://here:8774@evil.example", False),
        ("http://user@here:8774", False), ("http://cloud.example", False), ("http://here:8774/path", False),
        ("ws://here:8774", False), ("http://here:99999", False),
    ],
)  # fmt: skip
def test_an_origin_is_ours_when_scheme_host_and_port_agree(origin: str, ours: bool) -> None:
    found = origin_is_ours(origin, scheme="http", host="here:8774", public_url="https://cloud.example/path")
    assert found is ours


def test_hostile_names_are_text(browser: Browser) -> None:
    name = "<script>alert(1)</script>\"'{{7*7}}"
    server_id = browser.launch(name, user_data="<b>")
    for path in ("/servers", f"/servers/{server_id}", f"/servers/{server_id}/delete", f"/servers/{server_id}/console"):
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;{{7*7}}" in page


def test_an_unforeseen_error_shows_no_trace(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the inside of the house")

    monkeypatch.setattr("novalite.api.ui.images.images.list_visible", broken)
    answer = browser.get("/images")
    assert answer.status_code == 500
    assert "the inside of the house" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text, "so that somebody can find it in the log"
