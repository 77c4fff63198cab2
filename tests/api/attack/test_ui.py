"""Attacks on the pages: forms that no browser sends, other projects' servers, names that are code."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.attack.conftest import server_body
from tests.api.conftest import Appliance, wait_for
from tests.api.ui.conftest import Browser

EVIL = "<img src=x onerror=alert(1)>\"'--><script>alert(1)</script>{{7*7}}"


@pytest.fixture(scope="module")
def browser(appliance: Appliance) -> Browser:
    appliance.image()
    made = Browser(appliance)
    assert made.log_in().status_code == 303
    return made


@pytest.fixture(scope="module")
def thief(appliance: Appliance, mallory: str) -> Browser:
    """Mallory's browser."""
    made = Browser(appliance)
    assert made.log_in("mallory", "a-long-passphrase").status_code == 303
    return made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", "9" * 5000),
        ("count", "-1"),
        ("count", "1e3"),
        ("count", "²"),
        ("name", "a\x00b"),
        ("name", "a\nb"),
        ("name", "\x1b[31m"),
        ("name", "n" * 256),
        ("image", "x" * 3000),
        ("image", "\x00"),
        ("flavor", "'"),
        ("network", "../../x"),
        ("key", "\x00"),
        ("key", "k" * 3000),
        ("user_data", "u" * 50000),
    ],
)
def test_a_form_that_no_browser_sends_is_told_on_the_form(browser: Browser, field: str, value: str) -> None:
    form: Any = browser.filled_in("s") | {field: value}
    answer = browser.send("/servers", **form)
    assert answer.status_code == 400, answer.text
    assert "<form" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/login", "/logout", "/servers", "/keys", "/project", "/servers/00000000-0000-0000-0000-000000000000/action"],
)
def test_a_form_of_megabytes_is_refused_before_it_is_kept(appliance: Appliance, browser: Browser, path: str) -> None:
    file = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + b"x" * (4 << 20)
    kind, own = "multipart/form-data; boundary=b", {"Origin": browser.origin}
    assert browser.client.post(path, data=file, content_type=kind, headers=own).status_code == 413
    many = "&".join(f"f{number}=1" for number in range(20000))
    answer = browser.client.post(
        path, data=many, content_type="application/x-www-form-urlencoded", headers={"Origin": browser.origin}
    )
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=\xff", "application/json", "text/plain", ""]
)
def test_forms_of_other_kinds_change_nothing(browser: Browser, content_type: str) -> None:
    for path in ("/login", "/keys", "/servers", "/logout"):
        answer = browser.client.post(
            path, data=b"\xff\x00{[--", content_type=content_type, headers={"Origin": browser.origin}
        )
        assert 400 <= answer.status_code < 500


@pytest.fixture(scope="module")
def victim(appliance: Appliance, browser: Browser, flavor: str) -> str:
    body = server_body(flavor, appliance.image(EVIL), name=EVIL, description=EVIL, metadata={"a": EVIL})
    answer = appliance.post("/compute/v2.1/servers", body, version="2.90")
    assert answer.status_code == 202, answer.text
    server_id = str(answer.json["server"]["id"])
    wait_for(lambda: "ACTIVE" in browser.get(f"/servers/{server_id}").text)
    return server_id


def test_hostile_names_are_text_on_every_page(appliance: Appliance, browser: Browser, victim: str) -> None:
    pages = ("/servers", f"/servers/{victim}", f"/servers/{victim}/delete", "/servers/new", "/images", "/hosts",
             "/keys", f"/servers/{victim}/console", f"/servers/{victim}/log")  # fmt: skip
    for page in pages:
        answer = browser.get(page)
        assert answer.status_code == 200
        assert "<img src=x" not in answer.text, page
        assert "alert(1)</script>" not in answer.text, page
        assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"].split("style-src")[0]


def test_what_a_guest_writes_to_its_console_is_text(appliance: Appliance, browser: Browser, victim: str) -> None:
    appliance.driver.guest_prints(victim, f"{EVIL}\x1b]0;{EVIL}\x07\r\n\x00\xff".encode("latin-1"))
    text = browser.get(f"/servers/{victim}/log").text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text
    shown: Any = appliance.post(f"/compute/v2.1/servers/{victim}/action", {"os-getConsoleOutput": {"length": None}})
    assert "<script>" in shown.json["output"]
    assert shown.content_type == "application/json"
    assert "\x1b" not in shown.json["output"]


@pytest.mark.parametrize("page", ["", "/delete", "/log", "/console"])
def test_pages_of_other_projects_servers_are_not_there(thief: Browser, victim: str, page: str) -> None:
    answer = thief.get(f"/servers/{victim}{page}")
    assert answer.status_code == 404
    assert "alert(1)" not in answer.text


@pytest.mark.parametrize("form", ["action", "delete"])
def test_forms_for_other_projects_servers_change_nothing(
    appliance: Appliance, thief: Browser, victim: str, form: str
) -> None:
    assert thief.send(f"/servers/{victim}/{form}", action="stop").status_code == 404
    assert appliance.get(f"/compute/v2.1/servers/{victim}").json["server"]["status"] == "ACTIVE"


def test_a_member_does_not_see_other_projects_by_asking_for_all(thief: Browser, victim: str) -> None:
    assert victim not in thief.get("/servers?all=1").text
    assert thief.get(f"/servers?marker={victim}").status_code == 400


def test_a_marker_that_is_none_is_told(browser: Browser) -> None:
    for marker in ("x", "%00", "'", "a" * 3000):
        assert browser.get(f"/servers?marker={marker}").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fpyproject.toml",
        "/static/../../etc/passwd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/%00",
        "/static/ui",
        "/static/" + "a" * 3000,
        "/console/..%2f..%2fetc",
        "/servers/..%2f..%2f",
        "/servers/" + "9" * 3000,
    ],
)  # fmt: skip
def test_paths_lead_nowhere_else(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert 400 <= answer.status_code < 500
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example", "\t//evil.example",
               "///evil.example", "/servers\r\nSet-Cookie: a=b", "javascript:alert(1)", "/" + "a" * 9000]
)  # fmt: skip
def test_the_login_leads_to_no_other_site(appliance: Appliance, target: str) -> None:
    answer = Browser(appliance).log_in(next=target)
    assert answer.status_code == 303
    assert answer.location.startswith("/")
    assert not answer.location.startswith(("//", "/\\"))
    assert "Set-Cookie: a=b" not in str(answer.headers)


def test_a_session_does_not_outlive_a_login_that_was_there_before(appliance: Appliance) -> None:
    """Session fixation: a cookie planted before the login is not the cookie after it."""
    browser = Browser(appliance)
    name = f"novalite-{appliance.built.settings.http.port}"
    browser.client.set_cookie(name, "planted")
    answer = browser.log_in()
    assert "planted" not in answer.headers["Set-Cookie"]
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "a b", "[::1", "x" * 5000, ""])
def test_a_host_header_is_not_believed_where_it_matters(appliance: Appliance, host: str) -> None:
    for path in ("/login", "/servers", "/compute/", "/compute/v2.1/servers", "/identity/v3", "/healthz"):
        answer = appliance.client.get(path, headers={"Host": host})
        assert answer.status_code < 500
        assert "evil.example" not in answer.headers.get("Location", "")
